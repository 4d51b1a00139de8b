"""Ctrl-C and SIGTERM: the program ends in order. Light, since they may come while all else is imported."""

from __future__ import annotations

import _thread
import os
import signal
import sys
import threading
from types import FrameType

INTERRUPTED = 130  # exit code
INTERRUPTED_WORDS = "interrupted: run the same command again"
NUMBERS = (signal.SIGINT, signal.SIGTERM)
SOON = 0.05  # seconds


def handle_signals() -> None:
    """Ctrl-C and SIGTERM end the program in order, a second one at once."""
    for number in NUMBERS:
        signal.signal(number, _interrupt)
    sys.unraisablehook = _interrupt_again


def _interrupt(_: int, frame: FrameType | None) -> None:
    if _imports(frame):  # where some try, and go on without; and in the middle of torch's it would abort the process
        _end(INTERRUPTED_WORDS)
    for number in NUMBERS:
        signal.signal(number, _end_at_once)
    raise KeyboardInterrupt


def _imports(frame: FrameType | None) -> bool:
    """Whether an import is under way there."""
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


def _interrupt_again(ignored: sys.UnraisableHookArgs) -> None:
    """A finalizer or callback cannot pass on what is raised in it: a signal that came then comes once more."""
    if ignored.exc_type is not KeyboardInterrupt:
        sys.__unraisablehook__(ignored)
        return
    for number in NUMBERS:
        signal.signal(number, _interrupt)
    threading.Timer(SOON, _send).start()  # when the finalizer has ended


def _send() -> None:
    if sys.platform == "win32":
        _thread.interrupt_main()
    else:  # which ends a sleep, too
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)


def _end_at_once(*_: object) -> None:
    _end("ended at once; what was journalled is saved: run the same command again to continue")


def _end(words: str) -> None:
    os.write(2, f"\n{words}\n".encode())
    os._exit(INTERRUPTED)

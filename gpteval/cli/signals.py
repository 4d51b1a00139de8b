"""Ctrl-C and SIGTERM: the program ends in order. Light, since they may come while all else is imported."""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

INTERRUPTED = 130  # exit code
INTERRUPTED_WORDS = "interrupted: run the same command again"


def handle_signals() -> None:
    """Ctrl-C and SIGTERM end the program in order, a second one at once."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)


def _interrupt(*_: Any) -> None:
    if getattr(getattr(sys.modules.get("torch"), "__spec__", None), "_initializing", False):
        _end_at_once()  # an exception in the middle of its import would abort the process
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _end_at_once)
    raise KeyboardInterrupt


def _end_at_once(*_: Any) -> None:
    os.write(2, b"\nended at once; what was journalled is saved: run the same command again to continue\n")
    os._exit(INTERRUPTED)

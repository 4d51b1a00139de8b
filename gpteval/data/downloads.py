"""Downloads from the Hub: how much has arrived, a limit on the wait for an answer, and what went wrong."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

LOOK_SECONDS = 1.0  # between two looks at what has arrived
GATED = "accept its conditions on its page of the Hub, and log in (hf auth login, or the variable HF_TOKEN)"
AGAIN = "run the same command again, what has arrived in full is kept; --hub-timeout 60 waits longer for each answer"
_PLACES = (  # module and name of the folder that a library downloads into, and what a file that is not whole is called
    ("huggingface_hub.constants", "HF_HUB_CACHE", "*/blobs/*.incomplete"),
    ("datasets.config", "DOWNLOADED_DATASETS_PATH", "*.incomplete"),
)
_TIMEOUTS = ("HF_HUB_DOWNLOAD_TIMEOUT", "HF_HUB_ETAG_TIMEOUT")


def set_hub_timeout(seconds: int) -> None:
    """How long to wait for an answer of the Hub. Its libraries read it once, when they are imported."""
    for name in _TIMEOUTS:
        os.environ[name] = str(seconds)


def what_broke(error: BaseException) -> str:
    """``gated`` for what the Hub gives to some only, ``broken`` for a download that did not come to its end, or "".

    The libraries raise errors of their own in whose chain of causes the one that tells stands.
    """
    chain = []
    seen: BaseException | None = error
    while seen is not None and seen not in chain:
        chain.append(seen)
        seen = seen.__cause__ or seen.__context__
    names = " ".join(type(one).__name__ for one in chain) + str(error)
    if "gated" in names.lower():
        return "gated"
    broken = any(sign in names for sign in ("ReadTimeout", "ReadError", "RemoteProtocolError", "IncompleteRead"))
    return "broken" if broken else ""


@contextmanager
def announced(tell: Callable[[str], None], what: str) -> Iterator[None]:
    """Tell that ``what`` is loaded, and while files of the Hub arrive for it, how much has arrived.

    ``tell`` is called from another thread, but not after the end.
    """
    tell(what)
    ended = threading.Event()
    looking = threading.Thread(target=_look, args=(lambda text: tell(f"{what}: {text}"), ended), daemon=True)
    looking.start()
    try:
        yield
    finally:
        ended.set()
        looking.join()


def _look(tell: Callable[[str], None], ended: threading.Event) -> None:
    begin, arriving = time.monotonic(), _arriving()
    before = arrived = sum(arriving.values())
    while not ended.wait(LOOK_SECONDS):
        now = _arriving()
        arrived += sum(max(0, size - arriving.get(file, 0)) for file, size in now.items())
        arriving = now
        if arrived > before:
            megabytes = (arrived - before) / 1e6
            tell(f"{megabytes:,.1f} MB downloaded, {megabytes / (time.monotonic() - begin):,.1f} MB/s")


def _arriving() -> dict[Path, int]:
    """Bytes of the files that are not there in full, of all programs that download into the same cache."""
    sizes = {}
    for module, name, pattern in _PLACES:
        # Another thread may be importing the library: until it has told its folder, nothing comes through it.
        folder = getattr(sys.modules.get(module), name, None)
        for file in Path(folder).glob(pattern) if folder else ():
            try:
                sizes[file] = file.stat().st_size
            except OSError:  # it has just arrived
                continue
    return sizes

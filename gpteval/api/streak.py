"""Items that fail alike, one after the other: a server that answers none is not asked for all of them."""

from __future__ import annotations

import math
import re
import threading

from gpteval.core.errors import ModelError
from gpteval.core.kinds import NO_ANSWER, UNFIT, UNREACHED, UNREADABLE

FIRST = 5  # that fail alike before one is answered are no accident
ALWAYS = (UNREACHED, UNFIT)  # of the server, whichever item shows it
MEND = "mend that, then run the same command again: what was answered is kept"
KEPT = "what was answered is kept: run the same command again when it does"


class Streak:
    """``wanted``: items that there are. ``any``: whether one was answered. Used by several threads."""

    def __init__(self, wanted: int) -> None:
        self.most = min(FIRST, wanted)
        self.any = False
        self._alike: tuple[str, str] = ("", "")
        self._length = 0
        self._begun = 0
        self._under_way: dict[bytes, int] = {}  # which request each is, in the order in which they were begun
        self._moment = 0  # counts what is sent and what comes to nothing
        self._sent: dict[bytes, int] = {}  # the moment of each one's last attempt
        self._missed: dict[bytes, int] = {}  # the moment at which an attempt first brought nothing
        self._alive = 0  # the last moment at which something was sent to which the server had something to say
        self._lock = threading.Lock()

    def begun(self, key: bytes) -> None:
        """A query is asked, or asked again."""
        with self._lock:
            self._moment += 1
            self._sent[key] = self._moment
            if key not in self._under_way:
                self._under_way[key] = self._begun
                self._begun += 1

    def missed(self, key: bytes) -> None:
        """An attempt brought no document."""
        with self._lock:
            self._moment += 1
            self._missed.setdefault(key, self._moment)

    def answered(self, key: bytes) -> None:
        with self._lock:
            self._ended(key, alive=True)
            self.any, self._length = True, 0

    def failed(self, key: bytes, kind: str, reason: str, *, silent: bool = False, hint: str = "") -> None:
        """Raises ModelError where the others will fail, too. ``silent``: the server gave nothing at all."""
        alike = (kind, re.sub(r"\d+", "0", reason))
        with self._lock:
            missed = self._ended(key, alive=not silent)
            enough = self._enough(kind, silent)
            if silent and enough > 1 and missed < self._alive:
                return  # the server had something to say to others meanwhile: it is the item
            self._length = self._length + 1 if alike == self._alike else 1
            self._alike = alike
            if self._length < enough:
                return
            first = min(self._under_way.values(), default=self._begun)
            if not silent and enough == self.most > 1 and first < enough:
                return  # a refusal is quick: one of the first may still be answered
        message = said(kind, reason, silent)
        if silent or enough == 1:
            raise ModelError(message, hint or KEPT)
        raise ModelError(f"the first {enough} requests fail alike: {message}", hint or MEND)

    def _ended(self, key: bytes, *, alive: bool) -> int:
        """The moment at which an attempt at it first brought nothing; now, where none did."""
        self._under_way.pop(key, None)
        sent = self._sent.pop(key, 0)
        if alive:
            self._alive = max(self._alive, sent)
        return self._missed.pop(key, self._moment)

    def _enough(self, kind: str, silent: bool) -> float:
        """How many that fail alike are no accident. A server may fall silent at any time; one that never gave
        anything is not tried with a second item.
        """
        if kind in ALWAYS or (silent and not self.any):
            return 1
        if silent:
            return FIRST
        return math.inf if self.any else self.most


def said(kind: str, reason: str, silent: bool) -> str:
    """A sentence on why there is no answer."""
    if silent:
        return f"the server does not answer: {reason}"
    if kind in (UNREADABLE, UNFIT):
        return f"it gave no answer that can be read: {reason}"
    return f"it gave no answer: {reason}" if kind == NO_ANSWER else f"{kind}: {reason}"

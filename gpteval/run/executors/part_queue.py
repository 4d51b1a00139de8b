"""Which part a worker gets next: those that a lost worker left behind first, then the plan's, a few ahead."""

from __future__ import annotations

from collections import Counter, deque
from typing import Generic, TypeVar

TRIES = 3  # of a part whose workers are lost
AHEAD = 2  # parts a worker that lie ready
PART_TOKENS = 8_192  # a slice of more is handed out in several parts
ON_GPU = 16  # times as many there, so that a part has several batches, of which the next is made meanwhile
PARTS = 8  # a worker, of one slice, at most
Anything = TypeVar("Anything")


class PartQueue(Generic[Anything]):
    """Parts that wait for a worker, few for each: those behind them need not be planned yet."""

    def __init__(self, workers: int) -> None:
        self._ahead = AHEAD * workers
        self._ready: deque[Anything] = deque()
        self._lost: Counter[Anything] = Counter()

    def add(self, part: Anything) -> None:
        self._ready.append(part)

    @property
    def is_full(self) -> bool:
        """Whether enough parts wait."""
        return len(self._ready) >= self._ahead

    def __bool__(self) -> bool:
        """Whether a part lies ready."""
        return bool(self._ready)

    def next(self) -> Anything:
        """The part that is to be computed next; there must be one."""
        return self._ready.popleft()

    def lost(self, part: Anything) -> bool:
        """Take back the part of a lost worker; False where it was lost too often to be tried again."""
        self._lost[part] += 1
        if self._lost[part] < TRIES:
            self._ready.appendleft(part)
            return True
        return False


def cut(tokens: int, workers: int, device: str) -> int:
    """Into how many parts a slice of so many tokens goes: enough that all workers have something to do to the end; one
    where there are none.
    """
    least = PART_TOKENS if device == "cpu" else ON_GPU * PART_TOKENS
    return max(1, min(PARTS * workers, tokens // least))

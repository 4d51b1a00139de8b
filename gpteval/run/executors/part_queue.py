"""Which part a worker gets next: those that a lost worker left behind first, then the plan's, a few ahead."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator
from typing import Generic, TypeVar

TRIES = 3  # of a part whose workers are lost
AHEAD = 2  # parts a worker that lie ready
PART_TOKENS = 8_192  # a slice of more is handed out in several parts
ON_GPU = 16  # times as many there, so that a part has several batches, of which the next is made meanwhile
PARTS = 8  # a worker, of one slice, at most
Anything = TypeVar("Anything")


class PartQueue(Generic[Anything]):
    """The parts of a run, for so many workers. Parts are planned only when they are pulled."""

    def __init__(self, parts: Iterator[Anything], workers: int) -> None:
        self._parts, self._ahead = parts, AHEAD * workers
        self._ready: deque[Anything] = deque()
        self._lost: Counter[Anything] = Counter()
        self._coming = True

    @property
    def hungry(self) -> bool:
        """Whether there may be more parts, and few lie ready."""
        return self._coming and len(self._ready) < self._ahead

    def pull(self) -> None:
        """Have the next part planned."""
        part = next(self._parts, None)
        self._coming = part is not None
        if part is not None:
            self._ready.append(part)

    def __bool__(self) -> bool:
        """Whether a part lies ready."""
        return bool(self._ready)

    def next(self) -> Anything:
        """The part that is to be computed next; there must be one."""
        return self._ready.popleft()

    def over(self) -> bool:
        """Whether all parts were given away."""
        return not (self._coming or self._ready)

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

"""How long something was under way: the union of spans of time, of which many lie upon each other."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np


class Spans:
    """Spans of time, ``(begin, end)`` in seconds; pauses between them do not count, and no moment counts twice."""

    def __init__(self) -> None:
        self._apart = np.empty((0, 2))  # those that do not touch, in order

    def add(self, spans: Iterable[tuple[float, float]]) -> None:
        new = np.array(list(spans), dtype=float).reshape(-1, 2)
        every = np.concatenate([self._apart, new])
        if not len(every):
            return
        begins, ends = every[np.argsort(every[:, 0], kind="stable")].T
        reached = np.maximum.accumulate(ends)
        first = np.concatenate([[True], begins[1:] > reached[:-1]])  # nothing before reaches it
        last = np.append(np.flatnonzero(first)[1:] - 1, len(every) - 1)
        self._apart = np.stack([begins[first], reached[last]], axis=1)

    @property
    def seconds(self) -> float:
        return float((self._apart[:, 1] - self._apart[:, 0]).sum())

    def __bool__(self) -> bool:
        return len(self._apart) > 0

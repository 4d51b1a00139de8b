"""From a task's rows to its items: each with its id, and the nested subset of ``--limit``."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import overload

from gpteval.core.types import Item, digest
from gpteval.data.lazy_rows import LARGE, DataRow
from gpteval.tasks.task import Task


def make_items(task: Task, rows: Iterable[DataRow]) -> tuple[Item, ...]:
    """Give each row its id: a digest of the task's version and the row's content."""
    return _with_distinct_ids(_item(task, row) for row in rows)


def _item(task: Task, row: DataRow) -> Item:
    return Item(digest(task.name, task.version, row), row)


def _with_distinct_ids(items: Iterable[Item]) -> tuple[Item, ...]:
    """Items whose ids differ: those of equal content get -2, -3 and so on."""
    seen: Counter[str] = Counter()
    apart = []
    for item in items:
        seen[item.id] += 1
        apart.append(item if seen[item.id] == 1 else Item(f"{item.id}-{seen[item.id]}", item.fields))
    return tuple(apart)


class LazyItems(Sequence[Item]):
    """The items of a large split, each made when it is asked for. Rows of equal content have equal ids."""

    def __init__(self, task: Task, rows: Sequence[DataRow]) -> None:
        self._task = task
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, index: int) -> Item: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Item]: ...
    def __getitem__(self, index: int | slice) -> Item | Sequence[Item]:
        if isinstance(index, slice):
            return [_item(self._task, row) for row in self._rows[index]]
        return _item(self._task, self._rows[index])


def all_items(task: Task, rows: Sequence[DataRow]) -> Sequence[Item]:
    """The items of a split: all of a small one, those of a large one as they are asked for."""
    if task.prepare:
        return make_items(task, task.prepare(rows))
    return LazyItems(task, rows) if len(rows) > LARGE else make_items(task, rows)


def subset(items: Sequence[Item], limit: int | None, seed: int) -> tuple[Item, ...]:
    """``limit`` of the items, in their order: a subset that is nested in that of any larger limit.

    Those with the smallest digests of (seed, id), whatever the rows' order; of a large split, places drawn at random
    by the seed, so that no other row is read.
    """
    if limit is None or limit >= len(items):
        return _with_distinct_ids(items) if isinstance(items, LazyItems) else tuple(items)
    if isinstance(items, LazyItems):
        places = sorted(islice(places_at_random(len(items), (seed,)), limit))
        return _with_distinct_ids(items[place] for place in places)
    ids = {item.id for item in by_digest(items, seed)[:limit]}
    return tuple(item for item in items if item.id in ids)


def by_digest(items: Sequence[Item], seed: int) -> list[Item]:
    """In the order in which a limit takes them, but of a large split."""
    return sorted(items, key=lambda item: digest(seed, item.id))


def first(items: Sequence[Item], limit: int | None) -> tuple[Item, ...]:
    """The first ``limit`` of the items, which are those that lm-evaluation-harness takes."""
    return _with_distinct_ids(items[:limit]) if isinstance(items, LazyItems) else tuple(items[:limit])


def places_at_random(count: int, key: tuple[object, ...]) -> Iterator[int]:
    """All of ``range(count)`` in a random order that ``key`` determines; drawn as far as it is asked for."""
    generator = random.Random(digest(*key))
    seen: set[int] = set()
    while len(seen) < count:
        place = generator.randrange(count)
        if place not in seen:
            seen.add(place)
            yield place

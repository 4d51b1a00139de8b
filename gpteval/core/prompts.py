"""From a task's rows to prompts: items, the nested subset of ``--limit``, and few-shot examples."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from gpteval.core.data import HubSource, Row, Rows
from gpteval.core.errors import DataError, GptevalError, ItemError, TaskError
from gpteval.core.task import Task
from gpteval.core.types import Item, Prompt, Request, Rolling, digest

ShotsMode = Literal["per-item", "fixed"]


@dataclass(frozen=True)
class TaskData:
    """A task's items, in the rows' order, and its pool of examples, by id. Loaded once a run, shared by all models."""

    task: Task
    items: tuple[Item, ...]
    pool: tuple[Item, ...]
    revision: str
    notes: tuple[str, ...] = ()


def make_items(task: Task, rows: Sequence[Row]) -> tuple[Item, ...]:
    """Give each row its id: a digest of the task's version and the row's content."""
    prepared = list(task.prepare(rows)) if task.prepare else rows
    seen: Counter[str] = Counter()
    items = []
    for row in prepared:
        content = digest(task.name, task.version, row)
        seen[content] += 1
        items.append(Item(content if seen[content] == 1 else f"{content}-{seen[content]}", row))
    return tuple(items)


def load_task(task: Task, *, shots: int = 0, limit: int | None = None, seed: int = 0) -> TaskData:
    """Load the evaluated split, cut it to ``limit`` items, and load the pool of examples if ``shots`` > 0.

    ``limit`` takes the items with the smallest digests of (seed, id): a subset that is nested in
    that of any larger limit and does not depend on the rows' order. Items keep the rows' order.
    Where the split for examples cannot be had, they come from the evaluated split, and a note says so.
    """
    try:
        loaded = task.source.load()
        every = make_items(task, loaded.rows)
        if not every:
            raise DataError(f"{loaded.origin} gives no items")
        items = every
        if limit is not None and limit < len(every):
            chosen = {i.id for i in sorted(every, key=lambda item: digest(seed, item.id))[:limit]}
            items = tuple(item for item in every if item.id in chosen)
        pool: tuple[Item, ...] = ()
        notes: tuple[str, ...] = ()
        if shots:
            unordered, notes = _pool(task, every, loaded)
            pool = tuple(sorted(unordered, key=lambda item: item.id))
    except GptevalError as error:
        raise type(error)(f"task {task.name}: {error.message}", error.hint) from error
    return TaskData(task, items, pool, loaded.revision, notes)


def _pool(task: Task, every: tuple[Item, ...], loaded: Rows) -> tuple[tuple[Item, ...], tuple[str, ...]]:
    if task.shots_from is None:
        return every, ()
    try:
        return make_items(task, task.source.load(task.shots_from).rows), ()
    except DataError as error:
        if not isinstance(task.source, HubSource):
            raise
        note = f"examples drawn from {loaded.origin}, never the item itself, because: {error.message}"
        return every, (note,)


def takes_examples(data: TaskData) -> bool:
    """Whether examples can go before this task's prompts: not where whole texts are scored."""
    return not isinstance(_request(data.task, data.items[0]), Rolling)


def build_prompts(data: TaskData, *, shots: int = 0, seed: int = 0, mode: ShotsMode = "per-item") -> list[Prompt]:
    """The prompt of every item with ``shots`` examples.

    Examples are drawn by a generator seeded with (seed, task, item id), so they do not depend on
    order, limit or sharding; those of k shots begin those of k + 1. An example never equals the item.
    ``fixed`` draws one set for all items (an item in it gets the next one drawn instead).
    Raises TaskError when the pool is too small, ItemError or ColumnError naming the item.
    """
    task = data.task
    if shots and not takes_examples(data):
        raise TaskError(f"task {task.name} scores whole texts and takes no examples", "run it with --shots 0")
    contents = Counter(item.content_id for item in data.pool)
    rendered: dict[int, str] = {}

    def example(index: int) -> str:
        if index not in rendered:
            request = _request(task, data.pool[index])
            rendered[index] = request.prompt + request.answer + task.separator
        return rendered[index]

    prompts = []
    for item in data.items:
        examples: tuple[str, ...] = ()
        if shots:
            available = len(data.pool) - contents[item.content_id]
            if shots > available:
                raise TaskError(
                    f"task {task.name}: {shots} examples asked for, but only {available} others are there",
                    f"use --shots {available} or fewer",
                )
            key = (seed, task.name) if mode == "fixed" else (seed, task.name, item.id)
            examples = tuple(example(i) for i in _draw(data.pool, item, shots, key))
        prompts.append(Prompt(item.id, _request(task, item), examples, task.preamble))
    return prompts


def _draw(pool: Sequence[Item], item: Item, shots: int, key: tuple[object, ...]) -> list[int]:
    generator = random.Random(digest(*key))
    drawn: dict[int, None] = {}
    while len(drawn) < shots:
        index = generator.randrange(len(pool))
        if pool[index].content_id != item.content_id:
            drawn[index] = None
    return list(drawn)


def _request(task: Task, item: Item) -> Request:
    try:
        request = task.prompt(item)
        if not isinstance(request, Request):
            raise ItemError(f"the prompt function gave a {type(request).__name__}, not a Choice, Rolling or Generate")
        return request
    except GptevalError as error:
        if item.id in error.message:
            raise type(error)(f"task {task.name}: {error.message}", error.hint) from error
        raise type(error)(f"task {task.name}, item {item.id}: {error.message}", error.hint) from error
    except Exception as error:  # the prompt function is a plugin's code
        raise ItemError(f"task {task.name}, item {item.id}: {type(error).__name__}: {error}") from error

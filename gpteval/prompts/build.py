"""From a task's items to prompts, with few-shot examples."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Literal

from gpteval.core.errors import PLUGIN_ERRORS, DataError, GptevalError, TaskError
from gpteval.core.types import Item, Prompt, Rolling, digest
from gpteval.data.sources import HubSource, Rows
from gpteval.prompts.controls import order_of, random_answers, reordered
from gpteval.prompts.items import LazyItems, all_items, by_digest, first, places_at_random, subset
from gpteval.prompts.lm_eval import draws
from gpteval.prompts.requests import Requests
from gpteval.tasks.profiles import LM_EVAL
from gpteval.tasks.task import Task

ShotsMode = Literal["per-item", "fixed"]
MAX_BAD_ROWS = 0.01  # share of the rows that may be left out because they give no request


@dataclass(frozen=True)
class TaskData:
    """A task's items, in the rows' order, and its pool of examples, by id. Loaded once a run, shared by all models.

    ``pool_revision``: of the rows that examples come from; "" where none are taken. ``order``: the items' ids in the
    order in which a limit takes them, where ``nested``: those of a large split are not. ``requests``: those that were
    made of items and pool, under all templates.
    """

    task: Task
    items: tuple[Item, ...]
    pool: Sequence[Item]
    revision: str
    notes: tuple[str, ...] = ()
    pool_revision: str = ""
    order: tuple[str, ...] = ()
    nested: bool = False
    requests: Requests = field(default_factory=Requests, repr=False, compare=False)


@dataclass(frozen=True)
class TaskItems:
    """What is read for a task, whatever its template: the items that a limit leaves, and the pool of examples.

    ``large``: a split that is not read as a whole, whose items a limit does not take in a fixed order.
    """

    chosen: tuple[Item, ...]
    pool: Sequence[Item]
    revision: str
    pool_revision: str
    notes: tuple[str, ...]
    large: bool
    requests: Requests = field(default_factory=Requests, repr=False, compare=False)


def load_task(
    task: Task, *, shots: int = 0, limit: int | None = None, seed: int = 0, max_bad_rows: float = MAX_BAD_ROWS
) -> TaskData:
    """Load the evaluated split, cut it to ``limit`` items, and load the pool of examples if ``shots`` > 0.

    Items that give no request are left out, and a note says so; TaskError when they are more than one and more
    than the share ``max_bad_rows``.
    """
    return under_template(load_items(task, shots=shots, limit=limit, seed=seed), task, seed, max_bad_rows)


def load_items(task: Task, *, shots: int = 0, limit: int | None = None, seed: int = 0) -> TaskItems:
    """Read a task's data; all its templates share them.

    ``limit`` takes a subset that is nested in that of any larger limit (``gpteval.prompts.items.subset``); under
    the peer's profile the first rows.
    Where the split for examples is not available, they come from the evaluated split, and a note says so.
    """
    as_peer = task.profile == LM_EVAL
    try:
        loaded = task.source.load()
        every = all_items(task, loaded.rows)
        if not every:
            raise DataError(f"{loaded.origin} gives no items")
        chosen = first(every, limit) if as_peer else subset(every, limit, seed)
        pool: Sequence[Item] = ()
        notes: tuple[str, ...] = ()
        pool_revision = ""
        if shots:
            pool, pool_revision, notes = _pool(task, every, loaded)
            if not isinstance(pool, LazyItems) and not as_peer:
                pool = sorted(pool, key=lambda item: item.id)
    except GptevalError as error:
        raise _about(task, error) from error
    except PLUGIN_ERRORS as error:  # a generator's or prepare's own
        raise DataError(f"task {task.name}: its data cannot be made: {type(error).__name__}: {error}") from error
    return TaskItems(chosen, pool, loaded.revision, pool_revision, notes, isinstance(every, LazyItems))


def under_template(read: TaskItems, task: Task, seed: int, max_bad_rows: float = MAX_BAD_ROWS) -> TaskData:
    """The data under the task's template. Raises TaskError where too many items give no request."""
    try:
        items, left_out = usable_items(task, read.chosen, max_bad_rows, read.requests)
    except GptevalError as error:
        raise _about(task, error) from error
    order = items if task.profile == LM_EVAL or read.large else by_digest(items, seed)
    return TaskData(
        *(task, items, read.pool, read.revision, left_out + read.notes, read.pool_revision),
        order=tuple(item.id for item in order),
        nested=not read.large,
        requests=read.requests,
    )


def _about(task: Task, error: GptevalError) -> GptevalError:
    """The error with the task's name before it."""
    if error.message.startswith(f"task {task.name}"):
        return error
    return type(error)(f"task {task.name}: {error.message}", error.hint)


def usable_items(
    task: Task, items: tuple[Item, ...], max_bad_rows: float, requests: Requests
) -> tuple[tuple[Item, ...], tuple[str, ...]]:
    """The items that give a request, and a note on the others. Raises what is wrong with too many of them."""
    faults = [requests.fits(task, item) for item in items]
    bad = [fault for fault in faults if fault is not None]
    posed = [item for item, fault in zip(items, faults, strict=True) if fault is None]
    if not bad:
        return items, ()
    first = bad[0]
    message = first.message.removeprefix(f"task {task.name}").lstrip(",: ")
    said = f"{len(bad)} of {len(items)} rows cannot be posed"
    allowed = max(1, int(max_bad_rows * len(items))) if max_bad_rows else 0
    if not posed or len(bad) > allowed:
        raise type(first)(
            f"{said}, the first: {message}",
            first.hint or f"mend the data, or leave up to {len(bad) / len(items):.0%} of them out with --max-bad-rows",
        ) from first
    return tuple(posed), (f"{said} and are left out, the first: {message}",)


def _pool(task: Task, every: Sequence[Item], loaded: Rows) -> tuple[Sequence[Item], str, tuple[str, ...]]:
    """The items that examples come from, their revision, and what is to be said of them."""
    if task.shots_from is None:
        return every, loaded.revision, ()
    try:
        others = task.source.load(task.shots_from)
        return all_items(task, others.rows), others.revision, ()
    except DataError as error:
        if not isinstance(task.source, HubSource):
            raise
        note = f"examples drawn from {loaded.origin}, never the item itself, because: {error.message}"
        return every, loaded.revision, (note,)


def takes_examples(data: TaskData) -> bool:
    """Whether examples can go before this task's prompts: not where whole texts are scored, or prompts are whole."""
    return data.task.shots_inside is None and not isinstance(data.requests.of(data.task, data.items[0]), Rolling)


def build_prompts(
    data: TaskData, *, shots: int = 0, seed: int = 0, mode: ShotsMode = "per-item", control: str = ""
) -> list[Prompt]:
    """The prompt of every item with ``shots`` examples.

    Examples are drawn by a generator seeded with (seed, task, item id), so they do not depend on
    order, limit, sharding or template; those of k shots begin those of k + 1. An example never shows the item's own
    prompt and answer under any template, whatever its row's other columns (unless the task says that it may:
    ``shots_may_repeat``). ``fixed`` draws one set for all items of a group (an item in it gets the next one drawn
    instead). ``control`` shows the same examples in another way (``gpteval.prompts.controls``).
    Raises TaskError when the pool is too small, ItemError or ColumnError naming the item.
    """
    task, requests = data.task, data.requests
    if task.shots_inside is not None:
        return [Prompt(item.id, requests.of(task, item), (), task.preamble) for item in data.items]
    if shots and not takes_examples(data):
        raise TaskError(f"task {task.name} scores whole texts and takes no examples", "run it with --shots 0")
    if task.profile == LM_EVAL:
        return _as_peer(data, shots)
    variants = [task.with_template(name) for name in task.templates]
    variant = list(task.templates).index(task.template_name)
    pools = _pools(data)
    shown: dict[str, tuple[str, ...]] = {}

    def seen(other: Item) -> tuple[str, ...]:
        """An item as an example, under each template."""
        if other.id not in shown:
            shown[other.id] = tuple(_example(variant, other, requests) for variant in variants)
        return shown[other.id]

    prompts = []
    for item in data.items:
        request = requests.of(task, item)
        examples: tuple[str, ...] = ()
        answers_at: tuple[int, ...] = ()
        if shots:
            group = item[task.shots_group] if task.shots_group else ""
            key = (seed, task.name, group) if mode == "fixed" else (seed, task.name, item.id)
            pool = pools.get(group, ())
            own = () if task.shots_may_repeat else seen(item)
            fitting = (
                other
                for other in (pool[place] for place in places_at_random(len(pool), key))
                if all(seen(other)) and not (own and _show_the_same(seen(other), own))
            )
            chosen = list(islice(fitting, shots))
            if len(chosen) < shots:
                among = f" with {task.shots_group} {group!r}" if task.shots_group else ""
                raise _too_few(data, shots, len(chosen), among, pool)
            shown_as = [(seen(other)[variant], len(requests.of(task, other).prompt)) for other in chosen]
            if control:
                shown_as = _controlled(data, control, chosen, shown_as, pool, key)
            examples, answers_at = zip(*shown_as, strict=True)
        cluster = digest(item[task.cluster]) if task.cluster else ""
        prompts.append(Prompt(item.id, request, examples, task.preamble, cluster, answers_at))
    return prompts


def _as_peer(data: TaskData, shots: int) -> list[Prompt]:
    """The prompts with the examples that lm-evaluation-harness draws."""
    task, split = data.task, getattr(data.task.source, "split", "")
    excludes = split.startswith("validation") if task.evaluates_validation is None else task.evaluates_validation
    drawn: Iterable[Sequence[Item]] = [()] * len(data.items)
    if shots:
        drawn = draws(data.items, data.pool, shots, excludes=excludes)
    prompts = []
    try:
        for item, others in zip(data.items, drawn, strict=True):
            examples = tuple(_example(task, other, data.requests) for other in others)
            answers_at = tuple(len(data.requests.of(task, other).prompt) for other in others)
            cluster = digest(item[task.cluster]) if task.cluster else ""
            prompts.append(Prompt(item.id, data.requests.of(task, item), examples, task.preamble, cluster, answers_at))
    except ValueError:
        raise _too_few(data, shots, len(data.pool), "", data.pool) from None
    return prompts


def _too_few(data: TaskData, shots: int, found: int, among: str, pool: Sequence[Item]) -> TaskError:
    """Why there are not as many examples as are asked for."""
    task = data.task
    faults = (data.requests.fits(task, item) for item in pool)
    unfit = [fault.message for fault in faults if fault is not None]
    why = f": {len(unfit):,} of {len(pool):,} rows cannot be shown as examples, the first: {unfit[0]}" if unfit else ""
    hint = f"use --shots {found} or fewer" if found else "use --shots 0"
    return TaskError(
        f"task {task.name}: {shots} examples asked for, but only {found} others{among} are there{why}",
        f"{hint}; or name a split whose rows have what the prompt needs (shots_from)" if unfit else hint,
    )


def _controlled(
    data: TaskData,
    control: str,
    chosen: Sequence[Item],
    shown: Sequence[tuple[str, int]],
    pool: Sequence[Item],
    key: Sequence[object],
) -> list[tuple[str, int]]:
    """The examples in another way, each with the place of its answer."""
    task, request_of = data.task, partial(data.requests.of, data.task)
    number = order_of(control)
    if number is not None:
        return reordered(shown, number, key)
    answers = random_answers(chosen, pool, request_of, key)
    prompts = [request_of(item).prompt for item in chosen]
    return [(prompt + answer + task.separator, len(prompt)) for prompt, answer in zip(prompts, answers, strict=True)]


def _example(task: Task, item: Item, requests: Requests) -> str:
    """The item as it is shown as an example; "" for one that gives no request."""
    try:
        request = requests.of(task, item)
    except TaskError:
        return ""
    return (task.shown(request) if task.shown else request.prompt + request.answer) + task.separator


def _show_the_same(shown: Sequence[str], own: Sequence[str]) -> bool:
    return any(text == other for text, other in zip(shown, own, strict=True))


def _pools(data: TaskData) -> Mapping[object, Sequence[Item]]:
    """The pool of examples by group; one group where the task names no column for it."""
    column = data.task.shots_group
    if not column:
        return {"": data.pool}
    pools: dict[object, list[Item]] = {}
    for item in data.pool:
        pools.setdefault(item[column], []).append(item)
    return pools

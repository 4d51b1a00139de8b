"""What is trained on, what validates it, and that neither is ever evaluated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gpteval.core.errors import DataError, TaskError, UsageError
from gpteval.core.types import Item, Prompt
from gpteval.prompts.build import MAX_BAD_ROWS, TaskData, build_prompts, usable_items
from gpteval.prompts.items import all_items, subset
from gpteval.prompts.requests import Requests
from gpteval.tasks.task import Task

VALIDATION = 500  # examples, at most, by which is told when to stop


@dataclass(frozen=True)
class Split:
    """Prompts of the training split, without examples: those to train on, and others to watch the loss on."""

    train: tuple[Prompt, ...]
    validation: tuple[Prompt, ...]
    revision: str


def split_of(task: Task, *, examples: int | None, seed: int) -> Split:
    """``examples`` of the training split (None: all but the validation set); few are among any larger number.

    The validation set is as many others, ``VALIDATION`` and a tenth of the split at most. Items of the evaluated split
    are in neither, whatever the source calls its splits. Raises TaskError, DataError, UsageError.
    """
    if task.shots_from is None or task.shots_from == getattr(task.source, "split", None):
        raise TaskError(
            f"task {task.name} has no training split: its examples come from what is evaluated",
            "tune for a task whose page (gpteval tasks NAME) names one",
        )
    try:
        loaded = task.source.load(task.shots_from)
    except DataError as error:
        raise DataError(
            f"task {task.name}: its training split {task.shots_from!r} is not available: {error.message}", error.hint
        ) from error
    evaluated = {item.id for item in all_items(task, task.source.load().rows)}
    every = [item for item in subset(all_items(task, loaded.rows), None, seed) if item.id not in evaluated]
    if not every:
        raise TaskError(
            f"task {task.name}: all {len(loaded.rows)} rows of its training split are evaluated too",
            "name another split to train on, or another to evaluate",
        )
    held = min(VALIDATION, max(1, len(every) // 10))
    if examples is not None:
        if examples < 2:
            raise UsageError(f"--examples is {examples}; a class cannot be learned from fewer than 2")
        if examples >= len(every):
            raise UsageError(
                f"task {task.name} has {len(every)} examples to train on, {examples} are asked for",
                f"--examples {len(every) - held} or fewer; without it all are used",
            )
    if examples is None:
        validation = subset(every, held, seed)
        train: Sequence[Item] = _without(every, validation)
    else:
        train = subset(every, examples, seed)
        validation = subset(_without(every, train), min(held, examples), seed)
    return Split(_prompts(task, train), _prompts(task, validation), loaded.revision)


def _without(items: Sequence[Item], others: Sequence[Item]) -> list[Item]:
    ids = {item.id for item in others}
    return [item for item in items if item.id not in ids]


def _prompts(task: Task, items: Sequence[Item]) -> tuple[Prompt, ...]:
    requests = Requests()
    usable, _ = usable_items(task, tuple(items), MAX_BAD_ROWS, requests)
    return tuple(build_prompts(TaskData(task, usable, (), "", requests=requests)))

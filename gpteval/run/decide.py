"""Running until two models are told apart: a task's items are asked for in growing parts, and only while it is open.

After each part the two are held against each other with evidence that may be looked at any time (``stats.anytime``),
over all tasks at once. Items come in the random order of ``--limit``, and what was asked is not asked again.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Set
from dataclasses import dataclass, replace

from gpteval.backends.prices import Budget
from gpteval.comparison.answers import TaskShots
from gpteval.comparison.compare import compared, load
from gpteval.comparison.results import Pair
from gpteval.core.errors import UnknownNameError, UsageError
from gpteval.metrics.benchmarks import MeanOfTasks
from gpteval.models.catalogue import resolve_models
from gpteval.run.config import RunConfig
from gpteval.run.runner import execute
from gpteval.run.units import Listener, RunOutcome

FIRST = 50  # items of a task that are asked in the beginning
GROWTH = 1.3


@dataclass(frozen=True)
class Decided:
    """What is known of two models on a task at the end. ``items``: asked; ``whole``: whether that is all there are."""

    pair: Pair
    items: int
    whole: bool

    @property
    def place(self) -> TaskShots:
        return self.pair.task, self.pair.shots

    @property
    def open(self) -> bool:
        return not self.whole and self.pair.verdict.startswith(("not separated", "no verdict"))


def run_until_decided(
    config: RunConfig, margin: float, listener: Listener | None = None, tell: Callable[[str], None] = lambda line: None
) -> tuple[RunOutcome, tuple[Decided, ...]]:
    """Run until the two models of ``config.until_decided`` are told apart on each task, alike within ``margin`` points,
    or all items (or ``config.limit``) are asked.

    Raises as ``execute``, and UsageError for a metric that allows no look before the end.
    """
    _check(config, margin)
    budget, take, tasks = Budget(config.api.max_cost), FIRST, config.tasks
    counts: dict[TaskShots, int] = {}
    whole: set[TaskShots] = set()
    ours: set[TaskShots] = set()  # a folder may hold other tasks, of an earlier command: those are not asked further
    while True:
        asked = min(take, config.limit or take)
        outcome = execute(replace(config, tasks=tasks, take=asked), listener, budget=budget)
        if outcome.failures and not outcome.results:
            return outcome, ()
        ours |= {(result.task, result.shots) for result in outcome.results}
        found, before = _found(config, margin, ours, whole), counts
        if not found and not outcome.failures:
            raise UsageError(
                "the two models have no question in common, so nothing can be decided",
                "a chat model is asked for letters: ask both so with --choices letters",
            )
        counts = {one.place: one.items for one in found}
        whole |= {one.place for one in found if one.open and counts[one.place] == before.get(one.place)}
        found = [replace(one, whole=one.place in whole) for one in found]
        left = sorted({one.pair.task.partition(":")[0] for one in found if one.open})  # with all its templates
        tell(f"{asked} items a task: {len(found) - sum(one.open for one in found)} of {len(found)} done")
        if not left or asked == config.limit or outcome.failures:
            return outcome, tuple(found)
        tasks, take = tuple(left), math.ceil(take * GROWTH)


def _check(config: RunConfig, margin: float) -> None:
    if len(set(config.until_decided)) != 2:
        raise UsageError("--until-decided needs two models", "such as --until-decided gpt2,gpt2-medium")
    if not 0 <= margin < 100:
        raise UsageError(f"--margin is in points, from 0 to 100, not {margin:g}", "for example --margin 1")
    names = [model.name for model in resolve_models(config.models)]
    for name in config.until_decided:
        if name not in names:
            raise UnknownNameError("model of this run", name, names, "name it in --models, too")


def _found(config: RunConfig, margin: float, ours: Set[TaskShots], whole: Set[TaskShots]) -> list[Decided]:
    """Where the two stand on each task; what is a mean of tasks follows from them. Raises UsageError where a metric
    cannot tell before the end.
    """
    answers = [
        one
        for one in load(config.folder, None)
        if one.model in config.until_decided and one.unit in ours and not isinstance(one.metric, MeanOfTasks)
    ]
    counts = {one.unit: len(one.ids) for one in answers}
    found = []
    for pair in compared(answers, margin=margin, anytime=True).pairs:
        if pair.figure.why:
            why = f"{pair.task} cannot be decided before the end: {pair.figure.why}"
            raise UsageError(why, "leave it out, or run it whole and compare")
        place = pair.task, pair.shots
        found.append(Decided(pair, counts[place], place in whole))
    return found

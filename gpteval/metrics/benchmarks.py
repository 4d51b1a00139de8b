"""Means over the tasks of a benchmark, from the statistics of all their items."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from gpteval.core.errors import TaskError
from gpteval.core.outcomes import Outcome
from gpteval.core.types import Request
from gpteval.metrics.base import Floats, Metric
from gpteval.metrics.choice import ACCURACIES, MatthewsCorrelation

ACCURACY = next(metric for metric in ACCURACIES if metric.name == "acc")


@dataclass(frozen=True)
class Term:
    """A task of a benchmark: its score's metric, how many statistics that has, and its weight in the mean."""

    metric: Metric = ACCURACY
    width: int = 2
    weight: float = 1.0


class MeanOfTasks(Metric):
    """Weighted mean of the scores of ``parts``, by task.

    Statistics: those of each part, one behind the other; an item has them for its own task and zeros elsewhere. So
    sums over any resample of all items give each task's score, and their mean.
    """

    def __init__(self, name: str, parts: Mapping[str, Term], published_as: tuple[str, ...] = ()) -> None:
        self.name = name
        self.published_as = published_as
        self.parts = parts
        ends = np.cumsum([part.width for part in parts.values()])
        self._places = {
            task: slice(end - part.width, end) for (task, part), end in zip(parts.items(), ends.tolist(), strict=True)
        }
        self._width = int(ends[-1])

    def in_its_place(self, task: str, stats: Sequence[float]) -> list[float]:
        """The statistics of an item of ``task``. Raises ValueError where they are not as many as its part has."""
        place = self._places[task]
        if len(stats) != place.stop - place.start:
            raise ValueError(f"{task} has {len(stats)} statistics, not {place.stop - place.start}")
        return [*[0.0] * place.start, *stats, *[0.0] * (self._width - place.stop)]

    def pseudo_items(self, stats: Floats) -> Floats | None:
        """Those of each task, of T tasks 1 / sqrt(T) of each: so they widen a mean of tasks as those of one do."""
        found = []
        for task, part in self.parts.items():
            place = self._places[task]
            ends = part.metric.pseudo_items(stats[:, place])
            if ends is not None:
                whole = np.zeros((2, ends.shape[1], self._width))
                whole[:, :, place] = ends / np.sqrt(len(self.parts))
                found.append(whole)
        return np.concatenate(found, axis=1) if found else None

    def stats(self, request: Request, outcome: Outcome) -> tuple[float, ...]:
        raise TaskError(f"{self.name} is made of several tasks' statistics", "name a metric of one task")

    def value(self, sums: Floats) -> Floats:
        scores = [part.weight * part.metric.value(sums[..., self._places[task]]) for task, part in self.parts.items()]
        mean: Floats = np.sum(scores, axis=0) / sum(part.weight for part in self.parts.values())
        return mean


# Accuracies, and what GLUE itself takes for CoLA. MNLI's two test sets count as one task; STS-B has no classes.
GLUE_SCORE = MeanOfTasks(
    "glue_score",
    {
        "cola": Term(MatthewsCorrelation(), width=6),
        **{task: Term() for task in ("sst2", "mrpc", "qqp", "qnli", "rte", "wnli")},
        **{task: Term(weight=0.5) for task in ("mnli", "mnli_mismatched")},
    },
)
SUPERGLUE_SCORE = MeanOfTasks(
    "superglue_score",
    {task: Term() for task in ("boolq", "cb", "copa", "multirc", "record", "rte", "wic", "wsc")},
    published_as=("average",),
)
GROUP_METRICS = (GLUE_SCORE, SUPERGLUE_SCORE)

"""What records of a unit come to, as far as results need it: their statistics and some counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from gpteval.core.errors import GptevalError
from gpteval.core.outcomes import Failed, Record, answers_of
from gpteval.metrics.base import Metric
from gpteval.stats.interval import Estimate, estimate
from gpteval.stats.jackknife import TEXTS
from gpteval.store.samples import is_truncated


class Tally:
    """What records come to, as far as results need it: their statistics and some counts, not the records."""

    def __init__(self, metrics: Sequence[Metric], *, clustered: bool) -> None:
        self.metrics, self.clustered = metrics, clustered
        self.items = self.truncated = 0
        self.failed = 0.0  # items; of several answers to one, the share that failed
        self.first_error = ""
        self._stats: dict[str, list[NDArray[np.float64]]] = {metric.name: [] for metric in metrics}
        self._clusters: dict[str, list[str]] = {metric.name: [] for metric in metrics}
        self._answers: list[tuple[float, ...]] = []  # of items with several, the primary metric's value of each
        self._blocks: list[tuple[tuple[float, ...], ...]] = []  # of the first few texts

    def add(self, records: Sequence[Record]) -> None:
        self.items += len(records)
        self.truncated += sum(is_truncated(record.outcome) for record in records)
        for each in map(answers_of, (record.outcome for record in records)):
            failed = [one for one in each if isinstance(one, Failed) and not one.answered]
            self.failed += len(failed) / len(each)
            self.first_error = self.first_error or next((one.error for one in failed), "")
        if len(self._blocks) < TEXTS:
            self._blocks += [record.blocks for record in records if record.blocks][:TEXTS]
        self._answers += [record.answers for record in records if record.answers]
        for metric in self.metrics:
            scored = [record for record in records if metric.name in record.stats]
            if scored:
                self._stats[metric.name].append(np.array([r.stats[metric.name] for r in scored], dtype=float))
                self._clusters[metric.name] += [r.prompt.cluster for r in scored] if self.clustered else []

    def check(self) -> None:
        """Raise GptevalError when every single item failed."""
        if self.failed == self.items:
            raise GptevalError(f"all {self.items} items failed, the first with: {self.first_error}")

    def spreads(self) -> list[str]:
        """How far items differ, and the answers to one item, in the primary metric; of one answer an item nothing."""
        answers = np.array(self._answers, dtype=float)
        if answers.ndim != 2 or len(answers) < 2 or answers.shape[1] < 2:
            return []
        within = float(np.nanmean(np.nanvar(answers, axis=1, ddof=1)))
        between = max(0.0, float(np.nanvar(np.nanmean(answers, axis=1), ddof=1)) - within / answers.shape[1])
        said = f"mean of {answers.shape[1]} answers an item; standard deviation"
        return [f"{said} {between**0.5:.3g} between items, {within**0.5:.3g} between answers to one"]

    def scored(self, metric: Metric) -> int:
        """How many items it has a score of."""
        return sum(map(len, self._stats[metric.name]))

    def interval(self, metric: Metric) -> Estimate:
        """The metric's value and its interval."""
        stats = self._stats[metric.name]
        if 0 < len(self._blocks) < TEXTS and type(metric).blocks is not Metric.blocks:
            texts = [number for number, blocks in enumerate(self._blocks) for _ in blocks]
            found = estimate(metric, np.concatenate(self._blocks), texts=texts)
            return replace(found, n=len(self._blocks))
        clusters = self._clusters[metric.name] if self.clustered else None
        return estimate(metric, np.concatenate(stats) if stats else np.array([]), clusters=clusters)


def fewer_scored(scored: int, answered: float) -> list[str]:
    """What to say where a metric has no score of some items that were answered."""
    return [f"{scored} of {answered:g} answers have this score: what it needs is not told of the others"] * (
        scored < answered
    )

"""A task's own metric as a run's files have it: they tell enough of it to compare and report without its code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from gpteval.core.errors import TaskError
from gpteval.core.outcomes import Outcome
from gpteval.core.types import Request
from gpteval.metrics.base import MeanMetric, Metric, MetricKind
from gpteval.metrics.named import metric_registry

FACTS = "metric_facts"  # the field of a result's row, once it is read


@dataclass(frozen=True)
class StoredMetric(MeanMetric):
    """A mean of scores, whose sums are in the samples. Equal to another of the same facts."""

    name: str
    kind: MetricKind
    higher_is_better: bool
    scale: float | None
    bottom: float
    by_ratio: bool
    floor: float | None

    def score(self, request: Request, outcome: Outcome) -> float:
        raise TaskError(
            f"{self.name} is a task's own metric, which only its file can compute", "name it with --task-dir"
        )


def facts_of_metric(metric: Metric) -> dict[str, Any] | None:
    """What a manifest keeps of a metric that is not gpteval's own; None of one that is no mean of scores."""
    if not isinstance(metric, MeanMetric):
        return None
    names = StoredMetric.__dataclass_fields__
    return asdict(StoredMetric(**{name: getattr(metric, name) for name in names}))


def metric_of(row: Mapping[str, Any]) -> Metric | None:
    """The metric of a result's row as ``read_runs`` gives it, None where it cannot be computed here."""
    known = metric_registry()
    if row["metric"] in known:
        return known[row["metric"]]
    facts = row.get(FACTS)
    try:
        return StoredMetric(**facts) if isinstance(facts, Mapping) else None
    except TypeError:  # of another version
        return None

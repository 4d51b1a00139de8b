"""Metrics of several answers to one prompt: whether they are the same, and what most of them say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Sequence

from gpteval.core.outcomes import Failed, Generated, Outcome, Repeated
from gpteval.core.types import Generate, Request
from gpteval.metrics.base import MeanMetric, Metric, MetricKind
from gpteval.metrics.generated import GENERATION_METRICS, normalise_answer
from gpteval.metrics.numeric import NUMBER_METRICS, NumberMetric

MAJORITY = "majority_"


def vote_of(outcome: Outcome) -> Hashable | None:
    """What an answer says: its words after SQuAD's normalisation; None where it says nothing."""
    if not isinstance(outcome, Generated):
        return None
    return normalise_answer(outcome.text if outcome.taken is None else outcome.taken) or None


def most_said(outcome: Repeated, vote: Callable[[Outcome], Hashable | None] = vote_of) -> Generated | Failed:
    """An answer that says what most of them say; of equals what was said first, and where none says anything the first
    answer (Wang et al. 2023, self-consistency).
    """
    votes = [vote(one) for one in outcome.outcomes]
    counts = Counter(one for one in votes if one is not None)
    return outcome.outcomes[votes.index(counts.most_common(1)[0][0])] if counts else outcome.outcomes[0]


class Majority(MeanMetric):
    """Share of items where what most answers say is right by another metric; of one answer that metric itself."""

    kind: MetricKind = "binary"
    floor = 0.0
    requests = (Generate,)

    def __init__(self, of: Metric) -> None:
        self.of = of
        self.name = f"{MAJORITY}{of.name}"

    def score(self, request: Request, outcome: Outcome) -> float:
        if isinstance(outcome, Repeated):
            outcome = most_said(outcome, self._vote)
        found = self.of.failed(request) if isinstance(outcome, Failed) else self.of.stats(request, outcome)
        return found[0] if found else 0.0

    def _vote(self, outcome: Outcome) -> Hashable | None:
        if isinstance(self.of, NumberMetric):
            return self.of.answer(outcome) if isinstance(outcome, Generated) else None
        return vote_of(outcome)

    def signature(self, requests: Sequence[Request]) -> str:
        return self.of.signature(requests)


class Changing(MeanMetric):
    """Share of items whose answers do not all say the same."""

    name = "changing"
    kind: MetricKind = "binary"
    higher_is_better = False
    requests = (Generate,)

    def score(self, request: Request, outcome: Outcome) -> float:
        if not isinstance(outcome, Repeated):
            return 0.0
        return float(len({vote_of(one) for one in outcome.outcomes}) > 1)


def of_repeats(metric: Metric) -> bool:
    """Whether a metric looks at several answers together; of any other the mean over them counts."""
    return isinstance(metric, Majority | Changing)


REPEAT_METRICS: tuple[Metric, ...] = (
    *(Majority(metric) for metric in (*GENERATION_METRICS, *NUMBER_METRICS) if metric.kind == "binary"),
    Changing(),
)


def added_for(primary: Metric) -> list[str]:
    """Which metrics several answers give beside a task's own."""
    majority = [f"{MAJORITY}{primary.name}"] if primary.kind == "binary" else []
    known = {metric.name for metric in REPEAT_METRICS}
    return [name for name in (*majority, Changing.name) if name in known]

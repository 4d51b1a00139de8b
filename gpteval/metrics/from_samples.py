"""A metric's statistics of items whose choices are in a file of samples, and why a file may not hold what it needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gpteval.core.errors import NotAvailable
from gpteval.core.outcomes import Score, Scored
from gpteval.core.types import Choice
from gpteval.metrics.base import Metric
from gpteval.metrics.choice import AnyGreedy

NEEDED = (  # columns
    *("item_id", "prompt_hash", "choices", "gold", "logprobs", "token_counts", "neutral_logprobs", "prediction"),
)
_BY_LENGTH = ("acc_char", "acc_byte", "bpb")  # of the text that was scored

Sample = Mapping[str, Any]


def request_of(sample: Sample) -> Choice:
    """What was asked, as far as the sample tells."""
    return Choice("", sample["choices"], sample["gold"])


def not_in(samples: Sequence[Sample], metric: Metric, primary: str) -> str:
    """Why the metric cannot be made of these samples, whose own metric is ``primary``; "" where it can."""
    choices: list[Sequence[str]] = [sample["choices"] for sample in samples if sample.get("choices")]
    if len(choices) < len(samples):
        return "not every item has choices"
    if metric.needs_wrong and any(len(texts) == 1 for texts in choices):
        return "there are no wrong answers"
    if metric.needs_wrong and primary == AnyGreedy.name:
        return "all of its choices are right answers"
    if metric.needs_neutral and any(sample.get("neutral_logprobs") is None for sample in samples):
        return "it was asked without a neutral context"
    if metric.name in _BY_LENGTH and all(map(_end_alike, choices)):
        return "where the scored part of an answer begins is not in the samples"
    return ""


def statistics_of(sample: Sample, metric: Metric) -> tuple[float, ...] | None:
    """The metric's statistics of a sample; None where it has none."""
    request = request_of(sample)
    logprobs = sample.get("logprobs")
    if logprobs is None:  # it has no outcome
        return metric.failed(request)
    counts = sample.get("token_counts") or [1] * len(logprobs)
    chosen = sample.get("prediction")
    scores = [Score(one, count, n == chosen) for n, (one, count) in enumerate(zip(logprobs, counts, strict=True))]
    neutral = [Score(one, 1, False) for one in sample.get("neutral_logprobs") or []]
    try:
        return metric.stats(request, Scored(tuple(scores), tuple(neutral)))
    except NotAvailable:
        return None


def _end_alike(texts: Sequence[str]) -> bool:
    """Whether all end with the same word: they may be one continuation after several leads."""
    return len(texts) > 1 and len({text.rpartition(" ")[2] for text in texts}) == 1 and len(set(texts)) > 1

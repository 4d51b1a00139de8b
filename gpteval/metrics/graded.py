"""Metrics of how much probability the right answer has, where accuracy asks only whether it has the most.

They need what a run stores anyway, and move long before accuracy leaves chance.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence

import numpy as np

from gpteval.core.errors import NotAvailable
from gpteval.core.outcomes import Outcome
from gpteval.core.types import Choice, Request
from gpteval.metrics.base import Floats, MeanMetric
from gpteval.metrics.choice import choice_and_scores, logprob_of, size_in_bytes


class GradedMetric(MeanMetric):
    """A mean over items of what an item's log-probabilities say. An item without an outcome has no score."""

    requests = (Choice,)
    scale: float | None = None

    def failed(self, request: Request) -> tuple[float, ...] | None:
        return None


class AnswerBits(GradedMetric):
    """Bits per byte of the right answer: its negative log-probability by its UTF-8 bytes, without a leading space.

    The mean over items, each of which counts as much as any other (Heineman et al. 2025, arXiv 2508.13144).
    """

    name = "bpb"
    higher_is_better = False

    def score(self, request: Request, outcome: Outcome) -> float:
        choice, scored = choice_and_scores(request, outcome)
        return -logprob_of(scored.scores[choice.gold]) / (
            math.log(2) * size_in_bytes(choice.continuations[choice.gold])
        )


class AmongChoices(GradedMetric):
    """Of the probabilities of an item's choices, normalised to 1."""

    needs_wrong = True

    def score(self, request: Request, outcome: Outcome) -> float:
        choice, scored = choice_and_scores(request, outcome)
        if len(scored.scores) < 2:
            raise NotAvailable(f"{self.name} needs wrong answers beside the right one", "ask for bpb instead")
        return self.of(np.array([logprob_of(score) for score in scored.scores]), choice.gold)

    @abstractmethod
    def of(self, logprobs: Floats, gold: int) -> float:
        """The score of log-probabilities in nats, shape [K], of which that at ``gold`` is right."""


class RightProbability(AmongChoices):
    """The normalised probability of the right answer; 1/K is what guessing reaches."""

    name = "prob"
    scale = 1.0
    floor = 0.0

    def of(self, logprobs: Floats, gold: int) -> float:
        return float(probabilities(logprobs)[gold])

    def chance(self, requests: Sequence[Request]) -> float | None:
        shares = [1 / len(one.continuations) for one in requests if isinstance(one, Choice)]
        return float(np.mean(shares)) if shares else None


class LogOdds(AmongChoices):
    """The log-probability of the right answer minus that of the likeliest wrong one, in nats: above 0 it is chosen."""

    name = "log_odds"

    def of(self, logprobs: Floats, gold: int) -> float:
        return float(logprobs[gold] - np.delete(logprobs, gold).max())


class BrierScore(AmongChoices):
    """Squared distance of the normalised probabilities from the right answer's, 0 to 2 (Brier 1950).

    scikit-learn's ``brier_score_loss`` with ``scale_by_half=False``.
    """

    name = "brier"
    higher_is_better = False

    def of(self, logprobs: Floats, gold: int) -> float:
        return float(((probabilities(logprobs) - (np.arange(len(logprobs)) == gold)) ** 2).sum())

    def pseudo_items(self, stats: Floats) -> Floats | None:
        return np.array([[[0.0, 1.0]], [[2.0, 1.0]]])


class LogLoss(AmongChoices):
    """The negative logarithm of the right answer's normalised probability, in nats. scikit-learn's ``log_loss``."""

    name = "log_loss"
    higher_is_better = False

    def of(self, logprobs: Floats, gold: int) -> float:
        return float(np.logaddexp.reduce(logprobs) - logprobs[gold])


def probabilities(logprobs: Floats) -> Floats:
    """Normalised to 1, shape [K] as given."""
    found: Floats = np.exp(logprobs - np.logaddexp.reduce(logprobs))
    return found


GRADED_METRICS = (AnswerBits(), RightProbability(), LogOdds(), BrierScore(), LogLoss())

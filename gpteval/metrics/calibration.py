"""Whether the probability of what a model chooses is how often that is right, and what of a Brier score that explains.

An item's statistics say in which fine bin of probability it lies, so that sums of them tell groups of about as many
answers each (equal masses, Nixon et al. 2019, arXiv 1904.01685), of whole bins.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gpteval.core.errors import NotAvailable
from gpteval.core.outcomes import Outcome
from gpteval.core.types import Choice, Request
from gpteval.metrics.base import Floats, Metric, clustered, divide
from gpteval.metrics.choice import choice_and_scores, logprob_of
from gpteval.metrics.graded import probabilities

GROUPS = 10
BINS = 48  # of the logit of a probability, from LOWEST on
LOWEST, WIDTH = -4.0, 0.25
ENOUGH = 300  # items; of fewer, what is seen is mostly noise
LEAST = 100  # items, or clusters: of fewer, an interval would hold less than it says

CHANCE = "chance alone moves it to one side; brier and ece_debiased have one"  # no interval, then


@dataclass(frozen=True)
class Groups:
    """Sums over the answers of each group, arrays [..., GROUPS]: how many, their probabilities, how many are right,
    squares of the probabilities, and the probabilities of those that are right.
    """

    count: Floats
    given: Floats
    right: Floats
    squares: Floats
    given_right: Floats

    @property
    def gap(self) -> Floats:
        """Mean probability minus the share that is right; 0 in an empty group."""
        return _or_0(divide(self.given - self.right, self.count))

    @property
    def share(self) -> Floats:
        """What part of all answers is in each group."""
        return divide(self.count, self.count.sum(axis=-1, keepdims=True))

    @staticmethod
    def total(of_groups: Floats) -> Floats:
        """Over the groups, shape [...]."""
        return np.asarray(of_groups.sum(axis=-1))


def groups(sums: Floats) -> Groups:
    """Of sums of statistics, shape [..., 5 BINS]: neighbouring bins joined to groups of about as many answers each."""
    parts = np.stack(np.split(sums, 5, axis=-1))
    group = group_of(parts[0])
    joined = [np.where(group == number, parts, 0.0).sum(axis=-1) for number in range(GROUPS)]
    return Groups(*np.stack(joined, axis=-1))


def group_of(count: Floats) -> NDArray[np.int64]:
    """The group of each bin, of the answers in each, shapes [..., BINS]: that in which the bin's middle answer is."""
    middle = np.cumsum(count, axis=-1) - count / 2
    place = _or_0(divide(GROUPS * middle, count.sum(axis=-1, keepdims=True)))
    return np.minimum(place.astype(np.int64), GROUPS - 1)


class Calibration(Metric):
    """Statistics of an item, each in its probability's bin: the five sums of ``Groups``.

    Chance alone moves it to one side, so that two models are compared by a proper score instead (Brier, log loss).
    """

    requests = (Choice,)
    needs_wrong = True
    higher_is_better = False
    in_pairs = False
    scale: float | None = None

    def stats(self, request: Request, outcome: Outcome) -> tuple[float, ...]:
        choice, scored = choice_and_scores(request, outcome)
        if len(scored.scores) < 2:
            raise NotAvailable(f"{self.name} needs wrong answers beside the right one", "ask for bpb instead")
        shares = probabilities(np.array([logprob_of(score) for score in scored.scores]))
        places = self.answers(shares)
        return tuple(summed(shares[places], np.array(places) == choice.gold).tolist())

    def answers(self, shares: Floats) -> list[int]:
        """Which answers of an item count: the one that is chosen."""
        return [int(shares.argmax())]

    def value(self, sums: Floats) -> Floats:
        return self.of(groups(sums))

    @abstractmethod
    def of(self, found: Groups) -> Floats:
        """The value, shape [...]."""

    def notes(self, requests: Sequence[Request]) -> tuple[str, ...]:
        few = len(requests) < ENOUGH
        return (f"of fewer than {ENOUGH} items {self.name} is mostly noise",) * few


class CalibrationError(Calibration):
    """Expected calibration error: how far confidence and accuracy of a group lie apart, the mean over items.

    It is above 0 for a calibrated model too, the more so the fewer items there are.
    """

    name = "ece"
    scale = 1.0
    no_interval = CHANCE

    def of(self, found: Groups) -> Floats:
        return np.where(found.count.sum(axis=-1) > 0, (found.share * np.abs(found.gap)).sum(axis=-1), np.nan)


class DebiasedCalibrationError(Calibration):
    """Root of the mean square of that distance, without what chance alone brings to the square: 0 where no more is seen
    than of a calibrated model (Kumar, Liang and Ma 2019, arXiv 1909.10155, with the variance that is seen in a group).
    """

    name = "ece_debiased"
    scale = 1.0

    def of(self, found: Groups) -> Floats:
        """NaN where no group has two items."""
        gap, count = found.gap, found.count
        spread = found.squares - 2 * found.given_right + found.right - count * gap**2
        known = count > 1
        chance = np.where(known, _or_0(divide(spread, count * (count - 1))), 0.0)
        each, weight = gap**2 - chance, np.where(known, count, 0.0)
        return np.sqrt(np.maximum(divide((each * weight).sum(axis=-1), weight.sum(axis=-1)), 0.0))

    def own_interval(self, stats: Floats, units: Sequence[str], level: float) -> tuple[float, float] | str:
        count, given, right = np.split(stats, 5, axis=1)[:3]
        return debiased_interval(count.argmax(axis=1), given.sum(axis=1), right.sum(axis=1), units, level)


def debiased_interval(
    bins: NDArray[np.int64], given: Floats, right: Floats, units: Sequence[str], level: float
) -> tuple[float, float] | str:
    """Of ``ece_debiased`` by one answer an item, arrays [n]: its bin, its probability, and 1 where it is right.

    By the noncentral chi-square distribution of the groups' sum of squares, as that of as many independent ones as have
    its mean and variance (Satterthwaite 1946); the covariance is that of sums over ``units``, each item's.
    """
    from scipy.special import chndtr, chndtrinc

    if len(set(units)) < LEAST:
        return f"an interval of ece_debiased needs {LEAST} items or clusters"
    place = group_of(np.bincount(bins, minlength=BINS).astype(float))[bins]
    joins: Floats = np.eye(GROUPS)[place]
    count = joins.sum(axis=0)
    gap = _or_0(divide((given - right) @ joins, count))
    _, pulls = clustered(units, joins * (_or_0(divide(given - right - gap[place], count[place])))[:, None])
    there = (clustered(units, joins)[1] > 0).sum(axis=0).astype(float)
    pulls = pulls * np.sqrt(_or_0(divide(there, there - 1)))
    weight = np.where(there > 1, count, 0.0)
    weight /= weight.sum()
    spread = np.sqrt(np.outer(weight, weight)) * (pulls.T @ pulls)
    mean, squares = float(np.trace(spread)), float((spread**2).sum())
    if mean == 0.0:
        return "every item has the same score"
    scale, freedom = squares / mean, mean**2 / squares
    seen = float((weight * gap**2).sum()) / scale
    tail = (1 - level) / 2
    low, high = (
        float(chndtrinc(seen, freedom, share)) if chndtr(seen, freedom, 0.0) > share else 0.0
        for share in (1 - tail, tail)
    )
    return math.sqrt(scale * low), min(1.0, math.sqrt(scale * high))


class BrierPart(Calibration):
    """A part of the mean Brier score, of all answers' probabilities: uncertainty - resolution + reliability (Murphy
    1973). What probabilities differ within a group counts as resolution (Stephenson et al. 2008), so that they add up.
    """

    no_interval = CHANCE

    def answers(self, shares: Floats) -> list[int]:
        return list(range(len(shares)))

    def of(self, found: Groups) -> Floats:
        return divide(self.part(found), found.total(found.right))  # of an item one answer is right

    @abstractmethod
    def part(self, found: Groups) -> Floats:
        """Summed over items, shape [...]."""


class BrierReliability(BrierPart):
    """How far probabilities lie from how often answers of such a probability are right; 0 of a calibrated model."""

    name = "brier_reliability"

    def part(self, found: Groups) -> Floats:
        return found.total(found.count * found.gap**2)


class BrierResolution(BrierPart):
    """How far the groups' shares of right answers lie from the share of all: what the probabilities know."""

    name = "brier_resolution"
    higher_is_better = True

    def part(self, found: Groups) -> Floats:
        return uncertainty(found) + BrierReliability().part(found) - brier(found)


class BrierUncertainty(BrierPart):
    """The score of giving each answer the share of right answers among all: what guessing has."""

    name = "brier_uncertainty"

    def part(self, found: Groups) -> Floats:
        return uncertainty(found)


def brier(found: Groups) -> Floats:
    """The sum of squares of probability minus right."""
    return found.total(found.squares - 2 * found.given_right + found.right)


def uncertainty(found: Groups) -> Floats:
    """The sum of squares of the share of right answers minus right."""
    right = found.total(found.right)
    return right * (1 - _or_0(divide(right, found.total(found.count))))


def bins_of(probabilities: Floats) -> NDArray[np.int64]:
    """The bin of each, shape [n]; the outermost ones have no end."""
    with np.errstate(divide="ignore"):
        logits = np.log(probabilities) - np.log1p(-probabilities)
    return np.clip((logits - LOWEST) / WIDTH, 0, BINS - 1).astype(np.int64)


def summed(given: Floats, right: NDArray[np.bool_]) -> Floats:
    """The five sums by bin, [5 BINS], of answers' probabilities and of which are right, [n] each."""
    bins = bins_of(given)
    parts = (np.ones(len(given)), given, right, given**2, given * right)
    return np.concatenate([np.bincount(bins, part, BINS) for part in parts])


def _or_0(values: Floats) -> Floats:
    return np.nan_to_num(values)


CALIBRATION_METRICS = (
    *(CalibrationError(), DebiasedCalibrationError()),
    *(BrierReliability(), BrierResolution(), BrierUncertainty()),
)

"""How often a model is right where it says so surely: its probabilities of choices over several tasks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gpteval.metrics.base import Floats, clustered
from gpteval.metrics.calibration import LEAST, bins_of, debiased_interval, groups, summed
from gpteval.metrics.named import metric_registry
from gpteval.stats.interval import Estimate, Z, proportion
from gpteval.stats.significance import LEVEL
from gpteval.store.documents import read_samples

COLDEST, HOTTEST = 0.02, 50.0  # temperatures between which one is looked for
_NEVER = -1e30  # the log-probability of a choice that an item has not: as good as -inf, and no NaN comes of it


@dataclass(frozen=True)
class Chosen:
    """Items of one model: log-probabilities of their choices [n, K], which is right [n], and each item's unit."""

    logprobs: Floats
    gold: NDArray[np.int64]
    units: tuple[str, ...]

    @property
    def shares(self) -> Floats:
        """Normalised to 1 over an item's choices, [n, K]."""
        return _softmax(self.logprobs)


@dataclass(frozen=True)
class ConfidenceGroup:
    """Items of about one confidence: how many, their mean probability, the share that is right with its interval."""

    items: int
    confidence: float
    right: float
    ci_low: float
    ci_high: float


@dataclass(frozen=True)
class Reliability:
    """What the metrics of ``metrics.calibration`` say of a model's items over several tasks.

    ``temperature``: by which its log-probabilities are divided so that their log loss is least (Guo et al. 2017, arXiv
    1706.04599); above 1 the model is too sure.
    """

    items: int
    groups: tuple[ConfidenceGroup, ...]
    ece: float
    debiased: Estimate
    temperature: Estimate


def read_chosen(files: Sequence[tuple[str, Path]]) -> Chosen | None:
    """Of samples, each with a name that keeps its items apart; None where no item has probabilities of two choices."""
    found, gold, units = [], [], []
    for name, file in files:
        for row in read_samples(file, ["item_id", "cluster", "gold", "logprobs"]):
            logprobs, right = row.get("logprobs") or [], row.get("gold")
            if len(logprobs) > 1 and None not in logprobs and right in range(len(logprobs)):
                found.append(logprobs)
                gold.append(right)
                units.append(f"{name}\0{row.get('cluster') or row['item_id']}")
    if not found:
        return None
    padded = np.full((len(found), max(map(len, found))), _NEVER)
    for place, logprobs in enumerate(found):
        padded[place, : len(logprobs)] = logprobs
    return Chosen(np.maximum(padded, _NEVER), np.array(gold, dtype=np.int64), tuple(units))


def reliability(chosen: Chosen) -> Reliability:
    """Of one model's items; intervals are those of ``ece_debiased`` and of shares."""
    shares = chosen.shares
    first = shares.argmax(axis=1)
    confidence, right = shares.max(axis=1), first == chosen.gold
    sums = summed(confidence, right)
    found = groups(sums)
    known = metric_registry()
    made = []
    for count, given, hits in zip(found.count, found.given, found.right, strict=True):
        if count:
            made.append(ConfidenceGroup(int(count), given / count, hits / count, *proportion(round(hits), int(count))))
    ends = debiased_interval(bins_of(confidence), confidence, right.astype(float), chosen.units, LEVEL)
    value = float(known["ece_debiased"].value(sums))
    n = len(chosen.gold)
    debiased = Estimate(value, n=n, why=ends) if isinstance(ends, str) else Estimate(value, *ends, n=n)
    return Reliability(n, tuple(made), float(known["ece"].value(sums)), debiased, temperature(chosen))


def temperature(chosen: Chosen) -> Estimate:
    """The one of the least log loss, with a normal interval of its reciprocal over units; NaN where none is least."""
    from scipy.optimize import brentq

    def slope(by: float) -> float:
        return float(_pulls(chosen, by).mean())

    low, high = 1 / HOTTEST, 1 / COLDEST
    if not slope(low) < 0 < slope(high):
        return Estimate(math.nan, n=len(chosen.gold), why="no temperature has the least log loss")
    by = float(brentq(slope, low, high, xtol=1e-9))
    shares, logs = _softmax(by * chosen.logprobs), np.where(chosen.logprobs > _NEVER / 2, chosen.logprobs, 0.0)
    means = (shares * logs).sum(axis=1, keepdims=True)
    bend = float((shares * (logs - means) ** 2).sum(axis=1).mean())
    names, pulls = clustered(chosen.units, _pulls(chosen, by))
    error = math.sqrt(float((pulls**2).sum())) / len(chosen.gold) / bend
    if len(names) < LEAST or Z * error >= by:
        return Estimate(1 / by, n=len(chosen.gold), why="too few items to tell it by")
    return Estimate(1 / by, 1 / (by + Z * error), 1 / (by - Z * error), error / by**2, n=len(chosen.gold))


def _pulls(chosen: Chosen, by: float) -> Floats:
    """The derivative of each item's log loss by the reciprocal temperature, [n]."""
    logs = np.where(chosen.logprobs > _NEVER / 2, chosen.logprobs, 0.0)
    expected = (_softmax(by * chosen.logprobs) * logs).sum(axis=1)
    return np.asarray(expected - logs[np.arange(len(logs)), chosen.gold])


def _softmax(logprobs: Floats) -> Floats:
    return np.asarray(np.exp(logprobs - np.logaddexp.reduce(logprobs, axis=1, keepdims=True)))

"""Tests and intervals of a difference between two models' right and wrong answers, and what several tests may say."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from gpteval.metrics.base import Floats

ALPHA = 0.05  # of all tests and tables; intervals have the level 1 - ALPHA
LEVEL = 1 - ALPHA
POWER = 0.80


def mcnemar(only_a: int, only_b: int) -> float:
    """Exact McNemar test (1947): the p-value, two-sided.

    ``only_a``, ``only_b``: items that only one model has right. Without a difference, each side wins them like a coin.
    """
    from scipy.special import bdtr

    tail = bdtr(min(only_a, only_b), only_a + only_b, 0.5)  # both tails are alike: binomtest's p-value
    return float(min(1.0, 2 * tail))


def tango(only_a: int, only_b: int, n: int, level: float = LEVEL) -> tuple[float, float]:
    """Tango's score interval (1998, equations 14 to 16) of the difference of two models' shares of right answers.

    Of ``n`` items ``only_a`` and ``only_b`` are right for one model only. It holds those differences that a score test
    does not reject; where nobody disagrees it is about 4 / n wide to each side, not nothing.
    """
    from scipy.special import ndtri

    z = -float(ndtri((1 - level) / 2))

    def score(d: float) -> float:
        b = -only_a - only_b + (2 * n - only_a + only_b) * d
        share = (math.sqrt(max(b * b + 8 * n * only_b * d * (1 - d), 0.0)) - b) / (4 * n)  # only B right, given d
        spread = n * (2 * share + d * (1 - d))
        excess = only_a - only_b - n * d
        return excess / math.sqrt(spread) if spread > 0 else math.copysign(math.inf, excess)

    seen = (only_a - only_b) / n
    return _crossing(score, z, -1.0, seen), _crossing(score, -z, seen, 1.0)


def _crossing(score: Callable[[float], float], target: float, low: float, high: float) -> float:
    """Where the falling ``score`` passes ``target``; by halving, to 1e-7."""
    for _ in range(24):
        middle = (low + high) / 2
        low, high = (middle, high) if score(middle) > target else (low, middle)
    return (low + high) / 2


def sacrebleu_p(draws_a: Floats, draws_b: Floats, observed: float) -> float:
    """The p-value that ``sacrebleu --paired-bs`` gives: of absolute differences, one tail of them.

    Where one system is clearly ahead it is about half the two-sided one; as a test at 5 % it rejects a true null in
    about 10 % of cases (``benchmarks/coverage.py``).
    """
    strayed = np.abs(draws_a - draws_b)
    strayed = strayed - strayed.mean()
    return float((1 + int((strayed > abs(observed)).sum())) / (1 + len(strayed)))


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjustment (1979): the chance of any false alarm among all stays below the level.

    NaN, no test, stays NaN and does not count.
    """
    p = np.asarray(p_values, dtype=float)
    adjusted = np.full(len(p), np.nan)
    tested = np.flatnonzero(~np.isnan(p))
    order = tested[np.argsort(p[tested], kind="stable")]
    factors = np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(p[order] * factors))
    return [float(value) for value in adjusted]


def probability_better(draws: Floats) -> float:
    """Share of resamples in which the difference is above 0; those without any count by half."""
    finite = draws[np.isfinite(draws)]
    return float("nan") if not len(finite) else float((finite > 0).mean() + (finite == 0).mean() / 2)

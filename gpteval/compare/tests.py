"""Tests of a difference between two models on the same items, and what several tests together may say."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gpteval.compare.resample import DRAWS, clustered, signs
from gpteval.metrics.base import Floats

_BLOCK = 1000  # items whose signs are in memory at a time
MDE_ERRORS = 2.80  # standard errors: 1.96 for the test's two sides at 5 %, 0.84 for a power of 80 %


def mcnemar(a: Floats, b: Floats) -> float:
    """Exact McNemar test (1947) of two models' right (1) and wrong (0) answers: the p-value, two-sided.

    Only the items on which they disagree count; without a difference, each side wins them like a coin.
    """
    from scipy.special import bdtr

    only_a, only_b = int((a > b).sum()), int((b > a).sum())
    tail = bdtr(min(only_a, only_b), only_a + only_b, 0.5)  # both tails are alike: binomtest's p-value
    return float(min(1.0, 2 * tail))


def sign_flips(differences: Floats, names: Sequence[str], *, seed: int = 0, draws: int = DRAWS) -> Floats:
    """Permutation tests of mean differences (Fisher 1935): two-sided p-values, shape [k].

    ``differences`` of items and pairs of models, [items, k]; 0 where a pair does not share the item. Without a
    difference the two models' scores of an item could be exchanged, which flips the sign of their difference.
    Items of one cluster, which have one name, are exchanged together.
    """
    units, sums = clustered(names, differences)
    observed = np.abs(sums.sum(axis=0))
    flipped = np.zeros((draws, sums.shape[1]), dtype=np.float32)
    for at in range(0, len(units), _BLOCK):
        part = slice(at, at + _BLOCK)
        flipped += signs(units[part], seed=seed, draws=draws).T @ sums[part].astype(np.float32)
    tolerance = 1e-5 * np.maximum(1.0, np.abs(sums).sum(axis=0))  # the order of float32 sums may make a difference
    reached = (np.abs(flipped) >= observed - tolerance).sum(axis=0)
    p: Floats = np.where(np.any(sums, axis=0), (1 + reached) / (1 + draws), 1.0)
    return p


def bootstrap_test(draws: Floats, observed: float) -> float:
    """Paired bootstrap test (Koehn 2004, centred as in Riezler and Maxwell 2005), two-sided.

    How often do draws stray from their mean by more than the difference seen?
    """
    finite = draws[np.isfinite(draws)]
    if not len(finite):
        return float("nan")
    if observed == 0:
        return 1.0
    strayed = np.abs(finite - finite.mean())
    return float((1 + int((strayed > abs(observed)).sum())) / (1 + len(finite)))


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

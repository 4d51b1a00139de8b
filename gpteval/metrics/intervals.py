"""A metric's value with its standard error and interval.

Binary means: Wilson's score interval (Wilson 1927), below 300 items the exact interval of Clopper
and Pearson (1934). Other means: Student's t. Everything else: the percentile bootstrap over items
(Efron and Tibshirani 1993, chapter 13), on sums of sufficient statistics.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from gpteval.metrics.base import Floats, Metric

EXACT_BELOW = 300  # items; for fewer, Wilson's interval can cover less than it says
_CHUNK = 100_000  # bootstrap weights in memory at a time: few, so that they stay in the processor's cache


@dataclass(frozen=True, slots=True)
class Estimate:
    """``stderr``: of the mean, or the standard deviation of the bootstrap's draws. None: cannot be told from ``n``."""

    value: float
    ci_low: float | None
    ci_high: float | None
    stderr: float | None
    n: int
    method: str


def estimate(metric: Metric, stats: Floats, *, seed: int = 0, draws: int = 1000, level: float = 0.95) -> Estimate:
    """Value and interval of ``metric`` from its statistics, shape [n, d]. The same seed gives the same interval.

    A bootstrap leaves out draws without a finite value. No items: the value is NaN. One item: only a
    proportion has an interval.
    """
    stats = np.asarray(stats, dtype=float)
    if stats.ndim != 2 or not len(stats):
        return Estimate(math.nan, None, None, None, 0, "")
    n = len(stats)
    value = float(metric.value(stats.sum(axis=0)))
    if metric.kind == "binary":
        return _binary(value, n, level)
    if n == 1:
        return Estimate(value, None, None, None, 1, "")
    if metric.kind == "mean":
        stderr = float(stats[:, 0].std(ddof=1) / math.sqrt(n))
        half = t_quantile((1 + level) / 2, n - 1) * stderr
        bottom, top = (-math.inf, math.inf) if metric.scale is None else (0.0, metric.scale)
        return Estimate(value, max(bottom, value - half), min(top, value + half), stderr, n, "t")
    values = bootstrap(metric, stats, seed=seed, draws=draws)
    values = values[np.isfinite(values)]
    if len(values) < 2:
        return Estimate(value, None, None, None, n, "")
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return Estimate(value, float(low), float(high), float(values.std(ddof=1)), n, f"bootstrap {draws}")


def _binary(value: float, n: int, level: float) -> Estimate:
    stderr = math.sqrt(value * (1 - value) / n)
    successes = round(value * n)
    if n < EXACT_BELOW:
        low, high = clopper_pearson(successes, n, level)
        return Estimate(value, low, high, stderr, n, "clopper-pearson")
    low, high = wilson(successes, n, level)
    return Estimate(value, low, high, stderr, n, "wilson")


def bootstrap(metric: Metric, stats: Floats, *, seed: int, draws: int) -> Floats:
    """The metric on ``draws`` resamples of the items, shape [draws].

    A resample is a multinomial vector of counts; its sums are a matrix product of counts and statistics.
    """
    n = len(stats)
    generator = np.random.default_rng(seed)
    step = max(1, _CHUNK // n)
    parts = []
    for begin in range(0, draws, step):
        rows = min(step, draws - begin)
        picks = generator.integers(0, n, size=(rows, n))
        picks += np.arange(rows)[:, None] * n  # each resample counts in cells of its own
        counts = np.bincount(picks.ravel(), minlength=rows * n).reshape(rows, n)
        parts.append(metric.value(counts.astype(float) @ stats))
    return np.concatenate(parts)


def wilson(successes: int, n: int, level: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval of a proportion."""
    z = normal_quantile((1 + level) / 2)
    share = successes / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return (0.0 if successes == 0 else centre - half), (1.0 if successes == n else centre + half)


def clopper_pearson(successes: int, n: int, level: float = 0.95) -> tuple[float, float]:
    """The exact interval of a proportion: the shares at which the tail beyond ``successes`` is (1 - level) / 2."""
    tail = (1 - level) / 2
    low = 0.0 if successes == 0 else _solve(lambda p: 1 - _binomial_cdf(successes - 1, n, p) - tail)
    high = 1.0 if successes == n else _solve(lambda p: tail - _binomial_cdf(successes, n, p))
    return low, high


def _binomial_cdf(k: int, n: int, p: float) -> float:
    """P(X <= k) for X binomial(n, p), summed in logarithms."""
    log_p, log_q = math.log(p), math.log1p(-p)
    terms = (
        math.lgamma(n + 1) - math.lgamma(i + 1) - math.lgamma(n - i + 1) + i * log_p + (n - i) * log_q
        for i in range(k + 1)
    )
    return min(1.0, math.fsum(math.exp(term) for term in terms))


def _solve(rising: Callable[[float], float], low: float = 1e-12, high: float = 1 - 1e-12) -> float:
    """The root of a rising function on (0, 1), by bisection."""
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if rising(middle) > 0 else (middle, high)
    return (low + high) / 2


def normal_quantile(p: float) -> float:
    return NormalDist().inv_cdf(p)


def t_quantile(p: float, df: int) -> float:
    """Quantile of Student's t, p > 0.5, for whole degrees of freedom.

    The root of the distribution function by bisection; above 1,000 degrees the expansion about the
    normal quantile (Abramowitz and Stegun 26.7.5), exact to 1e-8 there.
    """
    if df > 1000:
        z = normal_quantile(p)
        return z + (z**3 + z) / (4 * df) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * df * df)
    low, high = 0.0, 1e4
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (low, middle) if _t_cdf(middle, df) > p else (middle, high)
    return (low + high) / 2


def _t_cdf(t: float, df: int) -> float:
    """P(T <= t), t >= 0 (Abramowitz and Stegun 26.7.3 and 26.7.4)."""
    theta = math.atan(t / math.sqrt(df))
    cosine = math.cos(theta)
    total, term = 0.0, cosine if df % 2 else 1.0
    for k in range(2 if df % 2 == 0 else 3, df + 1, 2):
        total += term
        term *= cosine * cosine * (k - 1) / k
    inside = 2 / math.pi * (theta + math.sin(theta) * total) if df % 2 else math.sin(theta) * total
    return 0.5 + inside / 2

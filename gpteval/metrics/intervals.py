"""A metric's value with its standard error and interval.

Binary means: Wilson's score interval (Wilson 1927), below 300 items the exact interval of Clopper
and Pearson (1934). Other means: Student's t. Everything else: the percentile bootstrap over items
(Efron and Tibshirani 1993, chapter 13), on sums of sufficient statistics.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

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


def estimate(
    metric: Metric,
    stats: Floats,
    *,
    seed: int = 0,
    draws: int = 1000,
    level: float = 0.95,
    clusters: Sequence[str] | None = None,
) -> Estimate:
    """Value and interval of ``metric`` from its statistics, shape [n, d]. The same seed gives the same interval.

    ``clusters``: each item's. Means then have the cluster-robust error (Liang and Zeger 1986; Miller 2024,
    section 2.2) with t of G - 1 degrees of freedom; everything else a bootstrap over clusters.

    A bootstrap leaves out draws without a finite value. No items: the value is NaN. One item: only a
    proportion has an interval.
    """
    stats = np.asarray(stats, dtype=float)
    if stats.ndim != 2 or not len(stats):
        return Estimate(math.nan, None, None, None, 0, "")
    n = len(stats)
    value = float(metric.value(stats.sum(axis=0)))
    if clusters is not None and len(set(clusters)) < n:
        return _clustered(metric, stats, clusters, value, seed=seed, draws=draws, level=level)
    if metric.kind == "binary":
        return _binary(value, n, level)
    if n == 1:
        return Estimate(value, None, None, None, 1, "")
    if metric.kind == "mean":
        stderr = float(stats[:, 0].std(ddof=1) / math.sqrt(n))
        from scipy.special import stdtrit

        half = float(stdtrit(n - 1, (1 + level) / 2)) * stderr
        bottom, top = (-math.inf, math.inf) if metric.scale is None else (0.0, metric.scale)
        return Estimate(value, max(bottom, value - half), min(top, value + half), stderr, n, "t")
    values = bootstrap(metric, stats, seed=seed, draws=draws)
    values = values[np.isfinite(values)]
    if len(values) < 2:
        return Estimate(value, None, None, None, n, "")
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return Estimate(value, float(low), float(high), float(values.std(ddof=1)), n, f"bootstrap {draws}")


def _clustered(
    metric: Metric, stats: Floats, clusters: Sequence[str], value: float, *, seed: int, draws: int, level: float
) -> Estimate:
    from scipy.special import stdtrit

    places = {name: place for place, name in enumerate(dict.fromkeys(clusters))}
    sums = np.zeros((len(places), stats.shape[1]))
    np.add.at(sums, [places[name] for name in clusters], stats)
    n, groups = len(stats), len(places)
    if groups == 1:
        return Estimate(value, None, None, None, n, "")
    if metric.kind == "ratio":
        found = estimate(metric, sums, seed=seed, draws=draws, level=level)
        return replace(found, n=n, method=f"{found.method} over {groups} clusters")
    residuals = sums[:, 0] - value * sums[:, 1]
    stderr = float(np.sqrt((residuals**2).sum() * groups / (groups - 1)) / n)
    half = float(stdtrit(groups - 1, (1 + level) / 2)) * stderr
    bottom, top = (-math.inf, math.inf) if metric.scale is None else (0.0, metric.scale)
    return Estimate(value, max(bottom, value - half), min(top, value + half), stderr, n, f"t over {groups} clusters")


def _binary(value: float, n: int, level: float) -> Estimate:
    stderr = math.sqrt(value * (1 - value) / n)
    successes = round(value * n)
    if n < EXACT_BELOW:
        return Estimate(value, *proportion(successes, n, "exact", level), stderr, n, "clopper-pearson")
    return Estimate(value, *proportion(successes, n, "wilson", level), stderr, n, "wilson")


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


def proportion(successes: int, n: int, method: str, level: float = 0.95) -> tuple[float, float]:
    """The interval of a proportion; ``method`` is "exact" (Clopper and Pearson 1934) or "wilson" (Wilson 1927).

    Of scipy, ``special`` has what is needed; to import ``stats`` takes a tenth of a small run's start.
    """
    from scipy.special import betaincinv, ndtri

    tail = (1 - level) / 2
    if method == "exact":
        low = float(betaincinv(successes, n - successes + 1, tail)) if successes else 0.0
        high = float(betaincinv(successes + 1, n - successes, 1 - tail)) if successes < n else 1.0
        return low, high
    z = float(-ndtri(tail))
    share, more = successes / n, z * z / n
    middle = (share + more / 2) / (1 + more)
    half = z / (1 + more) * math.sqrt(share * (1 - share) / n + more / (4 * n))
    return max(0.0, middle - half) if successes else 0.0, min(1.0, middle + half) if successes < n else 1.0

"""A metric's value with its standard error and interval.

Shares of right answers have the exact interval of Clopper and Pearson (1934), which never covers less than it says.
Everything else, and shares whose items belong together, has Student's t on pseudo-values (``stats.jackknife``).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gpteval.metrics.base import Floats, Metric
from gpteval.stats.jackknife import pseudo_values


@dataclass(frozen=True, slots=True)
class Estimate:
    """``ci_low``, ``ci_high``, ``stderr``: None where the sample does not tell; ``why`` says why."""

    value: float
    ci_low: float | None
    ci_high: float | None
    stderr: float | None
    n: int
    method: str
    why: str = ""


def estimate(
    metric: Metric,
    stats: Floats,
    *,
    level: float = 0.95,
    clusters: Sequence[str] | None = None,
    texts: Sequence[int] | None = None,
) -> Estimate:
    """Value and interval of ``metric`` from its statistics, shape [n, d].

    ``clusters``: each item's. ``texts``: the items are blocks one behind the other, and this is each one's text.
    No items: the value is NaN. Fewer than five items, or clusters, have no interval, but for a share of right answers.
    """
    stats = np.asarray(stats, dtype=float)
    if stats.ndim != 2 or not len(stats):
        return Estimate(math.nan, None, None, None, 0, "", "there is no item")
    n = len(stats)
    value = float(metric.value(stats.sum(axis=0)))
    grouped = clusters is not None and len(set(clusters)) < n
    if metric.kind == "binary" and not grouped:
        low, high = proportion(round(value * n), n, level)
        return Estimate(value, low, high, math.sqrt(value * (1 - value) / n), n, "clopper-pearson")
    found = pseudo_values(metric, stats, clusters, texts=texts)
    if found.why or found.alike:
        return Estimate(value, None, None, None, n, "", found.why or "every item has the same score")
    student = found.student
    low, high = student.interval(level)
    stderr = student.stderr
    if metric.by_ratio:
        low, high, stderr = math.exp(low), math.exp(high), value * stderr
    bottom, top = (-math.inf, math.inf) if metric.scale is None else (metric.bottom, metric.scale)
    method = f"jackknife t over {len(found.names)} {found.units}s" if grouped or texts else "jackknife t"
    return Estimate(value, max(bottom, low), min(top, high), stderr, n, method)


def proportion(successes: int, n: int, level: float = 0.95) -> tuple[float, float]:
    """The exact interval of a proportion (Clopper and Pearson 1934).

    Of scipy, ``special`` has what is needed; to import ``stats`` takes a tenth of a small run's start.
    """
    from scipy.special import betaincinv

    tail = (1 - level) / 2
    low = float(betaincinv(successes, n - successes + 1, tail)) if successes else 0.0
    high = float(betaincinv(successes + 1, n - successes, 1 - tail)) if successes < n else 1.0
    return low, high

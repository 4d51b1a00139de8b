"""The one value with an interval, ``Estimate``, and that of a metric from its items.

Shares of right answers have the exact interval of Clopper and Pearson (1934), which never covers less than it says.
Everything else, and shares whose items belong together, has Student's t on pseudo-values (``stats.jackknife``).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gpteval.metrics.base import Floats, Metric
from gpteval.stats.jackknife import FEWEST, pseudo_values, too_few
from gpteval.stats.significance import ALPHA, LEVEL

Z = 1.96  # standard errors in half of a normal interval of ``LEVEL``


@dataclass(frozen=True)
class Estimate:
    """A figure over ``n`` items, or other units, with its 95 % interval, made by ``method``.

    NaN where the sample does not tell, for which ``why`` has the reason. ``p``: two-sided, of there being no
    difference; NaN where that is no question.
    """

    value: float
    ci_low: float = math.nan
    ci_high: float = math.nan
    stderr: float = math.nan
    p: float = math.nan
    n: int = 0
    method: str = ""
    why: str = ""

    @property
    def significant(self) -> bool:
        return self.p < ALPHA

    def fields(self) -> dict[str, Any]:
        """As a result has them: None for what the sample does not tell."""
        numbers = {name: getattr(self, name) for name in ("ci_low", "ci_high", "stderr")}
        return {"value": self.value, "interval": self.method} | {
            name: None if math.isnan(number) else number for name, number in numbers.items()
        }


def normal_error(row: Mapping[str, Any]) -> float | None:
    """A result's standard error, at least what its interval says: at 0 or 1 the usual formula gives none."""
    error: float | None = row.get("stderr")
    if row.get("ci_low") is None or row.get("ci_high") is None:
        return error
    return max(error or 0.0, float(row["ci_high"] - row["ci_low"]) / (2 * Z))


def estimate(
    metric: Metric,
    stats: Floats,
    *,
    level: float = LEVEL,
    clusters: Sequence[str] | None = None,
    texts: Sequence[int] | None = None,
) -> Estimate:
    """Value and interval of ``metric`` from its statistics, shape [n, d].

    ``clusters``: each item's. ``texts``: the items are blocks one behind the other, and this is each one's text.
    No items: the value is NaN. Fewer than five items, or clusters, have no interval, but for a share of right answers.
    """
    stats = np.asarray(stats, dtype=float)
    if stats.ndim != 2 or not len(stats):
        return Estimate(math.nan, why="there is no item")
    n = len(stats)
    value = float(metric.value(stats.sum(axis=0)))
    grouped = clusters is not None and len(set(clusters)) < n
    if metric.kind == "binary" and not grouped and yes_or_no(stats):
        low, high = proportion(round(value * n), n, level)
        return Estimate(value, low, high, math.sqrt(value * (1 - value) / n), n=n, method="clopper-pearson")
    if metric.no_interval:
        return Estimate(value, n=n, why=metric.no_interval)
    if type(metric).own_interval is not Metric.own_interval:
        return _own(metric, stats, value, clusters if grouped else None, level)
    found = pseudo_values(metric, stats, clusters, texts=texts)
    if found.why or found.alike:
        return Estimate(value, n=n, why=found.why or "every item has the same score")
    student = found.student
    low, high = student.interval(level)
    stderr = student.stderr
    if metric.by_ratio:
        low, high, stderr = math.exp(low), math.exp(high), value * stderr
    bottom, top = (-math.inf, math.inf) if metric.scale is None else (metric.bottom, metric.scale)
    method = f"jackknife t over {len(found.names)} {found.units}s" if grouped or texts else "jackknife t"
    return Estimate(value, max(bottom, low), min(top, high), stderr, n=n, method=method)


def yes_or_no(stats: Floats) -> bool:
    """Whether statistics of a binary metric are those of one answer an item: of several, scores are shares."""
    return bool(((stats == 0) | (stats == 1)).all())


def _own(metric: Metric, stats: Floats, value: float, clusters: Sequence[str] | None, level: float) -> Estimate:
    units = clusters or list(map(str, range(len(stats))))
    few = len(set(units))
    if few < FEWEST:
        return Estimate(value, n=len(stats), why=too_few(few, "cluster" if clusters else "item"))
    ends = metric.own_interval(stats, units, level)
    if isinstance(ends, str):
        return Estimate(value, n=len(stats), why=ends)
    method = f"noncentral chi-square over {few} clusters" if clusters else "noncentral chi-square"
    return Estimate(value, *ends, n=len(stats), method=method)


def proportion(successes: int, n: int, level: float = LEVEL) -> tuple[float, float]:
    """The exact interval of a proportion (Clopper and Pearson 1934).

    Of scipy, ``special`` has what is needed; to import ``stats`` takes a tenth of a small run's start.
    """
    from scipy.special import betaincinv

    tail = (1 - level) / 2
    low = float(betaincinv(successes, n - successes + 1, tail)) if successes else 0.0
    high = float(betaincinv(successes + 1, n - successes, 1 - tail)) if successes < n else 1.0
    return low, high

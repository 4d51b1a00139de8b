"""Means over seeds and items: their intervals, and how far seeds differ beyond what their items explain.

Items are answered under every seed, so a mean over S seeds and n items is no sample of S x n answers. Its variance has
three parts (Cornfield and Tukey 1956): items, seeds, and what only this item under this seed has. Resampling both ways
at once counts the last part three times (Owen 2007, the pigeonhole bootstrap). So each way is resampled by itself, for
which the shared draws of ``stats.resample`` serve, and what both ways count is taken out once.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from gpteval.metrics.base import Floats
from gpteval.stats.interval import Estimate
from gpteval.stats.significance import LEVEL


@dataclass(frozen=True)
class Spread:
    """The standard deviation that seeds (or orders) bring, apart from their items, with its 95 % interval."""

    sd: float
    ci_low: float
    ci_high: float


def two_way(values: Floats, draws: Floats, units: int, reach: float = 0.0, level: float = LEVEL) -> Estimate:
    """The mean of ``values``, one a seed, shape [S]. ``draws``: each on resamples of the items, [S, draws].

    The variance is that of the items' resamples plus that of the seeds, minus what both count; at least the items'.
    ``reach``: how far one item could pull; two that do, one to each side, are counted with the items, so that ten
    answers that are all alike are no certainty (Bonett and Price 2012). Student's t has the degrees of freedom of
    Satterthwaite (1946). One seed: the items' part alone. ``level``: of the interval.
    """
    value = float(values.mean())
    items, seeds, both = _parts(values, draws, units)
    items += 2 * reach**2 / (units + 2) ** 2
    variance = max(items, items + seeds - both)
    if not math.isfinite(variance):
        return Estimate(value, n=units, why="there are too few items")
    stderr = math.sqrt(variance)
    if stderr == 0:
        return Estimate(value, stderr=0.0, n=units, why="every item and every seed has the same score")
    freedom = items**2 / (units - 1)
    if len(values) > 1:
        freedom += seeds**2 / (len(values) - 1) + both**2 / ((units - 1) * (len(values) - 1))
    from scipy.special import stdtr, stdtrit

    df = max(1.0, variance**2 / freedom)
    half = float(stdtrit(df, (1 + level) / 2)) * stderr
    p = float(2 * stdtr(df, -abs(value) / stderr))
    return Estimate(value, value - half, value + half, stderr, p, n=units, method="t over items and seeds")


def seed_spread(values: Floats, draws: Floats, units: int) -> Spread:
    """The seeds' own standard deviation; the interval is that of a variance (chi-square), less the items' part.

    NaN for fewer than two seeds.
    """
    count = len(values)
    if count < 2 or units < 2:
        return Spread(math.nan, math.nan, math.nan)
    from scipy.special import chdtri

    _, seeds, both = _parts(values, draws, units)
    seen, noise = seeds * count, both * count
    if not math.isfinite(seen + noise):
        return Spread(math.nan, math.nan, math.nan)
    tail = (1 - LEVEL) / 2
    least, most = ((count - 1) * seen / float(chdtri(count - 1, share)) for share in (tail, 1 - tail))
    sd, low, high = (math.sqrt(max(0.0, variance - noise)) for variance in (seen, least, most))
    return Spread(sd, low, high)


def _parts(values: Floats, draws: Floats, units: int) -> tuple[float, float, float]:
    """Parts of the mean's variance: items and residual, seeds and residual, and the residual alone."""
    draws = draws[:, np.isfinite(draws).all(axis=0)]
    if units < 2 or draws.shape[1] < 2:
        return math.nan, math.nan, math.nan
    unbiased = units / (units - 1)  # a bootstrap's variance is that of the sample, with n for n - 1
    items = float(draws.mean(axis=0).var()) * unbiased
    count = len(values)
    if count == 1:
        return items, 0.0, 0.0
    alone = float(draws.var(axis=1).mean()) * unbiased
    return items, float(values.var(ddof=1)) / count, max(0.0, (alone - items) / (count - 1))

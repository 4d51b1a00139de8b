"""Evidence that may be looked at any time: while items come in, and to stop when it is enough.

Somebody bets against "the true difference is m", never more than is left: with each item the capital is multiplied by
1 + l (x - m), where x is the difference of the two scores. While m is true no stake l wins in the long run, so the
capital, 1 in the beginning, ever reaches 1 / alpha with a probability of at most alpha, however often one looks (Ville
1939). The capital against m = 0 is the e-value. All m against which it stays below 1 / alpha are a confidence sequence
(Waudby-Smith and Ramdas 2024). The stakes are spread over all that are allowed, by the arcsine law, so that none need
be chosen; for rights and wrongs that is Jeffreys' mixture over the items on which the two disagree.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from gpteval.metrics.base import Floats, Metric
from gpteval.stats.evidence import Evidence, exp
from gpteval.stats.significance import ALPHA, holm
from gpteval.stats.simultaneous import Adjusted

STAKES = 512
_NEAR = 1e-6  # how closely an end of the interval is found, as a share of the scale
TEST = "betting, at any time"


def of_sequence(metric: Metric, a: Floats, b: Floats, *, clustered: bool) -> Evidence:
    """Of two models' statistics over the same items, [n, 2] each: metrics that are a mean of bounded scores.

    Valid for items in random order, as ``--limit`` takes them.
    """
    if metric.kind not in ("binary", "mean") or metric.scale is None:
        return Evidence(why=f"{metric.name} is no mean of bounded scores, which looks at any time need")
    if clustered:
        return Evidence(why="items that belong together allow no looks at any time")
    width = metric.scale - metric.bottom
    values, counts = np.unique((a[:, 0] - b[:, 0]) / width, return_counts=True)
    bets = Betting(values, counts)

    def of_level(level: float) -> tuple[float, float]:
        low, high = bets.interval(level)
        return width * low, width * high

    e_value = exp(bets.log_wealth(0.0))
    return Evidence(test=TEST, p=min(1.0, 1 / e_value), of_level=of_level, e_value=e_value)


class Betting:
    """``counts`` of the ``values`` that differences of scores had, from -1 to 1."""

    def __init__(self, values: Floats, counts: Sequence[int] | np.ndarray) -> None:
        self.values, self.counts = np.asarray(values, dtype=float), np.asarray(counts, dtype=float)

    def log_wealth(self, m: float) -> float:
        """The logarithm of the e-value against a true difference of ``m``."""
        least, most = -1 / (1 - m) if m < 1 else -math.inf, 1 / (1 + m) if m > -1 else math.inf
        stakes = (least + most) / 2 + (most - least) / 2 * _arcsine()
        logs = np.log1p(np.maximum(stakes[:, None] * (self.values - m), -1 + 1e-15)) @ self.counts
        top = float(logs.max())
        return top + math.log(float(np.exp(logs - top).mean()))

    def interval(self, level: float) -> tuple[float, float]:
        """The confidence sequence of this level at the items so far."""
        bar = -math.log(1 - level)
        mean = float(self.values @ self.counts / self.counts.sum())
        return self._end(mean, -1.0, bar), self._end(mean, 1.0, bar)

    def _end(self, inside: float, outside: float, bar: float) -> float:
        """Where the wealth passes ``bar`` on the way from the mean to an end of the scale."""
        if self.log_wealth(outside * (1 - 1e-9)) < bar:
            return outside
        while abs(outside - inside) > _NEAR:
            middle = (inside + outside) / 2
            inside, outside = (inside, middle) if self.log_wealth(middle) >= bar else (middle, outside)
        return outside


@lru_cache(maxsize=1)
def _arcsine() -> Floats:
    """Points from -1 to 1, alike in probability by the arcsine law."""
    return np.asarray(np.cos(np.pi * (np.arange(STAKES) + 0.5) / STAKES))


def by_holm(table: Sequence[Evidence], seed: int = 0) -> Adjusted:
    """A table's rows at any time: Holm's method for p-values, Bonferroni's for intervals."""
    tested = sum(not math.isnan(row.p) for row in table)
    return Adjusted(tuple(holm([row.p for row in table])), ALPHA / max(1, tested))

"""Whether two models part on long or on short prompts: their difference in each quarter of the lengths."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

from gpteval.comparison.answers import Answers, Match
from gpteval.metrics.base import Floats
from gpteval.stats.interval import Z

QUARTERS = ("shortest quarter", "second quarter", "third quarter", "longest quarter")
FEWEST = 10  # items of a task in each quarter


@dataclass(frozen=True)
class LengthPart:
    """The mean difference over a part of the items, in chance-centred scores from 0 (guessing) to 1 (perfect), with a
    95 % interval that is this row's alone. ``shortest`` and ``longest``: prompts of the part, in characters.
    """

    name: str
    items: int
    value: float
    ci_low: float
    ci_high: float
    shortest: int = 0
    longest: int = 0


@dataclass(frozen=True)
class ByLength:
    """``parts``: the quarters of each task's own lengths, the mean over tasks, a task once. ``trend``: the longest
    quarter minus the shortest, ``p`` its two-sided p-value. ``tasks``: how many there are in it.
    """

    parts: tuple[LengthPart, ...]
    trend: LengthPart
    p: float
    tasks: int


@dataclass(frozen=True)
class _OfTask:
    """Mean differences by quarter and their errors, [4]; and each quarter's items and ends."""

    base: str
    means: Floats
    errors: Floats
    items: tuple[int, ...]
    ends: tuple[tuple[int, int], ...]


def by_length(pairs: Sequence[tuple[Answers, Answers, Match]], lengths: Mapping[tuple[str, int], Mapping[str, int]]
              ) -> ByLength | None:  # fmt: skip
    """``lengths``: of each task's prompts, by item. Of the accuracy type alone: elsewhere an item's score says little.

    None where no task has ``FEWEST`` items in each of four quarters.
    """
    found = [one for a, b, met in pairs if (one := _of_task(a, b, met, lengths.get(a.unit) or {})) is not None]
    if not found:
        return None
    means, errors = _over_tasks(found)
    parts = tuple(
        LengthPart(
            name,
            sum(one.items[place] for one in found),
            *_within(float(means[place]), float(errors[place])),
            min(one.ends[place][0] for one in found),
            max(one.ends[place][1] for one in found),
        )
        for place, name in enumerate(QUARTERS)
    )
    value, error = float(means[-1] - means[0]), math.hypot(errors[0], errors[-1])
    trend = LengthPart("longest minus shortest", parts[0].items + parts[-1].items, *_within(value, error))
    return ByLength(parts, trend, math.erfc(abs(value) / error / math.sqrt(2)), len({one.base for one in found}))


def _within(value: float, error: float) -> tuple[float, float, float]:
    return value, value - Z * error, value + Z * error


def _of_task(a: Answers, b: Answers, met: Match, lengths: Mapping[str, int]) -> _OfTask | None:
    if a.centre is None or b.centre is None or a.metric.kind == "ratio":
        return None
    kept = [place for place, at in enumerate(met.a) if a.ids[at] in lengths]
    of = np.array([lengths[a.ids[met.a[place]]] for place in kept])
    if not len(of):
        return None
    quarter = np.searchsorted(np.quantile(of, [0.25, 0.5, 0.75]), of)
    if min(np.bincount(quarter, minlength=4)) < FEWEST:
        return None
    (_, width) = a.centre
    at_a, at_b = met.a[kept], met.b[kept]
    apart = (_scores(a)[at_a] - _scores(b)[at_b]) / width
    units = np.unique([a.units[place] for place in at_a], return_inverse=True)[1]
    each = [quarter == place for place in range(4)]
    return _OfTask(
        a.base,
        np.array([apart[of_part].mean() for of_part in each]),
        np.array([_error(apart[of_part], units[of_part], 1 / width) for of_part in each]),
        tuple(int(of_part.sum()) for of_part in each),
        tuple((int(of[of_part].min()), int(of[of_part].max())) for of_part in each),
    )


def _scores(one: Answers) -> Floats:
    """Items' scores, of a metric whose statistics are a score and 1: [items]."""
    return np.asarray(one.stats[:, 0] / one.stats[:, 1])


def _error(apart: Floats, units: NDArray[np.intp], step: float) -> float:
    """The standard error of a mean of differences, those of a cluster together (Liang and Zeger 1986). Never less than
    if one item differed: that none of a few does is not certainty.
    """
    sums = np.bincount(units, weights=apart - apart.mean())
    clusters = len(np.unique(units))
    n = len(apart)
    own = math.sqrt(float((sums**2).sum()) * clusters / max(1, clusters - 1)) / n
    return max(own, step * math.sqrt((1 - 1 / n) / n) / math.sqrt(n))


def _over_tasks(found: Sequence[_OfTask]) -> tuple[Floats, Floats]:
    """Means over tasks and their errors, a task once: tasks are independent, what is asked twice of one is not."""
    by_base: dict[str, list[_OfTask]] = {}
    for one in found:
        by_base.setdefault(one.base, []).append(one)
    means = [[fmean(one.means[place] for one in of) for place in range(4)] for of in by_base.values()]
    errors = [[fmean(one.errors[place] for one in of) for place in range(4)] for of in by_base.values()]
    return np.mean(means, axis=0), np.sqrt((np.array(errors) ** 2).sum(axis=0)) / len(by_base)

"""What a sample says of a metric's error: pseudo-values by the jackknife, and Student's t on them.

Leaving out one unit (an item, or a cluster of items) after the other tells how much each pulls at the metric: n times
the whole's value minus n - 1 times the value without the unit is the unit's pseudo-value (Tukey 1958). Their mean and
its standard error behave like those of independent measurements, whatever the metric; for a mean they are the scores.

Two things make the interval hold where samples are small or scores lie at an end of their scale:

- Pseudo-items, a best and a worst one (``Metric.pseudo_items``), are counted beside the items: where all of ten answers
  are right, the eleventh need not be. For proportions that is Agresti and Caffo's (2000), for pairs Bonett and Price's
  interval (2012). Among clusters they have the weight of half a mean cluster. A metric of a whole set that has no best
  item, such as BLEU, counts two pseudo-values half of its scale apart: an item seldom moves it by more.
- Student's t has the degrees of freedom of the effective number of units, (sum s)^2 / sum s^2 of their sizes s
  (Kish 1965): one long text among short ones is no sample of many.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from gpteval.metrics.base import Floats, Metric, clustered
from gpteval.stats.significance import LEVEL

FEWEST = 5  # units: of fewer, an interval would be a guess
FEWEST_BLOCKS = 10
_DIGITS = 1e-9  # what rounding may bring, far below float32's
TEXTS = 10  # from so many texts on they are the units, of fewer their blocks


@dataclass(frozen=True)
class Student:
    """An estimate whose error follows Student's t."""

    centre: float
    stderr: float
    freedom: float

    def interval(self, level: float = LEVEL) -> tuple[float, float]:
        from scipy.special import stdtrit

        half = float(stdtrit(self.freedom, (1 + level) / 2)) * self.stderr
        return self.centre - half, self.centre + half

    @property
    def p(self) -> float:
        """Two-sided, of the true value being 0."""
        from scipy.special import stdtr

        return float(2 * stdtr(self.freedom, -abs(self.centre) / self.stderr))


@dataclass(frozen=True)
class PseudoValues:
    """``values``: [units and pseudo-items], of the logarithm for metrics that are compared by ratio.

    ``names``: of the units. ``freedom``: degrees of freedom. ``units``: what they are, items, clusters or blocks of
    texts; ``texts``: of blocks, the text of each.
    """

    values: Floats
    names: tuple[str, ...]
    freedom: float
    units: str = "item"
    texts: tuple[int, ...] = ()

    def minus(self, other: PseudoValues) -> PseudoValues:
        """Of the difference (or the logarithm of the ratio) of two models over the same units."""
        return replace(self, values=self.values - other.values, freedom=min(self.freedom, other.freedom))

    @property
    def alike(self) -> bool:
        """Whether no unit differs from another by more than the last digits of a computation."""
        return self.student.stderr <= _DIGITS * max(1.0, float(np.abs(self.values).max()))

    @cached_property
    def student(self) -> Student:
        if self.texts:
            return Student(float(self.values.mean()), math.sqrt(float((self.pulls**2).sum())), self.freedom)
        count = len(self.values)
        return Student(float(self.values.mean()), float(self.values.std(ddof=1) / math.sqrt(count)), self.freedom)

    @cached_property
    def pulls(self) -> Floats:
        """How much each unit moves the mean: with those of the pseudo-items, squares sum to the error's.

        Of blocks each stretch of neighbours, which are alike: overlapping batch means (Meketon and Schmeiser 1984).
        """
        count = len(self.values)
        if self.texts:
            return _stretches(self.values - self.values.mean(), self.texts, span(count))
        pulls: Floats = (self.values[: len(self.names)] - self.values.mean()) / math.sqrt(count * (count - 1))
        return pulls

    @property
    def pulling(self) -> tuple[str, ...]:
        """The names of what pulls: of units, of stretches those of their first blocks."""
        if not self.texts:
            return self.names
        length = span(len(self.names))
        begins = []
        for text in dict.fromkeys(self.texts):
            places = [place for place, of in enumerate(self.texts) if of == text]
            begins += places[: max(1, len(places) - length + 1)]
        return tuple(self.names[place] for place in begins)

    @property
    def why(self) -> str:
        """Why no interval follows from them; "" where one does."""
        what = self.units
        least = FEWEST_BLOCKS if self.texts else FEWEST
        if len(self.names) < least:
            return too_few(len(self.names), what, least)
        if not np.isfinite(self.values).all():
            return f"the score is not finite without one of the {what}s"
        return f"one {what} outweighs all others" if self.freedom < 1 else ""


def too_few(units: int, what: str = "item", least: int = FEWEST) -> str:
    """Why so few units tell nothing."""
    return f"{units} {what}{'' if units == 1 else 's'}, too few to tell: {least} are needed"


def span(blocks: int) -> int:
    """How many neighbouring blocks make a stretch: it grows with the root, so that their number grows too."""
    return math.ceil(1.5 * math.sqrt(blocks))


def _stretches(residuals: Floats, texts: Sequence[int], length: int) -> Floats:
    """Pulls of all stretches of ``length`` neighbouring blocks of a text, of a shorter text of the whole."""
    labels = np.asarray(texts)
    sums: list[Floats] = []
    for text in dict.fromkeys(texts):
        totals = np.concatenate([[0.0], np.cumsum(residuals[labels == text])])
        reach = min(length, len(totals) - 1)
        sums.append((totals[reach:] - totals[:-reach]) / math.sqrt(reach))
    found = np.concatenate(sums)
    return np.asarray(found / math.sqrt(len(found) * max(1, len(residuals) - length)))


def pseudo_values(
    metric: Metric,
    stats: Floats,
    names: Sequence[str] | None = None,
    *,
    turned: bool = False,
    weight: float = 1.0,
    texts: Sequence[int] | None = None,
) -> PseudoValues:
    """The metric's pseudo-values over units; ``names``: each item's unit, its own where it belongs to no cluster.

    ``texts``: the items are blocks of texts, in their order, and this is each one's text.
    ``turned``: worst pseudo-items first; of a pair one model is turned, so that each is once ahead. ``weight``: of the
    pseudo-items.
    """
    named = tuple(map(str, range(len(stats)))) if names is None else names
    units, sums = clustered(named, stats)
    _, sizes = clustered(named, metric.sizes(stats))
    ends = metric.pseudo_items(stats)
    if ends is not None:
        weight *= max(1.0, len(stats) / len(units) / 2)
        ends = np.concatenate(ends[::-1] if turned else ends) * weight
        sums = np.concatenate([sums, ends])
        sizes = np.concatenate([sizes, np.full(len(ends), weight * 2 / len(ends))])
    with np.errstate(all="ignore"):
        freedom = float(sizes.sum() ** 2 / (sizes**2).sum() - 1)
        whole = sums.sum(axis=0)
        value, without = metric.value(whole), metric.value(whole - sums)
        if metric.by_ratio:
            value, without = np.log(value), np.log(without)
        values = len(sums) * value - (len(sums) - 1) * without
    if ends is None and metric.scale is not None:
        quarters = (metric.scale - metric.bottom) * np.array([0.25, 0.75]) + metric.bottom
        values = np.append(values, quarters if turned else quarters[::-1])
    if texts is not None:  # of stretches of n / L each, 1.5 n / L degrees of freedom (Meketon and Schmeiser 1984)
        freedom = max(1.0, min(freedom, 1.5 * len(values) / span(len(values)) - 1))
        return PseudoValues(values, tuple(units), freedom, "block", tuple(texts))
    return PseudoValues(values, tuple(units), freedom, "cluster" if len(units) < len(stats) else "item")

"""What a comparison says: one frozen row a pair of models, or of generations."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from gpteval.stats.evidence import Evidence, exp
from gpteval.stats.interval import Estimate
from gpteval.stats.significance import ALPHA
from gpteval.stats.simultaneous import Adjusted, adjusted, question

IN_DOCUMENTS = {"value": "effect", "method": "test"}  # what JSON and CSV call these of a figure


@dataclass(frozen=True, kw_only=True)
class Figure(Estimate):
    """A paired figure: ``value`` is that of ``a`` minus that of ``b``, or over it where metrics are compared by ratio.

    It is above 0 (a ratio: above 1) as values go, whichever direction is better. Interval and ``p`` are of this row
    alone, ``method`` is the test. ``stderr``: of the difference, of a ratio of its logarithm.
    ``ahead``: the share of resamples in which ``a`` is better. ``correlation``: of the two models' scores; ``gain``:
    how many times the items two samples without pairs would need. ``p_sacrebleu``: that of ``sacrebleu --paired-bs``.
    ``e_value``: where looks at any time were asked for, of which ``p`` is the inverse.
    """

    value_a: float
    value_b: float
    ahead: float
    correlation: float
    gain: float
    p_sacrebleu: float = math.nan
    e_value: float = math.nan

    @property
    def effect(self) -> float:
        return self.value

    @property
    def test(self) -> str:
        return self.method


@dataclass(frozen=True)
class Pair:
    """Two models on one task, or over several (``task`` names which).

    ``p_adjusted`` and ``low`` to ``high`` hold for all rows of the table at once, and verdict and ranks come from them.
    ``mde``: minimum detectable effect, the least difference that this test shows with a power of 80 %; of a ratio, as a
    factor above 1. ``uncut``: the figure over the items that neither had to cut, None where that is all or none.
    ``disagreement``: how ``uncut`` says otherwise. ``notes``: what differed between the two results.
    """

    task: str
    shots: int
    family: str
    metric: str
    model_a: str
    model_b: str
    higher_is_better: bool
    by_ratio: bool
    full: float | None  # a perfect answer's value
    figure: Figure
    uncut: Figure | None = None
    p_adjusted: float = math.nan
    low: float = math.nan
    high: float = math.nan
    mde: float = math.nan
    verdict: str = ""
    disagreement: str = ""
    notes: tuple[str, ...] = ()

    @property
    def better(self) -> str:
        """The model whose value is better; "" where they are equal, or one is not known."""
        zero = 1.0 if self.by_ratio else 0.0
        if self.figure.effect == zero or math.isnan(self.figure.effect):
            return ""
        return self.model_a if (self.figure.effect > zero) == self.higher_is_better else self.model_b

    @property
    def significant(self) -> bool:
        """After the adjustment for the table."""
        return self.p_adjusted < ALPHA

    @property
    def unit(self) -> str:
        """In which differences are told: points of a hundred, percent of a ratio, else the metric's own unit."""
        return "%" if self.by_ratio else "points" if self.full in (1.0, 100.0) else ""

    def in_unit(self, difference: float) -> float:
        """A difference, or a ratio, in ``unit``: of a ratio how much above 1."""
        return 100 * (difference - 1) if self.by_ratio else difference * (100 if self.full == 1.0 else 1)

    @property
    def apart(self) -> float:
        """How far apart the two may be at most, in ``unit``."""
        ends = (self.high, 1 / self.low if self.low > 0 else math.inf) if self.by_ratio else (self.high, -self.low)
        return max(self.in_unit(end) for end in ends)


Judgement = tuple[Pair, Evidence]
Answered = dict[bytes, tuple[float, float]]  # by question: its adjusted p-value, and the level of its table's rows


def judged(
    rows: Sequence[Judgement],
    *,
    seed: int = 0,
    margin: float = 0.0,
    known: Answered | None = None,
    adjust: Callable[[Sequence[Evidence], int], Adjusted] = adjusted,
) -> tuple[Pair, ...]:
    """The pairs of one table with p-values and intervals that hold for all of them, and a verdict each.

    ``margin``: in points (of a ratio, percent); two whose whole interval lies within it are alike. ``known``: what
    tables before this one answered; their questions have their answers, and those of this one are added. ``adjust``:
    what makes a table of rows.
    """
    known = {} if known is None else known
    asked = [
        None if math.isnan(evidence.p) else question(evidence) if evidence.pulls else b"%d" % place
        for place, (_, evidence) in enumerate(rows)
    ]
    new = [place for place, one in enumerate(asked) if one not in known]
    table = adjust([rows[place][1] for place in new], seed)
    known |= {one: (p, table.alpha) for place, p in zip(new, table.p, strict=True) if (one := asked[place])}
    found = []
    for (pair, evidence), one in zip(rows, asked, strict=True):
        p, alpha = known[one] if one else (math.nan, table.alpha)
        low, high = evidence.interval(1 - alpha, _as_own(p, alpha))
        mde = evidence.least_effect(alpha)
        if pair.by_ratio:
            low, high, mde = exp(low), exp(high), exp(mde)
        row = replace(pair, p_adjusted=p, low=low, high=high, mde=mde, disagreement=_disagreement(pair))
        found.append(replace(row, verdict=_verdict(row, margin)))
    return tuple(found)


def _as_own(p_adjusted: float, alpha: float) -> float:
    """What an adjusted p-value says, at the level of a single row."""
    return p_adjusted * alpha / ALPHA


def _verdict(pair: Pair, margin: float) -> str:
    if math.isnan(pair.p_adjusted):
        return f"no verdict: {pair.figure.why}"
    if pair.significant and pair.better:
        return f"{pair.better} is better"
    unit = f" {pair.unit}" if pair.unit else ""
    if pair.apart <= margin:
        return f"alike within {margin:g}{unit}"
    return f"not separated: at most {_short(pair.apart)}{unit} apart"


def _short(value: float) -> str:
    """Up, so that "at most" stays true, to a digit that says something."""
    digits = 1 if value >= 1 else 2 if value >= 0.1 else 3
    return f"{math.ceil(value * 10**digits) / 10**digits:.{digits}f}" if math.isfinite(value) else "any number of"


def _disagreement(pair: Pair) -> str:
    if pair.uncut is None:
        return ""
    zero = 1.0 if pair.by_ratio else 0.0
    if (pair.figure.effect - zero) * (pair.uncut.effect - zero) < 0:
        return "the sign turns around"
    if pair.figure.significant != pair.uncut.significant:
        return "significant only " + ("over all items" if pair.figure.significant else "where nothing was cut")
    return ""


@dataclass(frozen=True)
class Generations:
    """What a newer generation, or side, brings over an older one.

    ``form``: family means, best against best, matched size, or several where they are the same models. ``news`` and
    ``olds``: the models. ``over_models``: the interval is over models as well as items, so the statement is one on the
    generations; else it is one on these models. ``pair``: the figure, None where there is none, for which ``why`` has
    the reason.
    """

    older: str
    newer: str
    form: str
    news: tuple[str, ...]
    olds: tuple[str, ...]
    over_models: bool = False
    pair: Pair | None = None
    why: str = ""


def as_dict(value: Any) -> Any:
    """Dataclasses, tuples and numbers as plain JSON values; what is not finite becomes None."""
    if hasattr(value, "__dataclass_fields__"):
        found = {name: as_dict(getattr(value, name)) for name in value.__dataclass_fields__}
        if isinstance(value, Figure):
            return {IN_DOCUMENTS.get(name, name): one for name, one in found.items()}
        return found | {"room": found["uncut"]} if isinstance(value, Pair) else found  # as 0.1.0 called it
    if isinstance(value, tuple | list):
        return [as_dict(one) for one in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value

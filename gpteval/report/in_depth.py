"""Two models in depth: where they part, by task and by length; what the page of the kind ``compare`` shows."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from gpteval.comparison.answers import Answers, Match, match
from gpteval.comparison.by_length import ByLength, by_length
from gpteval.comparison.compare import Comparison, compare, load
from gpteval.comparison.results import Pair
from gpteval.comparison.sentences import verb
from gpteval.core.errors import UsageError
from gpteval.core.show import p_value, signed
from gpteval.core.types import FAMILIES
from gpteval.stats.interval import yes_or_no
from gpteval.store.documents import read_samples
from gpteval.store.runs import Runs


@dataclass(frozen=True)
class BothRight:
    """How many items both answered right, only the first model, only the second, and neither."""

    both: int
    only_a: int
    only_b: int
    neither: int


@dataclass(frozen=True)
class InDepth:
    """``a`` minus ``b`` throughout. ``pairs``: their tasks, those on which ``a`` is ahead most surely first.
    ``answered``: by task and number of examples, where answers are right or wrong.
    """

    a: str
    b: str
    comparison: Comparison
    pairs: tuple[Pair, ...]
    answered: Mapping[tuple[str, int], BothRight]
    lengths: ByLength | None

    @property
    def overall(self) -> Pair | None:
        return next(iter(self.comparison.overall), None)

    @property
    def answer(self) -> str:
        """Which is better over all tasks, in a sentence; "" where they share no right and wrong answers."""
        pair = self.overall
        if pair is None:
            return ""
        low, value, high = (signed(pair.in_unit(end)) for end in (pair.low, pair.figure.effect, pair.high))
        if math.isnan(pair.p_adjusted):
            return f"{self.a} against {self.b}, over {pair.task}: {value} points, {pair.verdict}."
        by = "by" if pair.significant else "at"
        over = f"p {p_value(pair.p_adjusted)}, over {pair.task}"
        return f"{self.a} {verb(pair)} {self.b} {by} {value} points ({low} to {high}), {over}."

    @property
    def trend(self) -> str:
        """What the quarters of the lengths say together; "" where there are none."""
        return trend_sentence(self.lengths, self.a, self.b) if self.lengths else ""

    @property
    def means(self) -> list[Pair]:
        """Over families, in the project's order, where there are several."""
        known = list(FAMILIES)
        return sorted(self.comparison.families, key=lambda row: (*known, row.family).index(row.family))

    def bar(self, pair: Pair) -> tuple[float, float, float, float] | None:
        """Where on an axis that all rows told in points share lie no difference, the interval's ends and the value,
        in percent of its width; None for others, or without an interval.
        """
        ends = [self._ends(one) for one in (*self.pairs, *self.means)]
        every = [0.0, *(end for found in ends if found for end in found)]
        own, low, width = self._ends(pair), min(every), max(every) - min(every)
        if own is None or not width:
            return None
        zero, left, at, right = (100 * (end - low) / width for end in (0.0, *own))
        return zero, left, right, at

    @staticmethod
    def _ends(pair: Pair) -> tuple[float, float, float] | None:
        ends = (pair.low, pair.figure.effect, pair.high)
        if pair.unit != "points" or not np.isfinite(ends).all():
            return None
        low, at, high = map(pair.in_unit, ends)
        return low, at, high


def in_depth(runs: Runs) -> InDepth:
    """Of the two models that the runs have; of runs that stopped when they were decided without the lengths, whose
    intervals do not allow for that. Raises UsageError for fewer or more models, and what ``compare`` raises.
    """
    names = list(dict.fromkeys(row["model"] for row in runs.merged.rows))
    if len(names) != 2:
        raise UsageError(f"two models are compared in depth, and here are {len(names)}", "choose two with --models A,B")
    comparison = compare(runs)
    b, a = comparison.models
    by_unit: dict[tuple[str, int], dict[str, Answers]] = {}
    for one in load(runs, None):
        by_unit.setdefault(one.unit, {})[one.model] = one
    met = [(of[a], of[b], match(of[a], of[b])) for of in by_unit.values() if len(of) > 1]
    met = [one for one in met if one[0].metric == one[1].metric]
    grown = any(one.facts.get("until_decided") for both in by_unit.values() for one in both.values())
    lengths = {one.unit: _lengths(runs, one) for one, _, _ in met if one.centre is not None}
    return InDepth(
        a,
        b,
        comparison,
        tuple(sorted(comparison.pairs, key=_surely)),
        {one.unit: _answered(one, other, found) for one, other, found in met if _one_answer(one, other)},
        None if grown else by_length(met, lengths),
    )


def _one_answer(a: Answers, b: Answers) -> bool:
    """Whether each item is right or wrong for both: of several answers it has a share."""
    return a.metric.kind == "binary" and yes_or_no(a.stats) and yes_or_no(b.stats)


def _surely(pair: Pair) -> float:
    """In standard errors, the worse the later; what has no test last."""
    figure = pair.figure
    if not figure.stderr or not np.isfinite(figure.stderr):
        return np.inf
    zero = 1.0 if pair.by_ratio else 0.0
    effect = float(np.log(figure.effect)) if pair.by_ratio and figure.effect > 0 else figure.effect - zero
    return -effect / figure.stderr * (1 if pair.higher_is_better else -1)


def _lengths(runs: Runs, one: Answers) -> dict[str, int]:
    """Characters of each item's prompt."""
    file = runs.merged.samples[one.unit][one.model]
    return {row["item_id"]: len(row["prompt"]) for row in read_samples(file, ["item_id", "prompt"])}


def _answered(a: Answers, b: Answers, met: Match) -> BothRight:
    right_a, right_b = (one.stats[at, 0] > 0 for one, at in ((a, met.a), (b, met.b)))
    both, only_a, only_b = (
        int((x & y).sum()) for x, y in ((right_a, right_b), (right_a, ~right_b), (~right_a, right_b))
    )
    return BothRight(both, only_a, only_b, len(met.a) - both - only_a - only_b)


def trend_sentence(found: ByLength, a: str, b: str) -> str:
    """What the quarters of the lengths say together."""
    trend = found.trend
    low, value, high = (signed(100 * x) for x in (trend.ci_low, trend.value, trend.ci_high))
    over = f"over {found.tasks} task{'' if found.tasks == 1 else 's'}"
    within = f"{value} points ({low} to {high}) from the shortest quarter of the prompts to the longest, {over}"
    if trend.ci_low > 0 or trend.ci_high < 0:
        which = "better" if trend.value > 0 else "worse"
        return f"The longer the prompt, the {which} does {a} against {b}: {within}."
    return f"That {a} and {b} part more on long or on short prompts is not seen: {within}."

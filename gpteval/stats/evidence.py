"""What the items say of one difference: a p-value, intervals of any level that agree with it, and how each item pulls.

Where ``p`` is below 1 - level, the interval of that level leaves out 0, and else it holds 0: a reader of both is never
told two things.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from gpteval.metrics.base import Floats
from gpteval.stats.jackknife import FEWEST, PseudoValues, Student, too_few
from gpteval.stats.significance import ALPHA, POWER, mcnemar, tango

Interval = Callable[[float], tuple[float, float]]
Pulls = Mapping[str, tuple[tuple[str, ...], Floats]]
_ALIKE = "both have the same score on every item"
_CONSTANT = "they differ by the same amount on every item, so the items tell no error"


def exp(value: float) -> float:
    """Of a difference of logarithms the ratio; infinite where it is beyond all numbers."""
    return math.inf if value > 700 else math.exp(value)


def _nowhere(level: float) -> tuple[float, float]:
    return math.nan, math.nan


@dataclass(frozen=True)
class Evidence:
    """Of a difference, or of the logarithm of a ratio.

    ``of_level``: the interval of a level, by the test itself. ``pulls``: by task, the units' names and how much each
    moves the difference; the sum of their squares is at most that of ``stderr``. ``why``: why there is no test.
    ``e_value``: of looks at any time. ``correlation``: of the two models' scores; ``gain``: how many times the items
    two unpaired samples would need.
    """

    test: str = ""
    p: float = math.nan
    stderr: float = math.nan
    freedom: float = math.inf
    of_level: Interval = field(default=_nowhere, compare=False)
    pulls: Pulls = field(default_factory=dict, compare=False)
    why: str = ""
    correlation: float = math.nan
    gain: float = math.nan
    e_value: float = math.nan

    def interval(self, level: float, p: float | None = None) -> tuple[float, float]:
        """The interval of this level, made to say the same as ``p``: the test's own p-value, or an adjusted one."""
        low, high = self.of_level(level)
        if math.isnan(low):
            return low, high
        if (self.p if p is None else p) >= 1 - level:
            return min(low, 0.0), max(high, 0.0)
        return (max(low, 0.0), high) if low + high > 0 else (low, min(high, 0.0))

    def least_effect(self, alpha: float = ALPHA, power: float = POWER) -> float:
        """The least difference that a test with two sides at ``alpha`` shows with this power, NaN without an error."""
        if math.isnan(self.stderr):
            return math.nan
        from scipy.special import ndtri, stdtrit

        def quantile(share: float) -> float:
            return float(ndtri(share) if math.isinf(self.freedom) else stdtrit(self.freedom, share))

        return (quantile(1 - alpha / 2) + quantile(power)) * self.stderr

    def scaled(self, factor: float) -> Evidence:
        """Of the same difference in units that are ``factor`` times smaller."""

        def of_level(level: float) -> tuple[float, float]:
            low, high = self.of_level(level)
            return low * factor, high * factor

        pulls = {task: (names, pulls * factor) for task, (names, pulls) in self.pulls.items()}
        return replace(self, stderr=self.stderr * factor, of_level=of_level, pulls=pulls)


def of_answers(task: str, a: Floats, b: Floats, names: Sequence[str]) -> Evidence:
    """McNemar's test and Tango's interval of rights (1) and wrongs (0) of items that do not depend on each other.

    The error is that of Bonett and Price (2012), which is not 0 where nobody disagrees.
    """
    n, right_a, right_b, both_right = len(a), int(a.sum()), int(b.sum()), int(a @ b)
    only_a, only_b = right_a - both_right, right_b - both_right
    if n < FEWEST:
        return Evidence(why=too_few(n))
    both = PseudoValues(np.concatenate([a - b, [1.0, -1.0]]), tuple(names), n + 1.0)
    stderr = both.student.stderr
    spread = math.sqrt(right_a * (n - right_a) * right_b * (n - right_b))
    return Evidence(
        test="exact McNemar",
        p=mcnemar(only_a, only_b),
        stderr=stderr,
        of_level=lambda level: tango(only_a, only_b, n, level),
        pulls={task: (both.names, both.pulls)},
        correlation=(n * both_right - right_a * right_b) / spread if spread else math.nan,
        gain=(right_a * (n - right_a) + right_b * (n - right_b)) / n**3 / stderr**2,
    )


def of_pair(task: str, a: PseudoValues, b: PseudoValues) -> Evidence:
    """Student's t on the paired pseudo-values of two models over the same units."""
    both = a.minus(b)
    if both.why:
        return Evidence(why=both.why)
    student = both.student
    if both.alike:
        return Evidence(why=_ALIKE if abs(student.centre) <= max(student.stderr, 1e-9) else _CONSTANT)
    return Evidence(
        test="paired jackknife t",
        p=student.p,
        stderr=student.stderr,
        freedom=student.freedom,
        of_level=student.interval,
        pulls={task: (both.pulling, both.pulls)},
        correlation=_correlation(a.values, b.values),
        gain=(a.student.stderr**2 + b.student.stderr**2) / student.stderr**2,
    )


def of_mean(parts: Sequence[tuple[str, PseudoValues]]) -> Evidence:
    """Student's t of a sum over tasks; ``parts``: each task's name and the pseudo-values of its term.

    What a unit says under several numbers of examples or templates is added up before it is squared. Degrees of freedom
    are Satterthwaite's (1946).
    """
    units = sum({task: len(values.names) for task, values in parts}.values())
    if units < FEWEST:
        return Evidence(why=too_few(units))
    if not all(np.isfinite(values.values).all() for _, values in parts):
        return Evidence(why="a task's score is not finite without one of its items")
    by_task: dict[str, list[PseudoValues]] = defaultdict(list)
    for task, values in parts:
        by_task[task].append(values)
    pulls = {task: _added(terms) for task, terms in by_task.items()}
    variances = {task: float((pulls[task][1] ** 2).sum()) + _unseen(by_task[task]) for task in pulls}
    variance = sum(variances.values())
    if variance == 0:
        return Evidence(why=_ALIKE)
    df = variance**2 / sum(v**2 / max(1.0, by_task[task][0].freedom) for task, v in variances.items())
    centre = sum(float(values.values[: len(values.names)].mean()) for _, values in parts)  # without the pseudo-items
    student = Student(centre, math.sqrt(variance), df)
    return Evidence(
        test="paired jackknife t over tasks",
        p=student.p,
        stderr=student.stderr,
        freedom=df,
        of_level=student.interval,
        pulls=pulls,
    )


def over_models(items: Evidence, sides: Sequence[Floats], both: float) -> Evidence:
    """Of the difference of two sides' means where models, too, are a sample: other trainings would score otherwise.

    ``sides``: the models' scores, [models] each. ``items``: the difference over items. The variance is that over items
    and Welch's (1947) over models, less ``both``, the part that either counts (Cornfield and Tukey 1956); at least the
    items'. Degrees of freedom are Satterthwaite's (1946).
    """
    if items.why:
        return items
    of_sides = [float(scores.var(ddof=1)) / len(scores) for scores in sides]
    seen = items.stderr**2
    variance = max(seen, seen + sum(of_sides) - both)
    freedom = seen**2 / items.freedom + sum(v**2 / (len(s) - 1) for v, s in zip(of_sides, sides, strict=True))
    student = Student(float(sides[0].mean() - sides[1].mean()), math.sqrt(variance), variance**2 / freedom)
    return replace(
        items,
        test="Welch's t over models and items",
        p=student.p,
        stderr=student.stderr,
        freedom=student.freedom,
        of_level=student.interval,
    )


def _added(terms: Sequence[PseudoValues]) -> tuple[tuple[str, ...], Floats]:
    """The pulls of several terms over the same units, or over some of them."""
    if all(term.names == terms[0].names for term in terms):
        return terms[0].names, np.sum([term.pulls for term in terms], axis=0)
    names = tuple(dict.fromkeys(name for term in terms for name in term.names))
    places = {name: place for place, name in enumerate(names)}
    pulls = np.zeros(len(names))
    for term in terms:
        pulls[[places[name] for name in term.names]] += term.pulls
    return names, pulls


def _unseen(terms: Sequence[PseudoValues]) -> float:
    """The pseudo-items' part of the variance: what an unseen item says, it says under all the terms."""
    alone = (term.student.stderr**2 - float((term.pulls**2).sum()) for term in terms)
    return sum(math.sqrt(max(0.0, variance)) for variance in alone) ** 2


def _correlation(a: Floats, b: Floats) -> float:
    return float(np.corrcoef(a, b)[0, 1]) if a.std() > 0 and b.std() > 0 else math.nan

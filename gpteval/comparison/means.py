"""Means over tasks of some models against others: what counts in them, and what their items say.

A task counts once, and so does an item, however many numbers of examples and templates it ran under: their mean within
the task comes first. Metrics that have no common scale are never averaged together; each has a mean of its own.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import compress

import numpy as np

from gpteval.comparison.answers import Answers, TaskShots
from gpteval.comparison.pairing import PairedAnswers, figure_of
from gpteval.comparison.results import Figure, Judgement, Pair
from gpteval.core.show import listed
from gpteval.metrics.base import Floats, Mask
from gpteval.stats.evidence import Evidence, of_mean, over_models
from gpteval.stats.jackknife import PseudoValues

CENTRED = "centred score"  # of right and wrong answers: 0 for guessing, 1 for perfect
Masks = Mapping[TaskShots, Mapping[str, Mask]]


def measure_of(one: Answers) -> str:
    """What a task is averaged by: its chance-centred score where it has one, else its metric."""
    return CENTRED if one.centre else one.metric.name


def tasks_of(paired: PairedAnswers, names: Sequence[str] = (), measure: str | None = None) -> list[str]:
    """The tasks that all of ``names`` ran, by this measure or any; those of several templates once."""
    return list(dict.fromkeys(_first(paired, unit).base for unit in units_of(paired, names, measure)))


@dataclass(frozen=True)
class Counted:
    """The tasks of a comparison by what they are averaged by, the chance-centred score first."""

    by_measure: tuple[tuple[str, tuple[str, ...]], ...]

    @classmethod
    def of(cls, paired: PairedAnswers) -> Counted:
        found = dict.fromkeys([CENTRED, *(measure_of(_first(paired, unit)) for unit in paired.of)])
        tasks = ((measure, tuple(tasks_of(paired, (), measure))) for measure in found)
        return cls(tuple((measure, some) for measure, some in tasks if some))

    @property
    def sentence(self) -> str:
        """What is averaged and what stands apart."""
        whole = len({task for _, some in self.by_measure for task in some})
        counts = {measure: len(some) for measure, some in self.by_measure}
        centred = counts.pop(CENTRED, 0)
        apart = [f"{measure} ({count} task{'' if count == 1 else 's'})" for measure, count in counts.items()]
        if not centred:
            return f"No task has right and wrong answers: {listed(apart)}, each metric for itself."
        those = ", those with right and wrong answers" if counts else ""
        said = f"Means are over {_counted(centred, whole)}{those}, each counted once"
        return f"{said}; apart from them: {listed(apart)}." if counts else f"{said}."


def units_of(
    paired: PairedAnswers, names: Sequence[str], measure: str | None = None, family: str | None = None
) -> list[TaskShots]:
    """What all of ``names`` ran, by a measure and of a family."""
    return [
        unit
        for unit, models in paired.of.items()
        if all(name in models for name in names)
        and all(measure in (None, measure_of(models[name])) for name in (names or list(models)[:1]))
        and family in (None, _first(paired, unit).family)
    ]


def mean(
    paired: PairedAnswers,
    newer: Sequence[str],
    older: Sequence[str],
    *,
    family: str | None = None,
    measure: str = CENTRED,
    models_vary: bool = False,
) -> Judgement | None:
    """The mean of some models against others', over what all of them ran; None where that is nothing.

    ``models_vary``: the models stand for others like them, so their differences are part of the error.
    """
    units = units_of(paired, [*newer, *older], measure, family)
    found = _figure(paired, units, newer, older, models_vary, kept=False) if units else None
    if found is None:
        return None
    cut = any(paired.of[unit][name].truncated.any() for unit in units for name in (*newer, *older))
    kept = _figure(paired, units, newer, older, models_vary, kept=True) if cut else None
    if kept is not None and kept[0].n == found[0].n:
        kept = None
    if paired.common and kept is not None:
        found, kept = kept, found
    metric = paired.of[units[0]][newer[0]].metric
    tasks = _counted(len({_first(paired, unit).base for unit in units}), len(tasks_of(paired)))
    return Pair(
        *(family or tasks, 0, family or "", measure, ", ".join(newer), ", ".join(older)),
        higher_is_better=True if measure == CENTRED else metric.higher_is_better,
        by_ratio=measure != CENTRED and metric.by_ratio,
        full=1.0 if measure == CENTRED else metric.scale,
        figure=found[0],
        uncut=kept[0] if kept else None,
    ), found[1]


def _counted(some: int, whole: int) -> str:
    """How many of all tasks."""
    tasks = f"{whole} task{'' if whole == 1 else 's'}"
    return f"{some} of {tasks}" if some < whole else tasks if whole == 1 else f"all {tasks}"


def score(paired: PairedAnswers, model: str, units: Sequence[TaskShots], measure: str = CENTRED) -> float:
    """A model's mean over units, a task once; higher is better."""
    if not units:
        return -math.inf
    whole = {unit: {model: np.ones(len(paired.of[unit][model].ids), dtype=bool)} for unit in units}
    value, _ = _side(paired, [model], whole)
    return value if measure == CENTRED or paired.of[units[0]][model].metric.higher_is_better else -value


def _figure(
    paired: PairedAnswers,
    units: Sequence[TaskShots],
    newer: Sequence[str],
    older: Sequence[str],
    models_vary: bool,
    *,
    kept: bool,
) -> tuple[Figure, Evidence] | None:
    """None where a unit has no item that all the models share."""
    shared = {unit: paired.shared(unit, [*newer, *older], kept) for unit in units}
    if not all(masks[newer[0]].any() for masks in shared.values()):
        return None
    (value_a, draws_a), (value_b, draws_b) = (_side(paired, names, shared) for names in (newer, older))
    first = paired.of[units[0]][newer[0]]
    evidence = _evidence(paired, newer, older, shared)
    if models_vary:
        evidence = _over_models(paired, (newer, older), shared, evidence)
    ratio = first.metric.by_ratio and not first.centre
    if ratio:
        value_a, value_b, draws_a, draws_b = np.exp(value_a), np.exp(value_b), np.exp(draws_a), np.exp(draws_b)
    n = _items(paired, newer[0], shared)
    return figure_of(first, n, float(value_a), float(value_b), draws_a, draws_b, evidence, ratio=ratio), evidence


def _items(paired: PairedAnswers, model: str, shared: Masks) -> int:
    """How many, each once."""
    by_task: dict[str, list[TaskShots]] = defaultdict(list)
    for unit in shared:
        by_task[_first(paired, unit).base].append(unit)
    return sum(_items_of(paired, model, units, shared) for units in by_task.values())


def _items_of(paired: PairedAnswers, model: str, units: Sequence[TaskShots], shared: Masks) -> int:
    if len(units) == 1:
        return int(shared[units[0]][model].sum())
    return len({name for unit in units for name in compress(paired.of[unit][model].ids, shared[unit][model])})


def _shares(paired: PairedAnswers, units: Mapping[TaskShots, object]) -> dict[TaskShots, float]:
    """What each unit counts in the mean: tasks alike, and the units of a task alike."""
    bases = {unit: _first(paired, unit).base for unit in units}
    counts = Counter(bases.values())
    return {unit: 1 / len(counts) / counts[base] for unit, base in bases.items()}


def _evidence(paired: PairedAnswers, newer: Sequence[str], older: Sequence[str], shared: Masks) -> Evidence:
    """Two models on one unit are the same question as their row, and so have the same answer."""
    if len(shared) == len(newer) == len(older) == 1:
        ((unit, masks),) = shared.items()
        a, b = paired.of[unit][newer[0]], paired.of[unit][older[0]]
        return paired.evidence(a, b, masks[a.model], masks[b.model]).scaled(1 / _width(a))
    first, second = (_terms(paired, names, shared, turned=turned) for names, turned in ((newer, False), (older, True)))
    return of_mean([(base, a.minus(b)) for (base, a), (_, b) in zip(first, second, strict=True)])


def _over_models(paired: PairedAnswers, sides: Sequence[Sequence[str]], shared: Masks, evidence: Evidence) -> Evidence:
    """``evidence`` where models vary too. What an item says of one model alone is part of either error."""
    both = 0.0
    for names in sides:
        whole, *alone = (
            of_mean(_terms(paired, some, shared, turned=False)).stderr ** 2 for some in (names, *([n] for n in names))
        )
        part = (float(np.mean(alone)) - whole) / (len(names) - 1)
        both += max(0.0, part) if math.isfinite(part) else 0.0
    scores = [np.array([_side(paired, [name], shared)[0] for name in names]) for names in sides]
    return over_models(evidence, scores, both)


def _terms(
    paired: PairedAnswers, names: Sequence[str], shared: Masks, *, turned: bool
) -> list[tuple[str, PseudoValues]]:
    """What each unit adds to the models' mean, and its task.

    The pseudo-items have a weight with which they widen a mean of tasks as they widen one task.
    """
    shares = _shares(paired, shared)
    weight = 1 / math.sqrt(len({_first(paired, unit).base for unit in shared}))
    terms = []
    for unit, share in shares.items():
        models = paired.of[unit]
        found = [paired.pseudo(models[n], shared[unit][n], turned=turned, weight=weight) for n in names]
        scaled = [one.values / _width(models[n]) for one, n in zip(found, names, strict=True)]
        terms.append((_first(paired, unit).base, replace(found[0], values=np.mean(scaled, axis=0) * share)))
    return terms


def _side(paired: PairedAnswers, names: Sequence[str], shared: Masks) -> tuple[float, Floats]:
    """Some models' mean, and that mean on each resample; of metrics that are compared by ratio, of the logarithm."""
    key = tuple((unit, name, shared[unit][name].tobytes()) for unit in shared for name in names)
    if key not in paired.sides:
        value, draws = 0.0, np.zeros(paired.draws)
        for unit, share in _shares(paired, shared).items():
            ones = [(paired.of[unit][name], shared[unit][name]) for name in names]
            values = [_scaled(one, one.metric.value(one.stats[mask].sum(axis=0))) for one, mask in ones]
            value += share * float(np.mean(values))
            draws += share * np.mean([_scaled(one, paired.sampled(one, mask)) for one, mask in ones], axis=0)
        paired.sides[key] = value, draws
    return paired.sides[key]


def _first(paired: PairedAnswers, unit: TaskShots) -> Answers:
    return next(iter(paired.of[unit].values()))


def _scaled(one: Answers, values: Floats) -> Floats:
    """On the scale of the mean: from guessing to perfect, a logarithm, or as it is."""
    if one.centre:
        chance, width = one.centre
        return (values - chance) / width
    with np.errstate(all="ignore"):
        return np.log(values) if one.metric.by_ratio else values


def _width(one: Answers) -> float:
    """From guessing to perfect."""
    return one.centre[1] if one.centre else 1.0

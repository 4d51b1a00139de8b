"""What did a generation bring? Families' means, best against best, and models of the same size.

A mean of three or more models a side is held against other models as well as other items, and is a statement on the
generations. With fewer it is one on the models that ran: trainings of one recipe differ, and more items do not tell.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from gpteval.comparison.answers import Answers
from gpteval.comparison.means import CENTRED, Counted, mean, score, units_of
from gpteval.comparison.pairing import PairedAnswers
from gpteval.comparison.results import Generations, Judgement, Pair
from gpteval.core.generations import NAMES

ALIKE = 1.25  # largest ratio of parameters at which two models are of the same size
MEANS, BEST, MATCHED = "family means", "best against best", "matched size"
MODELS = 3  # a side, from which on a statement is one on the generation

Sides = Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Statement:
    """A statement before its table is judged."""

    row: Generations
    judgement: Judgement | None

    @property
    def news(self) -> tuple[str, ...]:
        return self.row.news

    @property
    def olds(self) -> tuple[str, ...]:
        return self.row.olds


def statements(paired: PairedAnswers, sides: Sides) -> list[Statement]:
    """Each side against the one before, and the last against the first; the generations where none are named."""
    facts = {name: one for models in paired.of.values() for name, one in models.items()}
    present = dict(sides) or _generations(facts)
    names = list(present)
    ends = [(names[0], names[-1])] if len(names) > 2 else []
    measures = [measure for measure, _ in Counted.of(paired).by_measure]
    return [
        form
        for older, newer in [*pairwise(names), *ends]
        for measure in measures
        for form in _forms(paired, measure, (older, present[older]), (newer, present[newer]), facts, named=bool(sides))
    ]


def with_figures(
    made: Sequence[Statement], named: Sequence[Pair], over_models: Sequence[Pair]
) -> tuple[Generations, ...]:
    """The statements with their figures, as the tables of those on named models and of those over models have them."""
    tables = {False: iter(named), True: iter(over_models)}
    return tuple(
        one.row if one.judgement is None else replace(one.row, pair=next(tables[one.row.over_models])) for one in made
    )


def _generations(facts: Mapping[str, Answers]) -> dict[str, list[str]]:
    """The models of each generation that ran; of a training's checkpoints the last."""
    last: dict[str, Answers] = {}
    for one in facts.values():
        if one.training and one.step is not None:
            before = last.get(one.training)
            if before is None or (before.step or 0) < one.step:
                last[one.training] = one
    found = {
        name: sorted(
            one.model
            for one in facts.values()
            if one.generation == generation and (not one.training or last[one.training] is one)
        )
        for generation, name in NAMES.items()
        if generation != "other"
    }
    return {name: models for name, models in found.items() if models}


def _forms(
    paired: PairedAnswers,
    measure: str,
    old: tuple[str, Sequence[str]],
    new: tuple[str, Sequence[str]],
    facts: Mapping[str, Answers],
    *,
    named: bool,
) -> list[Statement]:
    """All statements over right and wrong answers; of other metrics, and of sides that somebody named, the mean."""
    (older, olds), (newer, news) = [(name, _with(paired, models, measure)) for name, models in (old, new)]
    if not olds or not news:
        return []
    asked = [(MEANS, news, olds)]
    matched: list[tuple[str, str]] = []
    if measure == CENTRED and not named:
        best = [[_best(paired, side, [*olds, *news])] for side in (news, olds)]
        asked.append((BEST, best[0], best[1]))
        matched = [(a, b) for a in news for b in olds if _alike(facts[a].n_params, facts[b].n_params)]
        if matched:
            asked.append((MATCHED, [a for a, _ in matched], [b for _, b in matched]))
    joined: dict[tuple[tuple[str, ...], tuple[str, ...]], list[str]] = {}
    for form, a, b in asked:
        joined.setdefault((tuple(a), tuple(b)), []).append(form)
    made = [_form(paired, measure, (older, b), (newer, a), several, facts) for (a, b), several in joined.items()]
    if measure == CENTRED and not named and not matched:
        why = f"no two of them are of the same size (within {ALIKE - 1:.0%})"
        made.append(Statement(Generations(older, newer, MATCHED, tuple(news), tuple(olds), why=why), None))
    return made


def _form(
    paired: PairedAnswers,
    measure: str,
    old: tuple[str, tuple[str, ...]],
    new: tuple[str, tuple[str, ...]],
    several: Sequence[str],
    facts: Mapping[str, Answers],
) -> Statement:
    (older, olds), (newer, news) = old, new
    trainings = [len({facts[name].training or name for name in side}) for side in (olds, news)]
    over_models = MEANS in several and min(trainings) >= MODELS
    row = Generations(older, newer, ", ".join(several), news, olds, over_models)
    found = mean(paired, news, olds, measure=measure, models_vary=over_models)
    if found is None:
        return Statement(replace(row, why="no task that all of them ran"), None)
    return Statement(row, found)


def _with(paired: PairedAnswers, models: Sequence[str], measure: str) -> list[str]:
    return [name for name in models if units_of(paired, [name], measure)]


def _alike(a: int | None, b: int | None) -> bool:
    return bool(a and b) and max(a or 0, b or 0) <= ALIKE * min(a or 0, b or 0)


def _best(paired: PairedAnswers, side: Sequence[str], everybody: Sequence[str]) -> str:
    """The model with the highest mean over what everybody ran (else over its own)."""
    shared = units_of(paired, everybody, CENTRED)

    def value(name: str) -> float:
        found = score(paired, name, shared or units_of(paired, [name], CENTRED))
        return found if math.isfinite(found) else -math.inf

    return max(sorted(side), key=value)

"""The desk of a comparison: answers side by side, with their resamples, and the figures that are made of them."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gpteval.compare.answers import Answers, Match, match
from gpteval.compare.resample import interval, resampled, resampled_all, spread, weights
from gpteval.compare.rows import Figure, Pair, least_effect
from gpteval.compare.tests import bootstrap_test, mcnemar, probability_better, sacrebleu_p, sign_flips
from gpteval.core.errors import UsageError
from gpteval.metrics.base import Floats

if TYPE_CHECKING:
    pass

ALL = "all tasks"
Mask = NDArray[np.bool_]


class Desk:
    """The answers of a comparison with their resamples, each of which is drawn once."""

    def __init__(self, answers: Sequence[Answers], common: bool, force: bool, seed: int, draws: int) -> None:
        self.common, self.force, self.seed, self.draws = common, force, seed, draws
        self.of: dict[tuple[str, int], dict[str, Answers]] = defaultdict(dict)
        for one in sorted(answers, key=lambda one: (one.family, one.task, one.shots)):
            self.of[one.unit][one.model] = one
        self.remarks: list[str] = []
        self._weights: tuple[tuple[str, ...], Any] = ((), None)
        self._drawn: dict[tuple[str, int, str, bytes], Floats] = {}
        self._sides: dict[tuple[Any, ...], tuple[float, Floats]] = {}
        self._matches: dict[tuple[tuple[str, int], str, str], Match] = {}

    @property
    def units(self) -> list[tuple[str, int]]:
        return list(self.of)

    @property
    def families(self) -> list[str]:
        return list(dict.fromkeys(one.family for models in self.of.values() for one in models.values()))

    def match(self, unit: tuple[str, int], a: str, b: str) -> Match:
        """Where two models meet. Raises UsageError when their prompts or data differ, unless forced."""
        key = (unit, a, b)
        if key not in self._matches:
            found = match(self.of[unit][a], self.of[unit][b])
            if found.differ and not self.force:
                raise UsageError(
                    f"{a} and {b} on {unit[0]} ({unit[1]}-shot) are not comparable: they differ in "
                    + "; ".join(found.differ),
                    "run them alike, or compare all the same with --force",
                )
            self._matches[key] = found
        return self._matches[key]

    def sampled(self, one: Answers, mask: Mask) -> Floats:
        """The metric's value on each resample of the masked items, [draws]."""
        key = (*one.unit, one.model, mask.tobytes())
        if key not in self._drawn:
            if self._weights[0] != one.units:
                self._weights = one.units, weights(one.units, seed=self.seed, draws=self.draws)
            drawn = self._weights[1]
            if mask.all():  # for all models that answered the same items at once
                alike = [other for other in self.of[one.unit].values() if other.units == one.units]
                found = resampled_all([(other.metric, other.stats) for other in alike], drawn)
                whole = mask.tobytes()
                self._drawn |= {(*o.unit, o.model, whole): draws for o, draws in zip(alike, found, strict=True)}
            else:
                self._drawn[key] = resampled(one.metric, one.stats[mask], drawn[mask])
        return self._drawn[key]

    def rows(self, unit: tuple[str, int], asked: Sequence[tuple[str, str]]) -> list[Pair]:
        """The pairs that both ran the unit."""
        models = self.of[unit]
        made = []
        for a, b in asked:
            if a in models and b in models and models[a].metric is models[b].metric:
                found = self.match(unit, a, b)
                if len(found.a):
                    made.append((models[a], models[b], found))
                else:
                    self.remarks.append(f"{a} and {b} share no item of {unit[0]}")
        flips = self._flips([m for m in made if self._permutes(m[0], m[1])])
        return [self._pair(a, b, found, flips) for a, b, found in made]

    @staticmethod
    def _permutes(a: Answers, b: Answers) -> bool:
        """Whether a pair is tested by permutation: means that are no plain rights and wrongs."""
        grouped = a.n_units < len(a.units)
        return a.metric.kind == "mean" or (a.metric.kind == "binary" and grouped)

    def _flips(self, made: Sequence[tuple[Answers, Answers, Match]]) -> dict[tuple[str, str, bool], float]:
        """p-values of the pairs that are tested by permutation, all at once; by models and whether in the same room."""
        names: dict[str, str] = {}
        for a, _, _ in made:
            names |= dict(zip(a.ids, a.units, strict=True))
        order = sorted(names)
        places = {item: place for place, item in enumerate(order)}
        columns, keys = [], []
        for a, b, found in made:
            for room in (False, True):
                keep = self._room(a, b, found) if room else np.ones(len(found.a), dtype=bool)
                column = np.zeros(len(order))
                where = [places[a.ids[place]] for place in found.a[keep]]
                column[where] = a.stats[found.a[keep], 0] - b.stats[found.b[keep], 0]
                columns.append(column)
                keys.append((a.model, b.model, room))
        if not columns:
            return {}
        units = [names[item] for item in order]
        p = sign_flips(np.stack(columns, axis=1), units, seed=self.seed, draws=self.draws)
        return dict(zip(keys, p.tolist(), strict=True))

    @staticmethod
    def _room(a: Answers, b: Answers, found: Match) -> Mask:
        """Of the shared items, those that neither model had to cut."""
        kept: Mask = ~(a.truncated[found.a] | b.truncated[found.b])
        return kept

    def _pair(self, a: Answers, b: Answers, found: Match, flips: Mapping[tuple[str, str, bool], float]) -> Pair:
        whole = self._figure(a, b, found, np.ones(len(found.a), dtype=bool), flips.get((a.model, b.model, False)))
        kept = self._room(a, b, found)
        room = None
        if 0 < kept.sum() < len(kept):
            room = self._figure(a, b, found, kept, flips.get((a.model, b.model, True)))
        notes = (*(f"forced: {text}" for text in found.differ), *found.noted)
        if self.common:
            if room is not None:
                whole, room = room, whole
            elif not kept.any():
                notes = (*notes, "every item was cut for one of them: the figure is over all items")
        return Pair(
            *(a.task, a.shots, a.family, a.metric.name, a.model, b.model, a.metric.higher_is_better),
            by_ratio=a.metric.by_ratio,
            full=a.metric.scale,
            figure=whole,
            room=room,
            notes=notes,
        )

    def _figure(self, a: Answers, b: Answers, found: Match, keep: Mask, flipped: float | None) -> Figure:
        where_a, where_b = found.a[keep], found.b[keep]
        draws_a, draws_b = (self.sampled(one, _mask(one, where)) for one, where in ((a, where_a), (b, where_b)))
        value_a, value_b = (
            float(one.metric.value(one.stats[where].sum(axis=0))) for one, where in ((a, where_a), (b, where_b))
        )
        units = _units(a, _mask(a, where_a))
        if flipped is not None:
            return _made(a, len(where_a), units, value_a, value_b, draws_a, draws_b, flipped, "sign-flip permutation")
        if a.metric.kind == "binary":
            p = mcnemar(a.stats[where_a, 0], b.stats[where_b, 0])
            return _made(a, len(where_a), units, value_a, value_b, draws_a, draws_b, p, "exact McNemar")
        return _made(a, len(where_a), units, value_a, value_b, draws_a, draws_b, None, "paired bootstrap")

    def mean(self, newer: Sequence[str], older: Sequence[str], family: str | None) -> list[Pair]:
        """The mean of chance-centred scores of some models against others', over the units that all of them ran."""
        units = self.centred_units([*newer, *older], family)
        if not units:
            return []
        whole = self._mean_figure(units, newer, older, kept=False)
        cut = any(self.of[unit][name].truncated.any() for unit in units for name in (*newer, *older))
        kept = self._mean_figure(units, newer, older, kept=True) if cut else None
        if whole is None:
            return []
        if kept is not None and kept.n == whole.n:
            kept = None
        if self.common and kept is not None:
            whole, kept = kept, whole
        of = family or ALL
        names = ", ".join(newer), ", ".join(older)
        return [Pair(of, 0, family or "", "centred score", *names, True, False, 1.0, whole, kept)]

    def centred_units(self, names: Sequence[str], family: str | None = None) -> list[tuple[str, int]]:
        """The units that all of ``names`` ran, by metrics with a chance-centred score."""
        return [
            unit
            for unit, models in self.of.items()
            if all(name in models and models[name].centre for name in names)
            and family in (None, next(iter(models.values())).family)
        ]

    def _mean_figure(
        self, units: Sequence[tuple[str, int]], newer: Sequence[str], older: Sequence[str], *, kept: bool
    ) -> Figure | None:
        """None where a unit has no item that all the models share."""
        shared = {unit: self._shared(unit, [*newer, *older], kept) for unit in units}
        counts = [int(masks[newer[0]].sum()) for masks in shared.values()]
        if not all(counts):
            return None
        values, means = zip(*(self._side(names, shared) for names in (newer, older)), strict=True)
        first = self.of[units[0]][newer[0]]
        fewest = [_units(self.of[unit][newer[0]], masks[newer[0]]) for unit, masks in shared.items()]
        items = sum(counts)
        return _made(
            first, items, min(fewest), values[0], values[1], means[0], means[1], None, "paired bootstrap", ratio=False
        )

    def _side(self, names: Sequence[str], shared: Mapping[tuple[str, int], Mapping[str, Mask]]) -> tuple[float, Floats]:
        """Some models' mean of chance-centred scores over units, and that mean on each resample."""
        key = tuple((unit, name, shared[unit][name].tobytes()) for unit in shared for name in names)
        if key not in self._sides:
            scores, draws = [], []
            for unit, masks in shared.items():
                ones = [(self.of[unit][name], masks[name]) for name in names]
                values = [_centred(one, one.metric.value(one.stats[mask].sum(axis=0))) for one, mask in ones]
                scores.append(np.mean(values))
                draws.append(np.mean([_centred(one, self.sampled(one, mask)) for one, mask in ones], axis=0))
            self._sides[key] = float(np.mean(scores)), np.mean(draws, axis=0)
        return self._sides[key]

    def _shared(self, unit: tuple[str, int], names: Sequence[str], kept: bool) -> dict[str, Mask]:
        """For each model the mask of the items that all of them answered (and, ``kept``, that none had to cut)."""
        models = self.of[unit]
        first, *others = names
        if all(models[name].ids == models[first].ids for name in others):
            for name in others:
                self.match(unit, first, name)
            cut = np.logical_or.reduce([models[name].truncated for name in names]) & kept
            return dict.fromkeys(names, ~cut)
        shared = set(models[first].ids)
        for name in others:
            self.match(unit, first, name)
            shared &= set(models[name].ids)
        if kept:
            for name in names:
                one = models[name]
                shared -= {item for item, cut in zip(one.ids, one.truncated, strict=True) if cut}
        return {name: np.array([item in shared for item in models[name].ids]) for name in names}


def _centred(one: Answers, values: Floats) -> Floats:
    """0 for guessing, 1 for perfect."""
    assert one.centre is not None
    chance, width = one.centre
    return (values - chance) / width


def _units(one: Answers, mask: Mask) -> int:
    """How many units of resampling the masked items belong to."""
    return one.n_units if mask.all() else len({unit for unit, in_it in zip(one.units, mask, strict=True) if in_it})


def _mask(one: Answers, where: NDArray[np.intp]) -> Mask:
    mask = np.zeros(len(one.ids), dtype=bool)
    mask[where] = True
    return mask


def _made(
    of: Answers,
    n: int,
    units: int,
    value_a: float,
    value_b: float,
    draws_a: Floats,
    draws_b: Floats,
    p: float | None,
    test: str,
    *,
    ratio: bool | None = None,
) -> Figure:
    """A figure from two values and their paired resamples; without ``p`` the bootstrap's own test."""
    ratio = of.metric.by_ratio if ratio is None else ratio
    higher = of.metric.higher_is_better
    with np.errstate(all="ignore"):
        differences = np.log(draws_a) - np.log(draws_b) if ratio else draws_a - draws_b
        effect = float(np.log(value_a) - np.log(value_b)) if ratio else value_a - value_b
    low, high = interval(differences, units)
    stderr = spread(differences, units)
    back = np.exp if ratio else float
    sacre = of.metric.name in ("bleu", "chrf")
    return Figure(
        n=n,
        value_a=value_a,
        value_b=value_b,
        effect=float(back(effect)),
        ci_low=float(back(low)),
        ci_high=float(back(high)),
        stderr=stderr,
        p=bootstrap_test(differences, effect) if p is None else p,
        p_better=probability_better(differences if higher else -differences),
        mde=least_effect(stderr, by_ratio=ratio),
        test=test,
        p_sacrebleu=sacrebleu_p(draws_a, draws_b, effect) if sacre else math.nan,
    )

"""Answers of models side by side, with their resamples, and the figures that are made of them."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpteval.comparison.answers import Answers, Match, match
from gpteval.comparison.results import Figure, Judgement, Pair
from gpteval.core.errors import UsageError
from gpteval.metrics.base import Floats, Mask
from gpteval.stats.anytime import of_sequence
from gpteval.stats.evidence import Evidence, exp, of_answers, of_pair
from gpteval.stats.interval import yes_or_no
from gpteval.stats.jackknife import PseudoValues, pseudo_values
from gpteval.stats.resample import bags, resampled_all, weights
from gpteval.stats.significance import LEVEL, probability_better, sacrebleu_p


class PairedAnswers:
    """The answers of a comparison with their resamples, each of which is drawn once."""

    def __init__(
        self, answers: Sequence[Answers], common: bool, force: bool, seed: int, draws: int, *, anytime: bool = False
    ) -> None:
        self.common, self.force, self.seed, self.draws, self.anytime = common, force, seed, draws, anytime
        self.of: dict[tuple[str, int], dict[str, Answers]] = defaultdict(dict)
        for one in sorted(answers, key=lambda one: (one.family, one.task, one.shots)):
            self.of[one.unit][one.model] = one
        floorless = {
            (one.task, one.metric.name)
            for one in answers
            if one.metric.kind == "binary" and one.chance is None and one.metric.floor is None
        }
        self.remarks = [
            f"{task} is not in means: {metric} has no chance level and states no floor"
            for task, metric in sorted(floorless)
        ]
        self._weights: tuple[tuple[str, ...], Any] = ((), None)
        self._drawn: dict[tuple[str, int, str, bytes], Floats] = {}
        self.sides: dict[tuple[Any, ...], tuple[float, Floats]] = {}  # of means
        self._pseudo: dict[tuple[Any, ...], PseudoValues] = {}
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
                    "run them alike, or compare all the same with 'gpteval compare --force'",
                )
            self._matches[key] = found
        return self._matches[key]

    def sampled(self, one: Answers, mask: Mask) -> Floats:
        """The metric's value on each resample of the masked items, [draws]."""
        key = (*one.unit, one.model, mask.tobytes())
        if key not in self._drawn:
            asked = [one]
            if mask.all():  # all models that answered the same items at once
                asked = [other for other in self.of[one.unit].values() if other.units == one.units]
            names, stats = bags(one.units, *(np.where(mask[:, None], other.stats, 0.0) for other in asked))
            if self._weights[0] != names:
                self._weights = names, weights(names, seed=self.seed, draws=self.draws)
            found = resampled_all([(o.metric, of) for o, of in zip(asked, stats, strict=True)], self._weights[1])
            whole = mask.tobytes()
            self._drawn |= {(*o.unit, o.model, whole): draws for o, draws in zip(asked, found, strict=True)}
        return self._drawn[key]

    def pseudo(self, one: Answers, mask: Mask, *, turned: bool, weight: float = 1.0) -> PseudoValues:
        """The metric's pseudo-values over the masked items."""
        key = (*one.unit, one.model, mask.tobytes(), turned, weight)
        if key not in self._pseudo:
            whole = bool(mask.all())
            names, texts = one.units, one.texts
            if not whole:
                names = tuple(unit for unit, kept in zip(names, mask, strict=True) if kept)
                texts = texts and tuple(text for text, kept in zip(texts, mask, strict=True) if kept)
            self._pseudo[key] = pseudo_values(
                one.metric, one.stats[mask], names, turned=turned, weight=weight, texts=texts or None
            )
        return self._pseudo[key]

    def rows(self, unit: tuple[str, int], asked: Sequence[tuple[str, str]]) -> list[Judgement]:
        """The pairs that both ran the unit."""
        models = self.of[unit]
        made = []
        for a, b in asked:
            if a not in models or b not in models:
                continue
            if models[a].metric != models[b].metric:
                self.remarks.append(f"{a} and {b} are not compared on {unit[0]}: its metric is another for each")
            else:
                found = self.match(unit, a, b)
                if len(found.a):
                    made.append(self._pair(models[a], models[b], found))
                else:
                    self.remarks.append(f"{a} and {b} share no item of {unit[0]}")
        return made

    @staticmethod
    def _uncut(a: Answers, b: Answers, found: Match) -> Mask:
        """Of the shared items, those that neither model had to cut."""
        kept: Mask = ~(a.truncated[found.a] | b.truncated[found.b])
        return kept

    def _pair(self, a: Answers, b: Answers, found: Match) -> Judgement:
        whole, evidence = self._figure(a, b, found, np.ones(len(found.a), dtype=bool))
        kept = self._uncut(a, b, found)
        uncut = None
        if 0 < kept.sum() < len(kept):
            uncut, of_uncut = self._figure(a, b, found, kept)
        notes = (*(f"forced: {text}" for text in found.differ), *found.noted)
        if self.common:
            if uncut is not None:
                whole, uncut, evidence = uncut, whole, of_uncut
            elif not kept.any():
                notes = (*notes, "every item was cut for one of them: the figure is over all items")
        return Pair(
            *(a.task, a.shots, a.family, a.metric.name, a.model, b.model, a.metric.higher_is_better),
            by_ratio=a.metric.by_ratio,
            full=a.metric.scale,
            figure=whole,
            uncut=uncut,
            notes=notes,
        ), evidence

    def _figure(self, a: Answers, b: Answers, found: Match, keep: Mask) -> tuple[Figure, Evidence]:
        mask_a, mask_b = _mask(a, found.a[keep]), _mask(b, found.b[keep])
        draws_a, draws_b = self.sampled(a, mask_a), self.sampled(b, mask_b)
        value_a, value_b = (
            float(one.metric.value(one.stats[mask].sum(axis=0))) for one, mask in ((a, mask_a), (b, mask_b))
        )
        evidence = self.evidence(a, b, mask_a, mask_b)
        return figure_of(a, int(mask_a.sum()), value_a, value_b, draws_a, draws_b, evidence), evidence

    def evidence(self, a: Answers, b: Answers, mask_a: Mask, mask_b: Mask) -> Evidence:
        """By right and wrong answers where they do not depend on each other, else by pseudo-values."""
        if self.anytime:
            return of_sequence(a.metric, a.stats[mask_a], b.stats[mask_b], clustered=a.n_units < len(a.ids))
        first = self.pseudo(a, mask_a, turned=False)
        whole = yes_or_no(a.stats[mask_a]) and yes_or_no(b.stats[mask_b])
        if a.metric.kind == "binary" and first.units == "item" and whole:
            return of_answers(a.base, a.stats[mask_a, 0], b.stats[mask_b, 0], first.names)
        return of_pair(a.base, first, self.pseudo(b, mask_b, turned=True))

    def shared(self, unit: tuple[str, int], names: Sequence[str], kept: bool) -> dict[str, Mask]:
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


def _mask(one: Answers, where: NDArray[np.intp]) -> Mask:
    mask = np.zeros(len(one.ids), dtype=bool)
    mask[where] = True
    return mask


def figure_of(
    of: Answers,
    n: int,
    value_a: float,
    value_b: float,
    draws_a: Floats,
    draws_b: Floats,
    evidence: Evidence,
    *,
    ratio: bool | None = None,
) -> Figure:
    """A figure from two values, their paired resamples and what their items say."""
    ratio = of.metric.by_ratio if ratio is None else ratio
    with np.errstate(all="ignore"):
        differences = np.log(draws_a) - np.log(draws_b) if ratio else draws_a - draws_b
        effect = float(np.divide(value_a, value_b)) if ratio else value_a - value_b
    low, high = evidence.interval(LEVEL)
    higher = of.metric.higher_is_better
    sacre = of.metric.sacrebleu_p
    return Figure(
        n=n,
        value_a=value_a,
        value_b=value_b,
        value=effect,
        ci_low=exp(low) if ratio else low,
        ci_high=exp(high) if ratio else high,
        stderr=evidence.stderr,
        p=evidence.p,
        method=evidence.test,
        why=evidence.why,
        ahead=math.nan if evidence.why else probability_better(differences if higher else -differences),
        correlation=evidence.correlation,
        gain=evidence.gain,
        e_value=evidence.e_value,
        p_sacrebleu=sacrebleu_p(draws_a, draws_b, effect) if sacre else math.nan,
    )

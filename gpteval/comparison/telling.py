"""Which tasks can tell models apart, and by which metric: signal and noise of a run's scores, and its pairs.

Signal is what models differ by, noise what a score moves by chance (Heineman et al. 2025, arXiv 2508.13144, who take
the noise between the last checkpoints of a training). Where accuracy is at chance, how much probability the right
answer has may tell models apart all the same: such metrics are made of the samples, of whatever run.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from statistics import fmean
from typing import Any

import numpy as np

from gpteval.comparison.answers import Answers
from gpteval.comparison.compare import load
from gpteval.comparison.pairing import PairedAnswers
from gpteval.core.show import with_shots
from gpteval.core.types import Choice
from gpteval.metrics.base import Metric
from gpteval.metrics.from_samples import NEEDED, not_in, statistics_of
from gpteval.metrics.named import metric_registry
from gpteval.stats.interval import Z, estimate
from gpteval.stats.significance import ALPHA, holm
from gpteval.store.documents import read_samples
from gpteval.store.runs import RunNames, Runs, read_runs

GRADED = ("bpb", "prob")  # what is tried in the place of right and wrong; of wrong answers neither says how sure
MOST = 20_000  # items of which graded metrics are made by the way
LAST = 5  # checkpoints of a training, whose scatter is noise


@dataclass(frozen=True)
class Telling:
    """What a metric tells of the models that ran a task.

    ``signal``: the largest minus the smallest value. ``noise``: the standard error over items, root mean square over
    models. ``by_step``: the standard deviation of a checkpoint about the line of its neighbours, over the last five of
    each training; None without a training. Of metrics that are compared by ratio all three are of logarithms.
    ``at_chance``: how many models' intervals hold what guessing has, or lie below; None where nobody can guess.
    ``told``: pairs of models that the paired test tells apart, of ``pairs``, by Holm's method over all of the task:
    those of the primary metric together, and those of all the others together.
    """

    metric: str
    primary: bool
    models: int
    items: int
    signal: float
    noise: float
    by_step: float | None
    at_chance: int | None
    told: int = 0
    pairs: int = 0
    by_ratio: bool = False

    @property
    def ratio(self) -> float:
        """Signal by noise, the larger of the two kinds; NaN where there is none."""
        noise = max(self.noise, self.by_step or 0.0)
        return self.signal / noise if noise > 0 else math.nan


@dataclass(frozen=True)
class TaskTelling:
    """A task's metrics, its primary one first."""

    task: str
    shots: int
    family: str
    metrics: tuple[Telling, ...]

    @property
    def primary(self) -> Telling:
        return self.metrics[0]

    @property
    def better(self) -> Telling | None:
        """The graded metric that tells the most pairs apart, where that are more than the primary one does."""
        best = max(self.metrics[1:], key=lambda one: one.told, default=None)
        return best if best is not None and best.told > self.primary.told else None

    @property
    def all_at_chance(self) -> bool:
        return self.primary.at_chance == self.primary.models

    @property
    def verdict(self) -> str:
        """In words: whether it can tell, and what can."""
        own = self.primary
        if not own.pairs:
            return "one model, nothing to tell apart"
        if self.better is not None:
            less = ", ".join(f"{one.metric} {one.told or 'none'}" for one in self.metrics if one is not self.better)
            use = "" if own.told else f"use {self.better.metric} here: "
            return f"{use}{self.better.metric} tells {self.better.told} of {own.pairs} pairs apart, {less}"
        if own.told:
            return f"{own.metric} tells {own.told} of {own.pairs} pairs apart"
        return "tells nothing on these items" + (": all are at chance" if self.all_at_chance else "")


def telling(runs: Runs | RunNames, *, tasks: Sequence[str] = (), tried: bool = True) -> tuple[TaskTelling, ...]:
    """Each task of the runs, in their order; ``tasks``: those of these names or families alone. ``tried``: graded
    metrics are, also on many thousand items, where that takes a while.

    Raises what ``compare`` raises of runs that cannot be read.
    """
    data = read_runs(runs)
    units: dict[tuple[str, int], list[Answers]] = {}
    for one in load(data, None):
        if not tasks or {one.task, one.base, one.family} & set(tasks):
            units.setdefault(one.unit, []).append(one)
    return tuple(_of_task(data, answers, tried=tried) for answers in units.values())


def hints(runs: Runs) -> list[str]:
    """A line for each task of which no model is above guessing: what tells its models apart, and how to see it.

    None of runs that took items until models were told apart: of those no usual test is one.
    """
    if any((manifest.get("config") or {}).get("until_decided") for one in runs.each for manifest in one.manifests):
        return []
    by_unit: dict[tuple[str, int], list[Mapping[str, Any]]] = {}
    for row in runs.merged.rows:
        if row.get("primary") and not row.get("part_of"):
            by_unit.setdefault((row["task"], row["shots"]), []).append(row)
    guessed = [unit for unit, own in by_unit.items() if len(own) > 1 and all(map(is_at_chance, own))]
    found = []
    for one in telling(runs, tasks=[task for task, _ in guessed], tried=False) if guessed else ():
        if (one.task, one.shots) in guessed:
            better = ""
            if one.better is not None:
                told = f"{one.better.told} of {one.better.pairs} pairs"
                better = f", but {one.better.metric} tells {told} apart: {how_to_see(runs, one.better.metric)}"
            found.append(
                f"{with_shots(one.task, one.shots)}: no model is clearly above guessing by {one.primary.metric}{better}"
            )
    return found


def how_to_see(runs: Runs, metric: str) -> str:
    """The commands that compare by a metric, which some of the runs may not have yet."""
    lacking = [
        folder
        for folder, each in zip(runs.folders, runs.each, strict=True)
        if not any(row["metric"] == metric for row in each.rows)
    ]
    if any(manifest.get("logs") for each in runs.each for manifest in each.manifests):
        return f"gpteval import LOG --out runs/NAME, gpteval rescore runs/NAME --metrics {metric}, and compare by it"
    before = "".join(f"gpteval rescore {folder} --metrics {metric}; " for folder in lacking)
    return f"{before}gpteval compare {' '.join(map(str, runs.folders))} --metric {metric}"


def is_at_chance(row: Mapping[str, Any]) -> bool:
    """Whether a result is not above guessing: its interval holds what guessing has, or lies below."""
    low, chance = row.get("ci_low"), row.get("chance")
    low = row.get("value") if low is None else low
    return bool(row["higher_is_better"] and low is not None and chance is not None and low <= chance)


def _of_task(data: Runs, primary: Sequence[Answers], *, tried: bool) -> TaskTelling:
    """``tried``: graded metrics are, however many items there are."""
    first = primary[0]
    few = max(len(one.ids) for one in primary) <= MOST
    graded = list(_graded(data, primary)) if few or tried else []
    of_metrics = [list(primary), *graded]
    own = _p_values(of_metrics[0])
    others = [_p_values(answers) for answers in graded]
    adjusted = holm([p for of_metric in others for p in of_metric])
    told = [sum(p < ALPHA for p in holm(own))]
    for of_metric in others:
        told.append(sum(p < ALPHA for p in adjusted[: len(of_metric)]))
        adjusted = adjusted[len(of_metric) :]
    found = zip(of_metrics, [own, *others], told, strict=True)
    made = tuple(
        replace(signal_and_noise(of[0].metric, list(map(_row, of)), place == 0), pairs=len(p), told=number)
        for place, (of, p, number) in enumerate(found)
    )
    return TaskTelling(first.task, first.shots, first.family, made)


def _row(one: Answers) -> Mapping[str, Any]:
    """What a result says of these answers, as far as it is needed here."""
    found = estimate(one.metric, one.stats, clusters=one.units, texts=one.texts or None)
    own = {"metric": one.metric.name, "higher_is_better": one.metric.higher_is_better, "chance": one.chance}
    return found.fields() | own | {"n": len(one.ids), "model_family": one.training, "step": one.step}


def signal_and_noise(metric: Metric, rows: Sequence[Mapping[str, Any]], primary: bool) -> Telling:
    """Of results by one metric, a row a model, each with a value. Nothing is told of pairs."""
    values = [_scaled(metric, row["value"]) for row in rows]
    ends = [(row["ci_low"], row["ci_high"]) for row in rows if row.get("ci_low") is not None]
    errors = [(_scaled(metric, high) - _scaled(metric, low)) / (2 * Z) for low, high in ends if high is not None]
    guessable = metric.higher_is_better and all(row.get("chance") is not None for row in rows)
    return Telling(
        metric=metric.name,
        primary=primary,
        models=len(rows),
        items=max(row.get("n") or 0 for row in rows),
        signal=max(values) - min(values),
        noise=math.sqrt(fmean(error**2 for error in errors)) if errors else math.nan,
        by_step=_by_step(rows, values),
        at_chance=sum(map(is_at_chance, rows)) if guessable else None,
        by_ratio=metric.by_ratio,
    )


def _scaled(metric: Metric, value: float) -> float:
    return math.log(value) if metric.by_ratio and value > 0 else value


def _by_step(rows: Sequence[Mapping[str, Any]], values: Sequence[float]) -> float | None:
    """By second differences of neighbouring checkpoints, whose mean square is six times the variance where they
    scatter independently, whatever the slope (Gasser, Sroka and Jennen-Steinmetz 1986).
    """
    lines: dict[str, list[tuple[int, float]]] = {}
    for row, value in zip(rows, values, strict=True):
        if row.get("step") is not None:
            lines.setdefault(row.get("model_family") or "", []).append((row["step"], value))
    long = [sorted(line)[-LAST:] for line in lines.values() if len(line) > 2]
    triples = [triple for line in long for triple in zip(line, line[1:], line[2:], strict=False)]
    squares = [(a - 2 * b + c) ** 2 / 6 for (_, a), (_, b), (_, c) in triples]
    return math.sqrt(fmean(squares)) if squares else None


def _p_values(answers: Sequence[Answers]) -> list[float]:
    """Of each pair of models over the items that both answered; NaN where they were not asked the same."""
    paired = PairedAnswers(answers, common=False, force=True, seed=0, draws=0)
    found = []
    for a, b in combinations(answers, 2):
        met = paired.match(a.unit, a.model, b.model)
        if met.differ or not len(met.a) or a.metric != b.metric:
            continue
        masks = [np.zeros(len(one.ids), dtype=bool) for one in (a, b)]
        masks[0][met.a], masks[1][met.b] = True, True
        found.append(paired.evidence(a, b, *masks).p)
    return found


def _graded(data: Runs, primary: Sequence[Answers]) -> Iterable[list[Answers]]:
    """The answers by each graded metric that all models' samples can have."""
    if Choice not in primary[0].metric.requests or primary[0].metric.name in GRADED:
        return
    files = data.merged.samples[primary[0].unit]
    samples = {one.model: read_samples(files[one.model], list(NEEDED)) for one in primary}
    for name in GRADED:
        metric = metric_registry()[name]
        if any(not_in(samples[one.model], metric, one.metric.name) for one in primary):
            continue
        made = [_by(metric, one, samples[one.model]) for one in primary]
        if all(len(one.ids) for one in made):
            yield made


def _by(metric: Metric, one: Answers, samples: Sequence[Mapping[str, object]]) -> Answers:
    """The same answers by another metric: those of the items that have it, each by its prompt and what is right."""
    asked = list(zip(one.hashes, one.golds, strict=True))
    made = (((sample["prompt_hash"], sample["gold"]), statistics_of(sample, metric)) for sample in samples)
    stats = {key: found for key, found in made if found is not None}
    kept = [place for place, key in enumerate(asked) if key in stats]

    def of(column: Sequence[object]) -> tuple[object, ...]:
        return tuple(column[place] for place in kept)

    return replace(
        one,
        metric=metric,
        chance=None,
        stats=np.array([stats[asked[place]] for place in kept], dtype=float),
        truncated=one.truncated[kept],
        **{name: of(getattr(one, name)) for name in ("ids", "hashes", "units", "golds")},  # type: ignore[arg-type]
    )

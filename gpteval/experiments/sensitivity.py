"""How much hangs on the prompt: the templates' range, whether models keep their ranks, and the best of many tries."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from gpteval.core.types import digest
from gpteval.experiments.curves import Grid
from gpteval.metrics.base import Floats, divide
from gpteval.stats.guessing import expected_maximum, reaching


@dataclass(frozen=True)
class TemplateRange:
    """A model's scores with so many examples under each template, ``values`` in the order of ``templates``."""

    model: str
    task: str
    shots: int
    templates: tuple[str, ...]
    values: tuple[float, ...]
    minimum: float
    median: float
    maximum: float


@dataclass(frozen=True)
class Ranking:
    """Kendall's tau-b between the models' ranks under two templates, a mean over all pairs of templates.

    1: every template ranks the models alike; 0: ranks under one say nothing of those under another.
    """

    task: str
    shots: int
    models: int
    templates: int
    tau: float
    ci_low: float
    ci_high: float


@dataclass(frozen=True)
class Best:
    """The best of ``tries`` prompts (templates times seeds), and what the best of as many guessers would reach.

    ``p``: the chance that guessers reach it. None where guessing is not defined.
    """

    model: str
    task: str
    shots: int
    tries: int
    value: float
    template: str
    seed: int
    expected_by_guessing: float | None
    p: float | None


def _by_prompt(grids: Sequence[Grid]) -> Iterator[tuple[str, int, list[Grid]]]:
    """Task, number of examples, and the grids that have it."""
    found: dict[tuple[str, int], list[Grid]] = defaultdict(list)
    for grid in grids:
        for shots in grid.shots:
            found[grid.first.task, shots].append(grid)
    for (task, shots), several in found.items():
        yield task, shots, several


def template_ranges(grids: Sequence[Grid]) -> tuple[TemplateRange, ...]:
    """For each model, task and number of examples that ran under more than one template."""
    made = []
    for task, shots, several in _by_prompt(grids):
        for model in dict.fromkeys(grid.first.model for grid in several):
            own = [grid for grid in several if grid.first.model == model]
            if len(own) > 1:
                values = [float(grid.by_seed(shots)[0].mean()) for grid in own]
                names = tuple(grid.first.template for grid in own)
                range_of = min(values), float(np.median(values)), max(values)
                made.append(TemplateRange(model, task, shots, names, tuple(values), *range_of))
    return tuple(made)


def rankings(grids: Sequence[Grid], *, seed: int = 0) -> tuple[Ranking, ...]:
    """For each task and number of examples: whether the models' ranks survive another template.

    The interval is that of resamples of items and seeds, which all models and templates share.
    """
    made = []
    for task, shots, several in _by_prompt(grids):
        templates = dict.fromkeys(grid.first.template for grid in several)
        models = [m for m in dict.fromkeys(g.first.model for g in several) if _has_all(several, m, templates)]
        if len(models) < 2 or len(templates) < 2:
            continue
        by_name = {(grid.first.model, grid.first.template): grid for grid in several}
        values, draws = [], []
        for template in templates:
            found = [by_name[model, template].by_seed(shots) for model in models]
            values.append(np.array([one.mean() for one, _ in found])[:, None])
            picked = _picks(len(found[0][0]), found[0][1].shape[1], digest(seed, task))
            draws.append(np.stack([(picked * drawn).sum(axis=0) for _, drawn in found]))
        tau = float(_mean_tau(values)[0])
        drawn_tau = _mean_tau(draws)
        drawn_tau = drawn_tau[np.isfinite(drawn_tau)]
        low, high = np.quantile(drawn_tau, [0.025, 0.975]) if len(drawn_tau) > 1 else (math.nan, math.nan)
        made.append(Ranking(task, shots, len(models), len(templates), tau, float(low), float(high)))
    return tuple(made)


def _has_all(grids: Sequence[Grid], model: str, templates: dict[str, None]) -> bool:
    return {grid.first.template for grid in grids if grid.first.model == model} == set(templates)


def _picks(seeds: int, draws: int, key: str) -> Floats:
    """Each seed's share in each resample of the seeds, [seeds, draws]."""
    generator = np.random.default_rng(int(key, 16))
    counts: Floats = generator.multinomial(seeds, np.full(seeds, 1 / seeds), size=draws).T / seeds
    return counts


def _mean_tau(scores: Sequence[Floats]) -> Floats:
    """tau-b between each two of the templates' scores, [models, draws] each, as a mean.

    Two templates of which one ties all models say nothing; NaN where that is so of any two.
    """
    pairs = list(combinations(range(len(scores[0])), 2))
    signs = [np.sign(np.stack([one[a] - one[b] for a, b in pairs])) for one in scores]
    total, count = np.zeros(signs[0].shape[1]), np.zeros(signs[0].shape[1])
    for one, other in combinations(signs, 2):
        untied = np.sqrt((one**2).sum(axis=0) * (other**2).sum(axis=0))
        total += np.divide((one * other).sum(axis=0), untied, out=np.zeros_like(total), where=untied > 0)
        count += untied > 0
    return divide(total, count)


def best_prompts(grids: Sequence[Grid]) -> tuple[Best, ...]:
    """For each model, task and number of examples with several prompts: the best, and the stronger random baseline."""
    made = []
    for task, shots, several in _by_prompt(grids):
        for model in dict.fromkeys(grid.first.model for grid in several):
            own = [grid for grid in several if grid.first.model == model]
            sign = 1 if own[0].metric.higher_is_better else -1
            tried = [
                (value, grid.first.template, seed)
                for grid in own
                for value, seed in zip(
                    grid.by_seed(shots)[0].tolist(), grid.seeds if shots else [grid.base], strict=False
                )
            ]
            if len(tried) < 2:
                continue
            value, template, seed = max(tried, key=lambda one: sign * one[0])
            chances = own[0].first.chances if own[0].metric.kind == "binary" else None
            guessed: tuple[float | None, float | None] = (None, None)
            if chances is not None:
                chances = chances[own[0].first.at(own[0].ids)]
                guessed = expected_maximum(chances, len(tried)), reaching(chances, len(tried), value)
            made.append(Best(model, task, shots, len(tried), value, template, seed, *guessed))
    return tuple(made)

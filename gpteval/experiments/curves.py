"""A model's score by the number of examples: points, slope, and what the examples did."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import groupby

import numpy as np

from gpteval.experiments.cells import Cell
from gpteval.metrics.base import Floats, Mask
from gpteval.prompts.controls import ORDER, RANDOM_LABELS
from gpteval.stats.interval import Estimate, proportion
from gpteval.stats.resample import DRAWS, resampled_all, weights
from gpteval.stats.significance import ALPHA, LEVEL, holm
from gpteval.stats.two_way import Spread, seed_spread, two_way


@dataclass(frozen=True)
class Uncut:
    """The score over the ``n`` items whose examples all fitted, and without examples over the same items."""

    n: int
    score: Estimate
    without: float | None


@dataclass(frozen=True)
class Point:
    """The score with so many examples: the mean over ``seeds``, each of which is a set of examples.

    ``dropped``: items that lost examples for want of room, a mean over seeds; ``uncut``: where that is some.
    ``random_labels``: the score with answers drawn at random, and ``labels``: what true ones bring beyond.
    ``orders``: the first seed's examples in their own and in other orders.
    """

    shots: int
    n: int
    score: Estimate
    seeds: tuple[float, ...]
    spread: Spread
    dropped: float
    uncut: Uncut | None = None
    random_labels: Estimate | None = None
    labels: Estimate | None = None
    orders: tuple[float, ...] = ()
    order_spread: Spread | None = None


@dataclass(frozen=True)
class Curve:
    """``slope``: score a doubling, the least-squares slope on log2(1 + examples). ``gain``: from the fewest to the
    most examples. ``enough``: with more than these nothing measurable is gained, and no number of them brings more than
    ``beyond`` in the metric's unit. ``hurts``: with these the score is below that without examples, adjusted for their
    number (Holm). None where it was not asked. ``one_set``: a single set of examples was tried, which says nothing of
    others: slope and gain have no interval, and the rest is None.
    """

    model: str
    generation: str
    n_params: int | None
    task: str
    template: str
    family: str
    metric: str
    higher_is_better: bool
    chance: float | None
    full: float | None
    points: tuple[Point, ...]
    slope: Estimate | None
    gain: Estimate | None
    enough: int | None
    hurts: tuple[int, ...] | None
    beyond: float | None
    one_set: bool

    @property
    def label(self) -> str:
        return self.task if self.template == "default" else f"{self.task}:{self.template}"

    def better(self, measure: Estimate) -> bool:
        """Whether a difference is significant, and in the metric's good direction."""
        return measure.significant and (measure.value > 0) == self.higher_is_better

    def worse(self, measure: Estimate) -> bool:
        return measure.significant and (measure.value > 0) != self.higher_is_better


class Grid:
    """The cells of one model, task and template, on the items that all of them have.

    ``per_item``: each item has examples of its own, so that one seed tells of others, too.
    """

    def __init__(self, cells: Sequence[Cell], *, seed: int = 0, draws: int = DRAWS, per_item: bool = False) -> None:
        self.first = cells[0]
        self.metric = self.first.metric
        shared = set(self.first.ids).intersection(*(cell.ids for cell in cells))
        self.ids = [item for item in self.first.ids if item in shared]
        self.cells = {(c.shots, c.seed, c.control): c for c in cells}
        self.base = min(c.seed for c in cells)
        self.seeds = self._complete_seeds()
        self.tells = per_item or len(self.seeds) > 1
        units = dict(zip(self.first.ids, self.first.units, strict=True))
        self.units = [units[item] for item in self.ids]
        self._weights = weights(self.units, seed=seed, draws=draws)
        self._stats = {
            key: c.stats if tuple(self.ids) == c.ids else c.stats[c.at(self.ids)] for key, c in self.cells.items()
        }

    def _complete_seeds(self) -> list[int]:
        """Those that have a cell for every number of examples: one without examples is every seed's."""
        asked = {shots for shots, _, control in self.cells if shots and not control}
        seeds = sorted({seed for shots, seed, control in self.cells if not control})
        complete = [seed for seed in seeds if all((shots, seed, "") in self.cells for shots in asked)]
        return complete or [self.base]

    @property
    def shots(self) -> list[int]:
        """Numbers of examples that all the seeds have, ascending."""
        found = sorted({shots for shots, _, control in self.cells if not control})
        return [shots for shots in found if all(self.key(shots, seed) in self.cells for seed in self.seeds)]

    def key(self, shots: int, seed: int, control: str = "") -> tuple[int, int, str]:
        return shots, (seed if shots else self.base), control

    @cached_property
    def _draws(self) -> dict[tuple[int, int, str], Floats]:
        keys = list(self._stats)
        found = resampled_all([(self.metric, self._stats[key]) for key in keys], self._weights)
        return dict(zip(keys, found, strict=True))

    def rows(self, keys: Sequence[tuple[int, int, str]], mask: Mask | None = None) -> tuple[Floats, Floats]:
        """Values, [cells], and draws, [cells, draws], over all items or those of ``mask``."""
        if mask is None:
            values = [float(self.metric.value(self._stats[key].sum(axis=0))) for key in keys]
            return np.array(values), np.stack([self._draws[key] for key in keys])
        asked = [(self.metric, self._stats[key][mask]) for key in keys]
        values = [float(self.metric.value(stats.sum(axis=0))) for _, stats in asked]
        return np.array(values), np.stack(resampled_all(asked, self._weights[mask]))

    def by_seed(self, shots: int, control: str = "", mask: Mask | None = None) -> tuple[Floats, Floats]:
        """Values and draws of each seed."""
        return self.rows([self.key(shots, seed, control) for seed in self.seeds], mask)

    @property
    def _reach(self) -> float:
        """How far apart two answers to one item can be: of a metric of a whole set about half of its scale."""
        if self.metric.scale is None:
            return 0.0
        return (self.metric.scale - self.metric.bottom) * (0.5 if self.metric.kind == "ratio" else 1.0)

    def score(self, found: tuple[Floats, Floats], mask: Mask | None = None) -> Estimate:
        """A score: its interval stays in the metric's range, and shows something where all answers are alike."""
        units = self.units if mask is None else [unit for unit, kept in zip(self.units, mask, strict=True) if kept]
        count = len(set(units))
        measure = two_way(*found, count, self._reach / 2)
        low, high = measure.ci_low, measure.ci_high
        if self.metric.kind == "binary" and measure.value in (0.0, 1.0) and not math.isnan(low):
            low, high = proportion(round(measure.value * count), count, LEVEL)
        if self.metric.scale is not None:
            low, high = max(low, self.metric.bottom), min(high, self.metric.scale)
        return replace(measure, ci_low=low, ci_high=high, p=math.nan)

    def spread(self, found: tuple[Floats, Floats]) -> Spread:
        """Never more than values at both ends of the metric's range would give."""
        spread = seed_spread(*found, len(set(self.units)))
        most = math.inf if self.metric.scale is None else self.metric.scale / 2
        return replace(spread, sd=min(spread.sd, most), ci_high=min(spread.ci_high, most))

    def difference(self, one: tuple[Floats, Floats], other: tuple[Floats, Floats]) -> Estimate:
        return self._unless_one_set(two_way(one[0] - other[0], one[1] - other[1], len(set(self.units)), self._reach))

    def _unless_one_set(self, measure: Estimate) -> Estimate:
        """Without an interval where a single set of examples does not tell how others would do."""
        return measure if self.tells else Estimate(measure.value, n=measure.n, why="one set of examples was tried")

    def combined(self, factors: Mapping[int, float], level: float = LEVEL) -> Estimate:
        """A weighted sum over numbers of examples."""
        values, draws = zip(*(self.by_seed(shots) for shots in factors), strict=True)
        amounts = list(factors.values())
        sums = sum(a * v for a, v in zip(amounts, values, strict=True))
        drawn = sum(a * d for a, d in zip(amounts, draws, strict=True))
        reach = self._reach * sum(map(abs, amounts)) / 2
        return self._unless_one_set(two_way(np.asarray(sums), drawn, len(set(self.units)), reach, level))


def grids(cells: Sequence[Cell], *, seed: int = 0, draws: int = DRAWS, per_item: bool = False) -> list[Grid]:
    """A grid for each model, task and template, in the cells' order."""
    order: dict[tuple[str, str, str], int] = {}
    for cell in cells:
        order.setdefault((cell.model, cell.task, cell.template), len(order))
    ordered = sorted(cells, key=lambda c: order[c.model, c.task, c.template])
    found = [
        Grid(list(group), seed=seed, draws=draws, per_item=per_item)
        for _, group in groupby(ordered, lambda c: (c.model, c.task, c.template))
    ]
    return [grid for grid in found if grid.ids and grid.shots]


def make_curve(grid: Grid) -> Curve:
    """All that is said of one model under one template."""
    first, shots = grid.first, grid.shots
    chances = first.chances
    enough = _enough(grid, shots)
    return Curve(
        model=first.model,
        generation=first.generation,
        n_params=first.n_params,
        task=first.task,
        template=first.template,
        family=first.family,
        metric=first.metric.name,
        higher_is_better=first.metric.higher_is_better,
        chance=None if chances is None else float(chances.mean()),
        full=first.metric.scale,
        points=tuple(_point(grid, k) for k in shots),
        slope=_slope(grid, shots),
        gain=grid.difference(grid.by_seed(shots[-1]), grid.by_seed(shots[0])) if len(shots) > 1 else None,
        enough=enough,
        hurts=_hurts(grid, shots),
        beyond=None if enough is None else _beyond(grid, enough),
        one_set=not grid.tells,
    )


def _slope(grid: Grid, shots: Sequence[int]) -> Estimate | None:
    if len(shots) < 2:
        return None
    x = np.log2(1 + np.array(shots, dtype=float))
    x -= x.mean()
    return grid.combined(dict(zip(shots, (x / (x**2).sum()).tolist(), strict=True)))


def _enough(grid: Grid, shots: Sequence[int]) -> int | None:
    """The fewest examples than which all larger numbers together (their mean) are not measurably better.

    None where the last step still brings something, or where there is one number only.
    """
    if not grid.tells:
        return None
    sign = 1 if grid.metric.higher_is_better else -1
    for place, fewer in enumerate(shots[:-1]):
        more = shots[place + 1 :]
        beyond = grid.combined({fewer: -1.0} | {k: 1 / len(more) for k in more})
        if not (beyond.significant and sign * beyond.value > 0):
            return fewer
    return None


def _beyond(grid: Grid, enough: int) -> float:
    """How much more than with ``enough`` the best of all larger numbers may bring, at most (Bonferroni)."""
    larger = [k for k in grid.shots if k > enough]
    level = 1 - 2 * (1 - LEVEL) / len(larger)
    found = [grid.combined({enough: -1.0, k: 1.0}, level) for k in larger]
    return max(0.0, *(one.ci_high if grid.metric.higher_is_better else -one.ci_low for one in found))


def _hurts(grid: Grid, shots: Sequence[int]) -> tuple[int, ...] | None:
    if len(shots) < 2 or shots[0] != 0 or not grid.tells:
        return None
    sign = 1 if grid.metric.higher_is_better else -1
    without = grid.by_seed(0)
    found = [grid.difference(grid.by_seed(k), without) for k in shots[1:]]
    adjusted = holm([one.p for one in found])
    return tuple(k for k, p, one in zip(shots[1:], adjusted, found, strict=True) if p < ALPHA and sign * one.value < 0)


def _point(grid: Grid, shots: int) -> Point:
    keys = [grid.key(shots, seed) for seed in grid.seeds]
    found = grid.rows(keys)
    dropped = np.stack([grid.cells[key].dropped[grid.cells[key].at(grid.ids)] for key in keys])
    point = Point(
        shots=shots,
        n=len(grid.ids),
        score=grid.score(found),
        seeds=tuple(found[0].tolist()) if shots else (float(found[0][0]),),
        spread=grid.spread(found) if shots else Spread(math.nan, math.nan, math.nan),
        dropped=float(dropped.sum(axis=1).mean()),
        uncut=_uncut(grid, shots, np.logical_not(dropped.any(axis=0))) if dropped.any() else None,
    )
    if all(grid.key(shots, seed, RANDOM_LABELS) in grid.cells for seed in grid.seeds):
        control = grid.by_seed(shots, RANDOM_LABELS)
        point = replace(point, random_labels=grid.score(control), labels=grid.difference(found, control))
    others = [key for key in grid.cells if key[0] == shots and key[2].startswith(f"{ORDER}-")]
    orders = [(shots, grid.base, ""), *sorted(others, key=lambda key: int(key[2].rpartition("-")[2]))]
    if others and orders[0] in grid.cells:
        values, draws = grid.rows(orders)
        point = replace(point, orders=tuple(values.tolist()), order_spread=grid.spread((values, draws)))
    return point


def _uncut(grid: Grid, shots: int, mask: Mask) -> Uncut:
    n = int(mask.sum())
    if not n:
        return Uncut(0, Estimate(math.nan, why="every item was cut"), None)
    without = float(grid.by_seed(0, mask=mask)[0][0]) if 0 in grid.shots else None
    return Uncut(n, grid.score(grid.by_seed(shots, mask=mask), mask), without)

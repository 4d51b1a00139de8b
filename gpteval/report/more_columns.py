"""Columns of the leaderboard that stand for several, or beside those of the tasks; seen when they are asked for."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from gpteval.core.show import number, signed
from gpteval.report.costs import ItemCost, item_cost
from gpteval.report.leaderboard import (
    FAMILY_NAMES,
    Column,
    Leaderboard,
    RankedModel,
    centred,
    is_fraction,
    margin,
    mean_of_tasks,
    show,
)
from gpteval.store.runs import Loaded, facts_of

ALSO = "also"  # the family of the columns that are no task's
SMALL = 0.1  # of which three decimals say too little


@dataclass(frozen=True)
class MoreCell:
    """``curve``: points of a line from (0, 0), worst and first, to (1, 1)."""

    value: float | None = None
    text: str = "–"
    aside: str = ""
    curve: tuple[tuple[float, float], ...] = ()

    @property
    def line(self) -> str:
        """The curve as an SVG path's points, 48 wide and 16 high, within a rim of 2."""
        return " ".join(f"{2 + 44 * x:.1f},{14 - 12 * y:.1f}" for x, y in self.curve)


@dataclass(frozen=True)
class MoreColumn:
    """``kind``: what asks for it: ``families``, ``shots``, or its own id. ``covers``: ids of the columns that it stands
    for. ``cells``: in the order of the board's models.
    """

    id: str
    kind: str
    label: str
    unit: str
    family: str
    higher: bool
    cells: tuple[MoreCell, ...]
    covers: tuple[str, ...] = ()


def more_columns(loaded: Loaded, board: Leaderboard) -> tuple[MoreColumn, ...]:
    """Those of families and of numbers of examples, then what the models take and how far published numbers are."""
    return (*_families(board), *_shots(board), *_published(board), *_costs(loaded, board))


def _families(board: Leaderboard) -> list[MoreColumn]:
    """A family's mean of chance-centred scores, over the tasks that all models ran which have one."""
    found = []
    for family, columns in board.families():
        covered = [column for column in columns if column in board.shared]
        if len(covered) < 2:
            continue
        tasks = len({column.base for column in covered})
        found.append(
            MoreColumn(
                id=f"family-{family}",
                kind="families",
                label=FAMILY_NAMES.get(family, family),
                unit=f"centred, {tasks} task{'' if tasks == 1 else 's'}",
                family=family,
                higher=True,
                cells=tuple(_mean(board, model, covered) for model in board.models),
                covers=tuple(column.id for column in covered),
            )
        )
    return found


def _mean(board: Leaderboard, model: RankedModel, columns: Sequence[Column]) -> MoreCell:
    rows = [(column, board.primary.get((model.name, column.id))) for column in columns]
    scores = {column: s[0] for column, row in rows if row is not None and (s := centred(row)) is not None}
    if len(scores) < len(columns):
        return MoreCell()
    mean = mean_of_tasks(scores)
    return MoreCell(mean, signed(100 * mean))


def _shots(board: Leaderboard) -> list[MoreColumn]:
    """A task under several numbers of examples: the score with the most, what they bring, and the way there.

    The 95 % interval of what they bring is that of two independent scores; of one model on the same items it is no
    wider.
    """
    by_task: dict[tuple[str, str], list[Column]] = {}
    for column in board.columns:
        by_task.setdefault((column.task, column.metric), []).append(column)
    found = []
    for (task, metric), columns in by_task.items():
        if len(columns) < 2:
            continue
        most, least = columns[-1].shots, columns[0].shots
        found.append(
            MoreColumn(
                id=f"shots-{task}",
                kind="shots",
                label=f"{task}, {least} to {most}-shot",
                unit=f"{metric}{' %' if is_fraction(metric) else ''} with {most}, gain over {least}",
                family=columns[0].family,
                higher=columns[0].higher,
                cells=tuple(_gain(board, model, columns) for model in board.models),
                covers=tuple(column.id for column in columns),
            )
        )
    return found


def _gain(board: Leaderboard, model: RankedModel, columns: Sequence[Column]) -> MoreCell:
    rows = [board.primary.get((model.name, column.id)) or {} for column in columns]
    values = [row.get("value") for row in rows]
    if any(value is None for value in values):
        return MoreCell()
    first, last = rows[0], rows[-1]
    metric = columns[0].metric
    gain = show(last["value"] - first["value"], metric).replace("-", "−")
    errors = [row.get("stderr") for row in (first, last)]
    within = "" if None in errors else f" ± {show(margin(math.hypot(*errors)), metric)}"  # type: ignore[arg-type]
    bottom = min(column.low for column in columns)
    height = max(column.high for column in columns) - bottom
    heights = [(value - bottom) / height if height else 0.5 for value in values]  # type: ignore[operator]
    curve = tuple((n / (len(values) - 1), min(1.0, max(0.0, y))) for n, y in enumerate(heights))
    sign = "+" if last["value"] > first["value"] else ""
    return MoreCell(last["value"], show(last["value"], metric), f"{sign}{gain}{within}", curve)


def _published(board: Leaderboard) -> list[MoreColumn]:
    """How far a model's shares are from comparable published ones in the mean, in points."""
    gaps: dict[str, list[float]] = {}
    for (model, _), row in board.primary.items():
        known = row.get("published")
        value = known.get("value") if isinstance(known, Mapping) and known.get("comparable") else None
        if isinstance(value, int | float) and row.get("value") is not None and is_fraction(row["metric"]):
            gaps.setdefault(model, []).append(100 * (row["value"] - value))
    cells = [
        MoreCell(fmean(found), signed(fmean(found)), f"{len(found)} number{'' if len(found) == 1 else 's'}")
        if (found := gaps.get(model.name))
        else MoreCell()
        for model in board.models
    ]
    return _told("published", "To published", "measured minus published, points", cells, higher=True)


def _costs(loaded: Loaded, board: Leaderboard) -> list[MoreColumn]:
    """What each model takes, over the columns that all have."""
    known = facts_of(loaded)
    common = [c.id for c in board.columns if all((model.name, c.id) in board.primary for model in board.models)]
    costs = [
        item_cost([board.primary[model.name, column] for column in common], known.get(model.name) or {})
        for model in board.models
    ]

    def column(name: str, label: str, unit: str, value: Callable[[ItemCost], float | None]) -> list[MoreColumn]:
        cells = [
            MoreCell(v, number(v) if v > SMALL else f"{v:.2g}") if (v := value(cost)) else MoreCell() for cost in costs
        ]
        return _told(name, label, unit, cells, higher=False)

    return [
        *column("seconds", "Seconds", "an item", lambda cost: cost.seconds),
        *column("latency", "Latency", "seconds of an item, behind an API", lambda cost: cost.latency),
        *column("memory", "Memory", "of the GPU at most, GiB", lambda cost: (cost.memory or 0) / 2**30),
        *column("dollars", "Dollars", "for 1,000 items", lambda cost: 1000 * (cost.dollars or 0.0)),
    ]


def _told(name: str, label: str, unit: str, cells: Sequence[MoreCell], *, higher: bool) -> list[MoreColumn]:
    """A column beside the tasks', unless it is empty."""
    if all(cell.value is None for cell in cells):
        return []
    return [MoreColumn(name, name, label, unit, ALSO, higher, tuple(cells))]

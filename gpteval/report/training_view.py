"""The view of training runs: scores over the steps of their checkpoints, the other models as levels to reach."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gpteval.core.show import with_shots
from gpteval.report.charts import SYMBOLS, plain
from gpteval.report.leaderboard import is_fraction, show, show_interval
from gpteval.store.documents import ResultRow
from gpteval.store.runs import Loaded

DASHES = ("solid", "dash", "dot", "longdash")  # by the place of a number of examples among those that were run
MOST_TICKS = 9
SLOTS = 5  # places along the axis for the names of levels
LONGEST = 18  # characters of a level's name, so that the next place stays free
ALSO = ("bits_per_byte", "bpb", "prob")  # are shown where they are not the primary metric, too


@dataclass(frozen=True)
class Line:
    """A training's results on one task with one number of examples, in the order of its steps."""

    family: str
    shots: int
    rows: tuple[ResultRow, ...]

    @property
    def name(self) -> str:
        return with_shots(self.family, self.shots)

    def at(self, step: int) -> ResultRow | None:
        return next((row for row in self.rows if row["step"] == step), None)


@dataclass(frozen=True)
class TaskSteps:
    """One metric of a task over training. ``levels``: results of models that are no checkpoints."""

    id: str
    task: str
    metric: str
    higher: bool
    lines: tuple[Line, ...]
    levels: tuple[ResultRow, ...]

    @property
    def label(self) -> str:
        return f"{self.task}, {self.metric}"

    @property
    def unit(self) -> str:
        return f"{self.metric}{', %' if is_fraction(self.metric) else ''}"

    @property
    def steps(self) -> tuple[int, ...]:
        return tuple(sorted({row["step"] for line in self.lines for row in line.rows}))

    @property
    def sentences(self) -> list[str]:
        """What each line does from its first to its last step, and whom it passes on the way for good."""
        return [self._sentence(line) for line in self.lines]

    def _sentence(self, line: Line) -> str:
        first, last = line.rows[0], line.rows[-1]
        said = (
            f"{line.name}: {show(first['value'], self.metric)} at step {first['step']:,}, "
            f"{show(last['value'], self.metric)} at step {last['step']:,}"
        )
        passed: dict[int, list[str]] = {}
        for level in self.levels:
            if level["shots"] == line.shots and (row := self._passing(line, level)) is not None:
                passed.setdefault(row["step"], []).append(level["model"])
        where = [f"{' and '.join(names)} from step {step:,} on" for step, names in sorted(passed.items())]
        return f"{said}; ahead of {', of '.join(where)}" if where else said

    def _passing(self, line: Line, level: ResultRow) -> ResultRow | None:
        """The first of the last results without a break that are better than ``level``."""
        found = None
        for row in reversed(line.rows):
            if not (row["value"] > level["value"] if self.higher else row["value"] < level["value"]):
                break
            found = row
        return found


def training(loaded: Loaded) -> tuple[TaskSteps, ...]:
    """A view for each task and metric that a training with two checkpoints or more has results of."""
    rows = [row for row in loaded.rows if row.get("value") is not None and not row.get("part_of")]
    shown: dict[tuple[str, str], list[ResultRow]] = {}
    for row in rows:
        if row.get("primary") or row["metric"] in ALSO:
            shown.setdefault((row["task"], row["metric"]), []).append(row)
    found: list[TaskSteps] = []
    for (task, metric), of_task in shown.items():
        by_line: dict[tuple[str, int], dict[int, ResultRow]] = {}
        for row in of_task:
            if isinstance(row.get("step"), int):
                by_line.setdefault((str(row.get("model_family") or row["model"]), row["shots"]), {})[row["step"]] = row
        lines = [
            Line(family, shots, tuple(of_step[step] for step in sorted(of_step)))
            for (family, shots), of_step in sorted(by_line.items())
            if len(of_step) > 1
        ]
        if lines:
            levels = tuple(row for row in of_task if row.get("step") is None)
            higher = bool(of_task[0]["higher_is_better"])
            found.append(TaskSteps(f"training-{len(found)}", task, metric, higher, tuple(lines), levels))
    return tuple(found)


def figure(view: TaskSteps) -> dict[str, Any]:
    """A plotly figure: a line and its 95 % intervals as a band for each training and number of examples (dashed for
    more of them), a grey level for every other model; several trainings have a colour and a mark each. Steps stand at
    the logarithm of one more, so that 0 has a place.
    """
    factor = 100.0 if is_fraction(view.metric) else 1.0
    counts = sorted({line.shots for line in view.lines} | {row["shots"] for row in view.levels})
    dash = {shots: DASHES[min(place, len(DASHES) - 1)] for place, shots in enumerate(counts)}
    families = list(dict.fromkeys(line.family for line in view.lines))
    ends = [_place(view.steps[0]), _place(view.steps[-1])]
    data: list[dict[str, Any]] = []
    for number, row in enumerate(sorted(view.levels, key=lambda row: row["value"])):
        at = ends[0] + (ends[1] - ends[0]) * (0.1 + 0.8 * (number % SLOTS) / (SLOTS - 1))  # of levels close together
        name = with_shots(row["model"], row["shots"])
        level = trace(row, [ends[0], at, ends[1]], [factor * row["value"]] * 3, name)
        data.append(
            level
            | {
                "text": ["", plain(name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…"), ""],
                "meta": {"generation": "soft"},
                "textposition": "top center",
                "hovertext": plain(f"{name}: {_with_interval(row)}"),
                "mode": "lines+text",
                "line": {"width": 1, "dash": dash[row["shots"]]},
                "opacity": 0.75,
                "showlegend": False,
            }
        )
    for line in view.lines:
        place = families.index(line.family) % len(SYMBOLS)
        colour = {"meta": {"generation": list(SYMBOLS)[place]}} if len(families) > 1 else {}  # else its generation's
        x = [_place(row["step"]) for row in line.rows]
        low = [factor * _bound(row, "ci_low") for row in line.rows]
        high = [factor * _bound(row, "ci_high") for row in line.rows]
        band = trace(line.rows[0], [*x, *x[::-1]], [*high, *low[::-1]], line.name) | colour
        data.append(band | {"fill": "toself", "mode": "none", "showlegend": False, "hoverinfo": "skip"})
        curve = trace(line.rows[0], x, [factor * row["value"] for row in line.rows], line.name) | colour
        data.append(
            curve
            | {
                "text": [plain(f"{line.name}, step {row['step']:,}: {_with_interval(row)}") for row in line.rows],
                "mode": "lines+markers",
                "marker": {"size": 7, "symbol": list(SYMBOLS.values())[place]},
                "line": {"width": 2.5, "dash": dash[line.shots]},
            }
        )
    ticks = _ticks(view.steps)
    layout: dict[str, Any] = {
        "meta": {"kind": "curve"},
        "xaxis": {
            "title": {"text": "training step, logarithmic"},
            "tickvals": [_place(step) for step in ticks],
            "ticktext": [f"{step:,}" for step in ticks],
        },
        "yaxis": {"title": {"text": plain(view.unit)}},
        "hovermode": "closest",
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
    }
    chance = next((row["chance"] for line in view.lines for row in line.rows if row.get("chance")), None)
    if chance is not None:
        level = {"y0": factor * chance, "y1": factor * chance, "x0": 0, "x1": 1, "xref": "paper"}
        layout["shapes"] = [{"type": "line", "line": {"dash": "dot", "width": 1, "color": "#8a8f98"}, **level}]
    return {"data": data, "layout": layout}


def trace(row: ResultRow, x: Sequence[float], y: Sequence[float], name: str) -> dict[str, Any]:
    """A plotly trace in the colour of the row's generation."""
    generation = row["generation"] if row["generation"] in SYMBOLS else "other"
    made: dict[str, Any] = {"type": "scatter", "x": list(x), "y": list(y), "hoverinfo": "text"}
    return made | {"name": plain(name), "legendgroup": name, "meta": {"generation": generation}}


def _place(step: int) -> float:
    return math.log10(1 + step)


def _ticks(steps: Sequence[int]) -> list[int]:
    """Of many steps those that keep apart on the axis."""
    apart = (_place(steps[-1]) - _place(steps[0])) / MOST_TICKS
    ticks = [steps[-1]]
    for step in reversed(steps[:-1]):
        if _place(ticks[-1]) - _place(step) >= apart:
            ticks.append(step)
    return ticks[::-1]


def _bound(row: ResultRow, end: str) -> float:
    bound = row.get(end)
    return float(row["value"] if bound is None else bound)


def _with_interval(row: ResultRow) -> str:
    interval = show_interval(row)
    return show(row["value"], row["metric"]) + (f" ({interval})" if interval else "")

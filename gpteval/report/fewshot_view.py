"""The view of few-shot experiments: a chart and a table for each task, from the runs' ``fewshot.json``."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gpteval.report.charts import SYMBOLS, plain
from gpteval.store.documents import AGAIN
from gpteval.store.runs import Runs

FILE = "fewshot.json"
_Json = Mapping[str, Any]


@dataclass(frozen=True)
class TaskCurves:
    """One task under one template: the models' curves, and the numbers of examples of any of them."""

    id: str
    label: str
    metric: str
    unit: str
    factor: float
    shots: tuple[int, ...]
    curves: tuple[_Json, ...]
    has_control: bool

    def point(self, curve: _Json, shots: int) -> _Json | None:
        return next((point for point in curve["points"] if point["shots"] == shots), None)

    def show(self, value: float | None) -> str:
        """A score: shares in percent."""
        return "–" if value is None else f"{self.factor * value + 0.0:.1f}"


@dataclass(frozen=True)
class Examples:
    """``remarks``: files that could not be read."""

    tasks: tuple[TaskCurves, ...] = ()
    sentences: tuple[str, ...] = ()
    templates: tuple[_Json, ...] = ()
    best: tuple[_Json, ...] = ()
    remarks: tuple[str, ...] = ()

    @property
    def figures(self) -> dict[str, Any]:
        return {task.id: figure(task) for task in self.tasks}

    @property
    def means(self) -> dict[tuple[str, str], str]:
        """What a cell of the leaderboard, by model and column, does not say: it has a single set of examples."""
        return {
            (str(curve["model"]), f"{task.label}-{point['shots']}"): (
                f"one of {len(point['seeds'])} sets of examples, whose mean is {task.show(point['score']['value'])}"
                f" ({task.show(min(point['seeds']))} to {task.show(max(point['seeds']))}): see Examples"
            )
            for task in self.tasks
            for curve in task.curves
            for point in curve["points"]
            if point["shots"] and len(point["seeds"]) > 1
        }


@dataclass
class _Found:
    curves: dict[tuple[str, str], _Json] = field(default_factory=dict)
    rows: dict[str, list[_Json]] = field(default_factory=lambda: {"sentences": [], "templates": [], "best": []})
    remarks: list[str] = field(default_factory=list)


def examples(runs: Runs) -> Examples:
    """What the runs' experiments found; of a model and task that two have, the later one counts."""
    found = _Found()
    for run, names in zip(runs.folders, runs.called, strict=True):
        if (run / FILE).is_file():
            _read(run, names, found)
    by_label: dict[str, list[_Json]] = {}
    for (_, label), curve in found.curves.items():
        by_label.setdefault(label, []).append(curve)
    tasks = [_task(f"examples-{n}", label, curves) for n, (label, curves) in enumerate(by_label.items())]
    sentences = tuple(dict.fromkeys(map(str, found.rows["sentences"])))
    return Examples(
        tuple(tasks), sentences, tuple(found.rows["templates"]), tuple(found.rows["best"]), tuple(found.remarks)
    )


def _read(run: Path, names: Mapping[str, str], found: _Found) -> None:
    """``names``: what the run's models are called on the page."""
    try:
        document = _renamed(json.loads((run / FILE).read_text(encoding="utf-8")), names)
        curves = {(str(c["model"]), _label(c)): c | {"points": _points(c)} for c in document["curves"] if _points(c)}
        rows = {name: list(document.get(name) or []) for name in found.rows}
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        found.remarks.append(f"{FILE} of {run.resolve().name} cannot be read ({type(error).__name__}): {AGAIN}")
        return
    found.curves |= curves
    for name, several in rows.items():
        found.rows[name] += several


def _renamed(document: Any, names: Mapping[str, str]) -> Any:
    """A document with other names of models in all its texts."""
    changed = {old: new for old, new in names.items() if new != old}
    if not changed:
        return document
    if isinstance(document, str):
        whole = "|".join(rf"(?<![\w/.-]){re.escape(name)}(?![\w.-]*\w)" for name in changed)
        return re.sub(whole, lambda found: changed[found[0]], document)
    if isinstance(document, list):
        return [_renamed(part, names) for part in document]
    return {key: _renamed(part, names) for key, part in document.items()} if isinstance(document, dict) else document


def _points(curve: _Json) -> list[_Json]:
    """Those with a finite score. Raises what a point raises that is none."""
    points = [point for point in curve["points"] if point["score"]["value"] is not None]
    for point in points:  # all that the page asks of it
        _ = int(point["shots"]), point["dropped"] > 0, f"{point['n']:d}", float(point["score"]["value"])
        _ = math.fsum(point["seeds"]), min(point["seeds"])
    return points


def _label(curve: _Json) -> str:
    template = curve.get("template", "default")
    return str(curve["task"]) if template == "default" else f"{curve['task']}:{template}"


def _task(name: str, label: str, curves: Sequence[_Json]) -> TaskCurves:
    first = curves[0]
    share = first.get("full") == 1.0
    return TaskCurves(
        id=name,
        label=label,
        metric=str(first["metric"]),
        unit=f"{first['metric']}{', %' if share else ''}",
        factor=100.0 if share else 1.0,
        shots=tuple(sorted({point["shots"] for curve in curves for point in curve["points"]})),
        curves=tuple(curves),
        has_control=any(point.get("random_labels") for curve in curves for point in curve["points"]),
    )


def figure(task: TaskCurves) -> dict[str, Any]:
    """A plotly figure: a line a model, its seeds' range as a band, random labels dashed, hollow where examples drop.

    The page's script gives the colours (``meta.generation``); later models of a generation have other dots.
    """
    data: list[dict[str, Any]] = []
    seen: dict[str, int] = {}
    for curve in task.curves:
        generation = str(curve.get("generation"))
        generation = generation if generation in SYMBOLS else "other"
        number = seen[generation] = seen.get(generation, -1) + 1
        common = {"meta": {"generation": generation}, "legendgroup": str(curve["model"]), "hoverinfo": "text"}
        points = curve["points"]
        x = [math.log2(1 + point["shots"]) for point in points]
        low = [task.factor * min(point["seeds"]) for point in points]
        high = [task.factor * max(point["seeds"]) for point in points]
        band = {"x": [*x, *x[::-1]], "y": [*high, *low[::-1]], "fill": "toself", "mode": "none", "showlegend": False}
        data.append(common | {"type": "scatter", "hoverinfo": "skip"} | band)
        control = [
            (place, value)
            for place, point in zip(x, points, strict=True)
            if (value := (point.get("random_labels") or {}).get("value")) is not None
        ]
        if control:
            data.append(
                common
                | {
                    "type": "scatter",
                    "x": [place for place, _ in control],
                    "y": [task.factor * value for _, value in control],
                    "text": [plain(f"{curve['model']}, random labels: {task.show(value)}") for _, value in control],
                    "mode": "lines",
                    "line": {"dash": "dash", "width": 1.5},
                    "showlegend": False,
                }
            )
        symbol = list(SYMBOLS.values())[number % len(SYMBOLS)]
        data.append(
            common
            | {
                "type": "scatter",
                "x": x,
                "y": [task.factor * point["score"]["value"] for point in points],
                "error_y": _reach(task, points),
                "text": [plain(_hover(task, curve, point)) for point in points],
                "mode": "lines+markers",
                "marker": {"size": 8, "symbol": [symbol + ("-open" if point["dropped"] else "") for point in points]},
                "line": {"width": 2},
                "name": plain(str(curve["model"])),
            }
        )
    ticks = {"tickvals": [math.log2(1 + k) for k in task.shots], "ticktext": [str(k) for k in task.shots]}
    layout: dict[str, Any] = {
        "meta": {"kind": "curve"},
        "xaxis": {"title": {"text": "examples in the prompt"}, **ticks},
        "yaxis": {"title": {"text": plain(task.unit)}},
        "hovermode": "closest",
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
    }
    chance = next((curve["chance"] for curve in task.curves if curve.get("chance")), None)
    if chance is not None:
        level = {"y0": task.factor * chance, "y1": task.factor * chance, "x0": 0, "x1": 1, "xref": "paper"}
        layout["shapes"] = [{"type": "line", "line": {"dash": "dot", "width": 1, "color": "#8a8f98"}, **level}]
    return {"data": data, "layout": layout}


def _reach(task: TaskCurves, points: Sequence[_Json]) -> dict[str, Any]:
    """The 95 % intervals; 0 where there is none."""
    ends = []
    for bound in ("ci_high", "ci_low"):
        known = [(point["score"].get(bound), point["score"]["value"]) for point in points]
        ends.append([0.0 if end is None else task.factor * abs(end - value) for end, value in known])
    return {"type": "data", "symmetric": False, "array": ends[0], "arrayminus": ends[1], "thickness": 1, "width": 3}


def _hover(task: TaskCurves, curve: _Json, point: _Json) -> str:
    text = f"{curve['model']}, {point['shots']} examples: {task.show(point['score']['value'])}"
    if point["score"].get("ci_low") is not None:
        text += f" ({task.show(point['score']['ci_low'])} to {task.show(point['score']['ci_high'])})"
    if point["dropped"]:
        text += f"; examples dropped for {point['dropped']:.0f} of {point['n']} items"
    return text

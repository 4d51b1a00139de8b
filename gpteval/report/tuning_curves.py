"""Prompting beside tuning: a task's score by the number of examples, in the prompt or trained on."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from gpteval.report.charts import SYMBOLS, plain
from gpteval.report.leaderboard import is_fraction, show
from gpteval.report.training_view import DASHES, trace
from gpteval.report.view import CURVE, Chart

PROMPTING = "prompting"


@dataclass(frozen=True)
class Tried:
    """A way to use so many examples, with its result, of one seed."""

    base: str
    task: str
    method: str
    examples: int
    row: Mapping[str, Any]


@dataclass(frozen=True)
class CurvePoint:
    """The mean over ``seeds`` seeds, and the mean of their intervals' ends."""

    examples: int
    value: float
    ci_low: float | None
    ci_high: float | None
    seeds: int


def tuning_charts(tried: Sequence[Tried]) -> tuple[Chart, ...]:
    """A chart a task and model that was tuned on it with several numbers of examples, or was prompted as well."""
    found: dict[tuple[str, str], dict[tuple[str, str], list[Tried]]] = {}
    for one in tried:
        found.setdefault((one.task, one.base), {}).setdefault((one.method, one.row["metric"]), []).append(one)
    charts = []
    for number, ((task, base), methods) in enumerate(sorted(found.items()), 1):
        several = len({one.examples for own in methods.values() for one in own}) > 1
        if several and any(method != PROMPTING for method, _ in methods):
            seen = f"{task}: {base}'s score by the number of examples, in the prompt and trained on."
            charts.append(Chart(f"tuning-curve-{number}", seen, _figure(methods), f"{task}, {base}"))
    return tuple(charts)


def points(tried: Sequence[Tried]) -> list[CurvePoint]:
    """Of one method, by the number of examples."""
    by_count: dict[int, list[Mapping[str, Any]]] = {}
    for one in tried:
        by_count.setdefault(one.examples, []).append(one.row)
    return [
        CurvePoint(
            examples, fmean(row["value"] for row in rows), _mean(rows, "ci_low"), _mean(rows, "ci_high"), len(rows)
        )
        for examples, rows in sorted(by_count.items())
    ]


def _mean(rows: Sequence[Mapping[str, Any]], end: str) -> float | None:
    found = [row[end] for row in rows if row.get(end) is not None]
    return fmean(found) if found else None


def _figure(methods: Mapping[tuple[str, str], Sequence[Tried]]) -> dict[str, Any]:
    """A plotly figure: a line a method with its 95 % intervals; the axis is one of doublings of 1 + examples."""
    data, counts = [], {one.examples for own in methods.values() for one in own}
    symbols = list(SYMBOLS.values())
    metrics = list(dict.fromkeys(metric for _, metric in methods))
    for number, ((method, metric), tried) in enumerate(methods.items()):
        name = method if len(metrics) == 1 else f"{method}, {metric}"
        factor, own = 100.0 if is_fraction(metric) else 1.0, points(tried)
        ends = [(point.ci_low, point.ci_high) for point in own]
        data.append(
            trace(tried[0].row, [_place(p.examples) for p in own], [factor * p.value for p in own], name)
            | {
                "text": [plain(_hover(method, metric, point)) for point in own],
                "mode": "lines+markers",
                "line": {"width": 2, "dash": DASHES[number % len(DASHES)]},
                "marker": {"size": 8, "symbol": symbols[number % len(symbols)]},
                "error_y": {
                    "type": "data",
                    "symmetric": False,
                    "thickness": 1,
                    "width": 3,
                    "array": [
                        0.0 if h is None else factor * (h - p.value) for (_, h), p in zip(ends, own, strict=True)
                    ],
                    "arrayminus": [
                        0.0 if low is None else factor * (p.value - low) for (low, _), p in zip(ends, own, strict=True)
                    ],
                },
            }
        )
    ticks = {"tickvals": [_place(n) for n in sorted(counts)], "ticktext": [f"{n:,}" for n in sorted(counts)]}
    units = [f"{metric}{' %' if is_fraction(metric) else ''}" for metric in metrics]
    axes = {
        "xaxis": {"title": {"text": "examples, in the prompt or trained on"}, **ticks},
        "yaxis": {"title": {"text": plain(", ".join(units))}},
    }
    return {"data": data, "layout": {**CURVE, **axes}}


def _place(examples: int) -> float:
    return math.log2(1 + examples)


def _hover(method: str, metric: str, point: CurvePoint) -> str:
    said = f"{method}, {point.examples:,} examples: {show(point.value, metric)}"
    if point.ci_low is not None and point.ci_high is not None:
        said += f" ({show(point.ci_low, metric)} to {show(point.ci_high, metric)})"
    return said + (f", mean of {point.seeds} seeds" if point.seeds > 1 else "")

"""A plotly figure for each family: one panel a task, one line a model, a dot with its interval."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Any

from gpteval.core.generations import NAMES
from gpteval.report.leaderboard import Column, Leaderboard, is_fraction, show, show_interval

SYMBOLS = {"gpt1": "circle", "gpt2": "square", "gpt3": "diamond", "gpt4": "triangle-up", "other": "cross"}
TRACE_TYPES = {"scatter"}
LONGEST = 26  # characters of a model's name on an axis


def family_figure(board: Leaderboard, columns: Sequence[Column]) -> dict[str, Any]:
    """The figure as plain JSON values: ``{"data": [...], "layout": {...}}``.

    The page's script gives the panels their places, which depend on its width, and the colours, which
    depend on its theme; ``layout.meta`` has the counts that it needs.
    """
    import plotly.graph_objects as go

    figure = go.Figure(layout={"template": "none"})
    models = [m.name for m in board.models]
    names = [plain(n if len(n) <= LONGEST else f"{n[: LONGEST // 2]}…{n[-LONGEST // 2 + 1 :]}") for n in models]
    ranges = _common_ranges(columns)
    for number, column in enumerate(columns):
        suffix = str(number + 1) if number else ""
        for generation, _ in board.groups:
            trace = _dots(board, generation, column)
            figure.add_scatter(**trace, xaxis=f"x{suffix}", yaxis=f"y{suffix}", showlegend=number == 0)
        if column.chance is not None:
            level = column.chance * _factor(column)
            ends = {"x0": level, "x1": level, "y0": 0, "y1": 1, "xref": f"x{suffix}", "yref": f"y{suffix} domain"}
            figure.add_shape(type="line", line={"dash": "dot", "width": 1, "color": "#8a8f98"}, **ends)
        figure.add_annotation(
            text=f"<b>{plain(column.label)}</b><br>{plain(_axis(column))}",
            xref=f"x{suffix} domain",
            yref=f"y{suffix} domain",
            x=0,
            y=1,
            xanchor="left",
            yanchor="bottom",
            align="left",
            showarrow=False,
        )
        horizontal: dict[str, Any] = {"type": "log" if column.log else "linear", "anchor": f"y{suffix}", "nticks": 5}
        if not column.log:
            horizontal["range"] = ranges[_scale(column)]
        rows: dict[str, Any] = {"anchor": f"x{suffix}", "tickvals": list(range(len(models))), "ticktext": names}
        rows |= {"range": [len(models) - 0.5, -0.5], "zeroline": False}
        figure.update_layout({f"xaxis{suffix}": horizontal, f"yaxis{suffix}": rows})
    figure.update_layout(
        meta={"panels": len(columns), "rows": len(models)},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        hovermode="closest",
    )
    document: dict[str, Any] = figure.to_plotly_json()
    assert {trace["type"] for trace in document["data"]} <= TRACE_TYPES
    return document


def _common_ranges(columns: Sequence[Column]) -> dict[str, list[float]]:
    """One axis for all panels of a scale, so that lengths compare: from the lowest to the highest bound, and a little
    more.
    """
    found: dict[str, list[float]] = {}
    for column in columns:
        if not column.log:
            found.setdefault(_scale(column), []).extend((column.low * _factor(column), column.high * _factor(column)))
    return {scale: _wider(min(ends), max(ends)) for scale, ends in found.items()}


def _wider(low: float, high: float) -> list[float]:
    more = 0.04 * (high - low) or 0.04 * abs(high) or 1.0
    return [low - more, high + more]


def _scale(column: Column) -> str:
    """Shares have one scale, whatever the metric; else a metric has its own."""
    return "share" if is_fraction(column.metric) else column.metric


def _dots(board: Leaderboard, generation: str, column: Column) -> dict[str, Any]:
    """One generation's models in one panel, each on its own line."""
    rows = [
        (place, row)
        for place, model in enumerate(board.models)
        if model.generation == generation
        and (row := board.primary.get((model.name, column.id))) is not None
        and row.get("value") is not None
    ]
    factor = _factor(column)
    return {
        "x": [row["value"] * factor for _, row in rows],
        "y": [place for place, _ in rows],
        "error_x": {
            "type": "data",
            "symmetric": False,
            "array": [_reach(row, "ci_high") * factor for _, row in rows],
            "arrayminus": [_reach(row, "ci_low") * factor for _, row in rows],
            "thickness": 1.5,
            "width": 3,
        },
        "text": [_hover(row) for _, row in rows],
        "hoverinfo": "text",
        "mode": "markers",
        "marker": {"size": 9, "symbol": SYMBOLS[generation]},
        "name": NAMES[generation],
        "legendgroup": generation,
    }


def _axis(column: Column) -> str:
    unit = ", %" if is_fraction(column.metric) else ", log" if column.log else ""
    return f"{column.metric}{unit}, {'higher' if column.higher else 'lower'} is better"


def _hover(row: Mapping[str, Any]) -> str:
    value, interval = show(row["value"], row["metric"]), show_interval(row)
    return plain(f"{row['model']}: {value}" + (f" ({interval})" if interval else ""))


def _factor(column: Column) -> int:
    return 100 if is_fraction(column.metric) else 1


def plain(text: str) -> str:
    """Plotly reads some HTML in its texts: a name must not be any."""
    return html.escape(text, quote=False)


def _reach(row: Mapping[str, Any], bound: str) -> float:
    value = row.get(bound)
    return 0.0 if value is None else abs(float(value) - float(row["value"]))

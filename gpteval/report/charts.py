"""A plotly figure for each family: one small panel a task, one dot a model, with its interval."""

from __future__ import annotations

from typing import Any

from gpteval.report.tables import GENERATIONS, Column, Leaderboard, is_fraction

# Okabe and Ito's palette: told apart with any colour vision.
COLOURS = {"gpt1": "#e69f00", "gpt2": "#0072b2", "gpt3": "#009e73", "gpt4": "#cc79a7", "other": "#7f7f7f"}
SYMBOLS = {"gpt1": "circle", "gpt2": "square", "gpt3": "diamond", "gpt4": "star", "other": "cross"}
WIDE = 3  # panels side by side
PANEL = 250  # pixels a row of panels
TRACE_TYPES = {"scatter"}


def family_figure(board: Leaderboard, columns: list[Column]) -> dict[str, Any]:
    """The figure as plain JSON values: ``{"data": [...], "layout": {...}}``. Colours of text are the page's."""
    from plotly.subplots import make_subplots

    across = min(WIDE, len(columns))
    down = -(-len(columns) // across)
    titles = [f"{c.label}<br><sub>{_axis(c)}</sub>" for c in columns]
    height = 110 + PANEL * down
    spacing = 120 / (height - 140) if down > 1 else None  # room for slanted names and the next title, in pixels
    figure = make_subplots(rows=down, cols=across, subplot_titles=titles, vertical_spacing=spacing)
    for number, column in enumerate(columns):
        place = {"row": number // across + 1, "col": number % across + 1}
        for generation, models in board.groups:
            rows = [(m.name, board.primary.get((m.name, column.id))) for m in models]
            shown = [(name, row) for name, row in rows if row is not None and row.get("value") is not None]
            factor = 100 if is_fraction(column.metric) else 1
            figure.add_scatter(
                x=[name for name, _ in shown],
                y=[row["value"] * factor for _, row in shown],
                error_y={
                    "type": "data",
                    "symmetric": False,
                    "array": [_reach(row, "ci_high") * factor for _, row in shown],
                    "arrayminus": [_reach(row, "ci_low") * factor for _, row in shown],
                    "thickness": 1.5,
                    "width": 4,
                },
                mode="markers",
                marker={"color": COLOURS[generation], "size": 9, "symbol": SYMBOLS[generation]},
                name=GENERATIONS[generation],
                legendgroup=generation,
                showlegend=number == 0,
                **place,
            )
        if column.chance is not None:
            level = column.chance * (100 if is_fraction(column.metric) else 1)
            figure.add_hline(y=level, line={"dash": "dot", "width": 1, "color": "#888888"}, **place)
        if not column.higher and column.low > 0 and column.high / column.low > 20:
            figure.update_yaxes(type="log", **place)
    figure.update_layout(
        template="none",
        height=height,
        margin={"l": 48, "r": 12, "t": 84, "b": 56},
        legend={"orientation": "h", "y": 1 + 50 / (height - 140), "yanchor": "bottom"},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
    )
    figure.update_xaxes(type="category", tickangle=-30, automargin=True)
    figure.update_yaxes(automargin=True)
    document: dict[str, Any] = figure.to_plotly_json()
    assert {trace["type"] for trace in document["data"]} <= TRACE_TYPES
    return document


def _axis(column: Column) -> str:
    unit = ", %" if is_fraction(column.metric) else ""
    return f"{column.metric}{unit}, {'higher' if column.higher else 'lower'} is better"


def _reach(row: Any, bound: str) -> float:
    value = row.get(bound)
    return 0.0 if value is None else abs(value - row["value"])

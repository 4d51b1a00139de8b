"""The view of all results at once: a row a task, a column a model, the better the stronger its shade."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gpteval.report.leaderboard import Column, Leaderboard, centred, show
from gpteval.report.view import Shade, View
from gpteval.store.runs import Loaded

FEWEST = 2  # models and tasks


def matrix_view(loaded: Loaded, board: Leaderboard) -> View | None:
    """None of a single model or a single task."""
    if len(board.models) < FEWEST or len(board.columns) < FEWEST:
        return None
    return View(
        id="matrix",
        title="Matrix",
        intro="All primary metrics; the stronger the shade, the better. Where a metric has a level of guessing and a "
        "perfect score the shade goes from the one to the other, and rows compare; elsewhere from the worst to the "
        "best number of the row. Intervals are in the leaderboard: neighbouring shades may be the same within them.",
        charts=(),
        header=("Task", *(model.name for model in board.models)),
        rows=tuple(
            (f"{column.label}: {column.metric}", *(_cell(column, board, model.name) for model in board.models))
            for column in board.columns
        ),
    )


def _cell(column: Column, board: Leaderboard, model: str) -> str | Shade:
    row = board.primary.get((model, column.id))
    if row is None or row.get("value") is None:
        return "–"
    return Shade(show(row["value"], column.metric), _share(column, board, row))


def _share(column: Column, board: Leaderboard, row: Mapping[str, Any]) -> float:
    if (score := centred(row)) is not None:
        return min(1.0, max(0.0, score[0]))
    values = [
        column.place(other["value"]) or 0.0
        for (_, where), other in board.primary.items()
        if where == column.id and other.get("value") is not None
    ]
    worst, best = (min(values), max(values)) if column.higher else (max(values), min(values))
    return 0.5 if best == worst else ((column.place(row["value"]) or 0.0) - worst) / (best - worst)

"""A chart of models: one number of each against another, a mark for each generation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from gpteval.core.generations import NAMES
from gpteval.core.show import signed
from gpteval.reference.known import KnownModel, known_model
from gpteval.report.charts import SYMBOLS, plain
from gpteval.report.leaderboard import Leaderboard, RankedModel, margin
from gpteval.report.summary import mean_score
from gpteval.report.view import CURVE

SCORE = "mean score, 0 is guessing"


@dataclass(frozen=True)
class MeanScored:
    """A model with its mean score over the tasks that all ran, from 0 (guessing) to 100, and half its interval."""

    model: RankedModel
    score: float
    error: float

    @property
    def interval(self) -> str:
        return f"{signed(self.score - self.error)} to {signed(self.score + self.error)}"


@dataclass(frozen=True)
class Dot:
    """``x``: a number, or a date as plotly reads it. ``told``: what stands beside it when it is pointed at."""

    model: RankedModel
    x: float | str
    y: float
    error: float
    told: str


def scored(board: Leaderboard) -> tuple[MeanScored, ...]:
    """The models that have a mean score with an interval, in the board's order."""
    if not board.shared:
        return ()
    found = ((model, mean_score(board, [model])) for model in board.models)
    return tuple(MeanScored(model, 100 * s[0], 100 * margin(s[1])) for model, s in found if s is not None)


def tasks_of(board: Leaderboard) -> str:
    """What a mean score is a mean over, in words."""
    tasks = len({column.base for column in board.shared})
    return f"the {tasks} task{'' if tasks == 1 else 's'} with right and wrong answers that every model ran"


def published(model: str, facts: Mapping[str, Any] | None) -> KnownModel | None:
    """What is known of a model of this name; nothing of one from a folder, which may be named like another's."""
    return None if (facts or {}).get("location") == "local" else known_model(model)


def scatter(points: Sequence[Dot], x: dict[str, Any], y: dict[str, Any], *, frontier: bool = False) -> dict[str, Any]:
    """A plotly figure with these axes. ``frontier``: a line through the models that none beats with a smaller x."""
    data: list[dict[str, Any]] = []
    if frontier:
        best = sorted({(p.x, p.y) for p in points}, key=lambda one: (one[0], -one[1]))
        tops = list(accumulate((top for _, top in best), max))
        data.append(
            {
                "type": "scatter",
                "mode": "lines",
                "x": [at for at, _ in best],
                "y": tops,
                "line": {"shape": "hv", "dash": "dot", "width": 1.5},
                "hoverinfo": "skip",
                "name": "best so far",
                "meta": {"generation": "soft"},
            }
        )
    for generation in dict.fromkeys(point.model.generation for point in points):
        own = [point for point in points if point.model.generation == generation]
        data.append(
            {
                "type": "scatter",
                "mode": "markers",
                "x": [point.x for point in own],
                "y": [point.y for point in own],
                "error_y": {"type": "data", "array": [point.error for point in own], "thickness": 1.5, "width": 3},
                "text": [plain(f"{p.model.name}: {p.told}") for p in own],
                "hoverinfo": "text",
                "marker": {"size": 9, "symbol": SYMBOLS[generation]},
                "name": NAMES[generation],
                "meta": {"generation": generation},
            }
        )
    return {"data": data, "layout": {**CURVE, "xaxis": x, "yaxis": y}}


def score_points(found: Sequence[tuple[MeanScored, float | str, str]]) -> list[Dot]:
    """Points of mean scores: each with its x, and that in words."""
    return [
        Dot(one.model, x, one.score, one.error, f"{said}, {signed(one.score)} ± {one.error:.1f}")
        for one, x, said in found
    ]


def titled(text: str, kind: str = "linear") -> dict[str, Any]:
    """An axis of plotly."""
    return {"title": {"text": text}, "type": kind}

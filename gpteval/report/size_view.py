"""The view of sizes: each model's mean score over the tasks that all ran, by its number of parameters."""

from __future__ import annotations

from typing import Any

from gpteval.core.generations import NAMES
from gpteval.core.show import signed, size
from gpteval.report.charts import SYMBOLS, plain
from gpteval.report.leaderboard import Leaderboard, RankedModel, margin
from gpteval.report.summary import mean_score
from gpteval.report.view import CURVE, View
from gpteval.store.runs import Loaded

FEWEST = 3  # models: two are a line whatever they are


def size_view(loaded: Loaded, board: Leaderboard) -> View | None:
    """None of fewer than three sizes, or where the models share no task with right and wrong answers."""
    found = [
        (generation, model, 100 * score[0], 100 * margin(score[1]))
        for generation, models in board.groups
        for model in models
        if model.n_params and board.shared and (score := mean_score(board, [model])) is not None
    ]
    if len({model.n_params for _, model, _, _ in found}) < FEWEST:
        return None
    tasks = len({column.base for column in board.shared})
    return View(
        id="sizes",
        title="By size",
        intro="A point is a model: its mean score from 0 (guessing) to 100 (perfect) over the "
        f"{tasks} task{'' if tasks == 1 else 's'} that every model ran, with the 95 % interval over items, by its "
        "parameters. Models of one size stand above each other; size does not explain what lies between them.",
        seen="Mean score by number of parameters, a mark for each generation. The table below has the same numbers.",
        figure=_figure(found),
        header=("Model", "Generation", "Parameters", "Mean score", "95 % interval"),
        rows=tuple(
            (
                model.name,
                NAMES[generation],
                size(model.n_params),
                signed(score),
                f"{signed(score - e)} to {signed(score + e)}",
            )
            for generation, model, score, e in sorted(found, key=lambda one: one[1].n_params or 0)
        ),
    )


def _figure(found: list[tuple[str, RankedModel, float, float]]) -> dict[str, Any]:
    data: list[dict[str, Any]] = []
    for generation in dict.fromkeys(generation for generation, *_ in found):
        own = [(model, score, error) for of, model, score, error in found if of == generation]
        data.append(
            {
                "type": "scatter",
                "mode": "markers",
                "x": [model.n_params for model, _, _ in own],
                "y": [score for _, score, _ in own],
                "error_y": {"type": "data", "array": [error for *_, error in own], "thickness": 1.5, "width": 3},
                "text": [plain(f"{m.name}, {size(m.n_params)}: {signed(s)} ± {e:.1f}") for m, s, e in own],
                "hoverinfo": "text",
                "marker": {"size": 9, "symbol": SYMBOLS[generation]},
                "name": NAMES[generation],
                "meta": {"generation": generation},
            }
        )
    axes = {
        "xaxis": {"title": {"text": "parameters"}, "type": "log"},
        "yaxis": {"title": {"text": "mean score, 0 is guessing"}},
    }
    return {"data": data, "layout": {**CURVE, **axes}}

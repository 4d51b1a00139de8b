"""The view of calibration: how often models of each generation are right where they give so much probability."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from gpteval.comparison.reliability import Reliability, read_chosen, reliability
from gpteval.core.generations import NAMES
from gpteval.core.show import listed
from gpteval.metrics.calibration import ENOUGH
from gpteval.metrics.choice import ACCURACIES
from gpteval.report.charts import SYMBOLS, plain
from gpteval.report.leaderboard import Column, Leaderboard, RankedModel
from gpteval.report.training_view import DASHES
from gpteval.report.view import CURVE, Chart, View
from gpteval.store.runs import Loaded

_BY_CHOICE = {metric.name for metric in ACCURACIES}
_Found = tuple[RankedModel, Reliability]


def reliability_view(loaded: Loaded, board: Leaderboard) -> View | None:
    """None where no model has probabilities of 300 items with choices, over the tasks that all such models ran."""
    models = _last_steps(loaded, board)
    columns = _shared(loaded, board, models)
    made = [(model, found) for model in models if (found := _read(loaded, model, columns)) is not None]
    if not made:
        return None
    generations = list(dict.fromkeys(model.generation for model, _ in made))
    charts = tuple(
        Chart(
            f"reliability-{generation}",
            f"Share of right answers by the probability that {NAMES[generation]} models give them.",
            _figure([one for one in made if one[0].generation == generation]),
            NAMES[generation],
        )
        for generation in generations
    )
    return View(
        id="reliability",
        title="Calibration",
        intro=f"Over all items of {listed([column.label for column in columns])}. A point is about a tenth of "
        "them: how much of the choices' probability a model's answer has, and how often that is right, with its 95 % "
        "interval. On the diagonal probabilities mean what they say, below it the model is too sure. ECE: the mean "
        "distance from the diagonal, which chance alone lifts; debiased: the root of its mean square without what "
        "chance brings, 0 within its interval where no more is seen than of a calibrated model. Temperature: what "
        "would divide the log-probabilities for the least log loss on these very items; above 1 it is too sure. Of a "
        "training its last checkpoint is shown.",
        charts=charts,
        header=(
            *("Model", "Generation", "Items", "ECE, %", "Debiased, %", "95 % interval"),
            *("Temperature", "95 % interval of it"),
        ),
        rows=tuple(_cells(model, found) for model, found in made),
    )


def _last_steps(loaded: Loaded, board: Leaderboard) -> list[RankedModel]:
    """The board's models; of a training that of its last step."""
    facts: dict[str, Mapping[str, Any]] = {row["model"]: row for row in loaded.rows}
    last: dict[str, int] = {}
    for row in facts.values():
        if row.get("step") is not None and row.get("model_family"):
            last[row["model_family"]] = max(last.get(row["model_family"], 0), row["step"])

    def is_last(row: Mapping[str, Any]) -> bool:
        return row.get("step") is None or row["step"] == last.get(row.get("model_family") or "", row["step"])

    return [model for model in board.models if is_last(facts[model.name])]


def _shared(loaded: Loaded, board: Leaderboard, models: Sequence[RankedModel]) -> list[Column]:
    """Tasks with choices that all of the models ran that ran any."""
    columns = [column for column in board.columns if column.metric in _BY_CHOICE]
    ran = {model.name: {column.id for column in columns if model.name in _files(loaded, column)} for model in models}
    shared = set.intersection(*(ids for ids in ran.values() if ids)) if any(ran.values()) else set()
    return [column for column in columns if column.id in shared]


def _files(loaded: Loaded, column: Column) -> Mapping[str, Any]:
    return loaded.samples.get((column.task, column.shots), {})


def _read(loaded: Loaded, model: RankedModel, columns: Sequence[Column]) -> Reliability | None:
    files = [(c.id, _files(loaded, c)[model.name]) for c in columns if model.name in _files(loaded, c)]
    chosen = read_chosen(files)
    return reliability(chosen) if chosen is not None and len(chosen.gold) >= ENOUGH else None


def _figure(made: Sequence[_Found]) -> dict[str, Any]:
    """A plotly figure: a line a model, its groups as points, and the diagonal."""
    data: list[dict[str, Any]] = [
        {
            "type": "scatter",
            "mode": "lines",
            "x": [0, 100],
            "y": [0, 100],
            "hoverinfo": "skip",
            "line": {"dash": "dot", "width": 1},
            "name": "calibrated",
            "meta": {"generation": "soft"},
        }
    ]
    symbols = list(SYMBOLS.values())
    for number, (model, found) in enumerate(made):
        data.append(
            {
                "type": "scatter",
                "mode": "lines+markers",
                "x": [100 * group.confidence for group in found.groups],
                "y": [100 * group.right for group in found.groups],
                "error_y": {
                    "type": "data",
                    "symmetric": False,
                    "thickness": 1,
                    "width": 2,
                    "array": [100 * (group.ci_high - group.right) for group in found.groups],
                    "arrayminus": [100 * (group.right - group.ci_low) for group in found.groups],
                },
                "text": list(_hover(model, found)),
                "hoverinfo": "text",
                "marker": {"size": 7, "symbol": symbols[number % len(symbols)]},
                "line": {"width": 2, "dash": DASHES[number % len(DASHES)]},
                "name": plain(model.name),
                "meta": {"generation": model.generation},
            }
        )
    axes = {
        "xaxis": {"title": {"text": "probability of the answer, %"}, "range": [0, 102]},
        "yaxis": {"title": {"text": "right, %"}, "range": [-2, 102]},
    }
    return {"data": data, "layout": {**CURVE, **axes}}


def _hover(model: RankedModel, found: Reliability) -> Iterator[str]:
    for group in found.groups:
        interval = f"{100 * group.ci_low:.0f} to {100 * group.ci_high:.0f}"
        yield plain(
            f"{model.name}: {group.items:,} items at {100 * group.confidence:.1f} %, "
            f"{100 * group.right:.1f} % right ({interval})"
        )


def _cells(model: RankedModel, found: Reliability) -> tuple[str, ...]:
    error, heat = found.debiased, found.temperature
    return (
        *(
            model.name,
            NAMES[model.generation],
            f"{found.items:,}",
            f"{100 * found.ece:.1f}",
            f"{100 * error.value:.1f}",
        ),
        "–" if error.why else f"{100 * error.ci_low:.1f} to {100 * error.ci_high:.1f}",
        "–" if heat.value != heat.value else f"{heat.value:.2f}",
        "–" if heat.why else f"{heat.ci_low:.2f} to {heat.ci_high:.2f}",
    )

"""The view of tuned models: what was trained, what it took, how the loss fell, and the score beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gpteval.report.charts import SYMBOLS, plain
from gpteval.report.leaderboard import Leaderboard, show, show_interval
from gpteval.report.training_view import DASHES, trace
from gpteval.report.tuning_curves import PROMPTING, Tried, tuning_charts
from gpteval.report.view import CURVE, Chart, View
from gpteval.store.runs import Loaded


@dataclass(frozen=True)
class TunedRow:
    """A tuned model. ``about``: what its folder says of its tuning. ``row``: its result on the task, if any."""

    model: str
    generation: str
    about: Mapping[str, Any]
    row: Mapping[str, Any] | None

    @property
    def share(self) -> float:
        """Weights trained, of 100."""
        return 100 * float(self.about["trained"]) / float(self.about["parameters"])


def tuned(loaded: Loaded) -> tuple[TunedRow, ...]:
    """The tuned models of all runs, by task and name."""
    found = {}
    for manifest in loaded.manifests:
        for model, facts in (manifest.get("models") or {}).items():
            if about := facts.get("finetune"):
                rows = [
                    r for r in loaded.rows if r["model"] == model and r["task"] == about["task"] and r.get("primary")
                ]
                row = next((r for r in rows if r["protocol"] == "finetune"), None)
                found[model] = TunedRow(model, str(facts.get("generation") or "other"), about, row)
    return tuple(sorted(found.values(), key=lambda one: (one.about["task"], one.model)))


def tuning_view(loaded: Loaded, board: Leaderboard) -> View | None:
    """None where no model was tuned."""
    rows = tuned(loaded)
    if not rows:
        return None
    return View(
        id="tuning",
        title="Tuning",
        intro="These models were trained on examples of a task before they were asked. Where a model was also "
        "prompted, or tuned with several numbers of examples, its scores stand beside each other: means over seeds, "
        "with the means of their 95 % intervals. Of losses a thin line is that on what was trained on, one with points "
        "that on the validation examples; where all weights moved it holds the language-modelling loss as well, by its "
        "weight.",
        charts=(
            *tuning_charts(_tried(loaded, rows)),
            Chart("tuning", "Losses of tuned models by update.", loss_figure(rows), "Losses"),
        ),
        header=(
            *("Model", "Of", "Task", "Method", "Weights trained", "Share", "Examples", "Time", "Peak memory"),
            *("Score", "95 % interval"),
        ),
        rows=tuple(_cells(one) for one in rows),
    )


def _tried(loaded: Loaded, rows: tuple[TunedRow, ...]) -> list[Tried]:
    """Each tuned model's own result, and those of the models they were made of, prompted on the same tasks."""
    tuned = [
        Tried(one.about["base"], one.about["task"], one.about["method"], int(one.about["examples"]), one.row)
        for one in rows
        if one.row is not None and one.row.get("value") is not None
    ]
    asked = {(one.base, one.task) for one in tuned}
    prompted = [
        Tried(row["model"], row["task"], PROMPTING, row["shots"], row)
        for row in loaded.rows
        if row.get("primary") and row.get("value") is not None and (row["model"], row["task"]) in asked
    ]
    return sorted(prompted, key=lambda one: one.examples) + tuned


def _cells(one: TunedRow) -> tuple[str, ...]:
    about, row = one.about, one.row
    return (
        *(one.model, about["base"], about["task"], about["method"], f"{about['trained']:,}", f"{one.share:.1f} %"),
        *(f"{about['examples']:,}", f"{about['seconds']:.0f} s", f"{about['peak_memory'] / 1048576:,.0f} MiB"),
        *(("–", "") if row is None else (show(row["value"], row["metric"]), show_interval(row))),
    )


def loss_figure(rows: tuple[TunedRow, ...]) -> dict[str, Any]:
    """A plotly figure: for each model the loss on what it trains on, thin, and on what it only watches, with points."""
    data: list[dict[str, Any]] = []
    symbols = list(SYMBOLS.values())
    for number, one in enumerate(rows):  # of one generation, and so one colour: told apart by marks and dashes
        like = {"generation": one.generation}
        for losses, what, line in (("losses", "training", 1.0), ("validation_losses", "validation", 2.5)):
            steps = [step for step, _ in one.about[losses]]
            values = [loss for _, loss in one.about[losses]]
            labels = [
                plain(f"{one.model}, step {s:,}: {what} loss {v:.3f}") for s, v in zip(steps, values, strict=True)
            ]
            data.append(
                trace(like, steps, values, one.model)
                | {
                    "text": labels,
                    "mode": "lines" if what == "training" else "lines+markers",
                    "line": {"width": line, "dash": DASHES[number % len(DASHES)]},
                    "marker": {"size": 7, "symbol": symbols[number % len(symbols)]},
                    "opacity": 0.5 if what == "training" else 1.0,
                    "showlegend": what == "validation",
                }
            )
    axes = {"xaxis": {"title": {"text": "update"}}, "yaxis": {"title": {"text": "loss"}}}
    return {"data": data, "layout": {**CURVE, **axes}}

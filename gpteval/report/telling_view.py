"""The view of what the tasks can tell: by how much models differ on each, against what chance does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gpteval.comparison.telling import GRADED, Telling, signal_and_noise
from gpteval.metrics.stored import metric_of
from gpteval.report.leaderboard import Column, Leaderboard, is_fraction, show
from gpteval.report.view import View
from gpteval.store.runs import Loaded

_Row = Mapping[str, Any]


def telling_view(loaded: Loaded, board: Leaderboard) -> View | None:
    """None where no task has two models."""
    rows: list[tuple[str, ...]] = []
    graded: dict[tuple[str, int, str], list[_Row]] = {}
    for row in loaded.rows:
        if row["metric"] in GRADED and not row.get("primary") and row.get("value") is not None:
            graded.setdefault((row["task"], row["shots"], row["metric"]), []).append(row)
    for column in board.columns:
        own = [row for (_, where), row in board.primary.items() if where == column.id and row.get("value") is not None]
        others = [found for name in GRADED if (found := graded.get((column.task, column.shots, name)))]
        rows += [cells for place, of in enumerate([own, *others]) if (cells := _cells(column, of, place == 0))]
    if not rows:
        return None
    return View(
        id="telling",
        title="What tasks can tell",
        intro="Signal: the largest minus the smallest score of the models here. Noise: a score's standard error over "
        "items, or how checkpoints of a training scatter about their line, where that is more. A task with little "
        "signal for its noise ranks models by chance. At chance: models whose score is not above guessing; there bpb, "
        "bits per byte of the right answer (any text of its kind may get likelier), or prob, its share of the choices' "
        "probability, may tell what right and wrong do not. 'gpteval tasks --run' tries both on this run, and says how "
        "many pairs each tells apart.",
        charts=(),
        header=("Task", "Metric", "Models", "Items", "Signal", "Noise", "Signal by noise", "At chance"),
        rows=tuple(rows),
    )


def _cells(column: Column, rows: list[_Row], primary: bool) -> tuple[str, ...] | None:
    metric = metric_of(rows[0]) if len(rows) > 1 else None
    if metric is None:
        return None
    one: Telling = signal_and_noise(metric, rows, primary)
    unit = ", %" if is_fraction(one.metric) else ", of logarithms" if metric.by_ratio else ""
    noise = max(one.noise, one.by_step or 0.0)
    return (
        *(column.label, f"{one.metric}{unit}", f"{one.models}", f"{one.items:,}"),
        *(show(one.signal, one.metric), "–" if noise != noise else show(noise, one.metric)),
        "–" if one.ratio != one.ratio else f"{one.ratio:.1f}",
        "–" if one.at_chance is None else f"{one.at_chance} of {one.models}",
    )

"""The view of cost: each model's mean score against what an item takes in time, memory and dollars."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gpteval.core.generations import NAMES
from gpteval.core.show import number, signed, size
from gpteval.report.leaderboard import Leaderboard
from gpteval.report.scatter import SCORE, MeanScored, scatter, score_points, scored, tasks_of, titled
from gpteval.report.view import Chart, View
from gpteval.store.runs import Loaded, facts_of

FEWEST = 2  # models: which of two is better and cheaper is an answer


@dataclass(frozen=True)
class ItemCost:
    """What a model takes over the tasks of its mean score: ``seconds`` and ``dollars`` an item; ``memory`` in bytes at
    most, of a GPU alone: what a CPU's process takes is not one model's.
    """

    one: MeanScored
    seconds: float | None
    dollars: float | None
    memory: int | None


def cost_view(loaded: Loaded, board: Leaderboard) -> View | None:
    """None where fewer than two models have a mean score and a time."""
    facts = facts_of(loaded)
    costs = [_cost(one, board, facts.get(one.model.name) or {}) for one in scored(board)]
    kinds = (
        ("seconds", "Score by time", "seconds an item", [c.seconds for c in costs], "{} s an item"),
        ("memory", "Score by memory", "GPU memory at most, GiB", [_gib(c.memory) for c in costs], "{} GiB"),
        ("dollars", "Score by dollars", "dollars for 1,000 items", [_thousand(c.dollars) for c in costs], "${}"),
    )
    charts = []
    for name, title, axis, values, words in kinds:
        found = [(c.one, x, words.format(number(x))) for c, x in zip(costs, values, strict=True) if x]
        if len(found) >= FEWEST:
            figure = scatter(score_points(found), titled(axis, "log"), titled(SCORE), frontier=True)
            seen = f"Mean score by {axis}; the dotted line joins the models that none beats at less."
            charts.append(Chart(f"cost-{name}", seen, figure, title))
    if not charts:
        return None
    return View(
        id="cost",
        title="Cost",
        intro=f"The mean score from 0 (guessing) to 100 (perfect), over {tasks_of(board)}, against what an item took "
        "on the machine that ran it; models of other machines or batch sizes do not compare. The dotted line joins the "
        "models that no cheaper one beats. Behind an API the time is from an item's request to its answer, while "
        "others were under way.",
        charts=tuple(charts),
        header=(
            *("Model", "Generation", "Parameters", "Mean score", "95 % interval", "Seconds an item", "GPU memory"),
            "Dollars for 1,000 items",
        ),
        rows=tuple(
            (
                c.one.model.name,
                NAMES[c.one.model.generation],
                size(c.one.model.n_params) or "–",
                signed(c.one.score),
                c.one.interval,
                number(c.seconds) if c.seconds else "–",
                f"{_gib(c.memory):.1f} GiB" if c.memory else "–",
                number(1000 * c.dollars) if c.dollars else "–",
            )
            for c in sorted(costs, key=lambda c: -c.one.score)
        ),
    )


def _cost(one: MeanScored, board: Leaderboard, facts: Mapping[str, Any]) -> ItemCost:
    rows = [row for column in board.shared if (row := board.primary.get((one.model.name, column.id))) is not None]
    memory = facts.get("peak_memory_bytes")
    on_gpu = str(facts.get("device") or "").startswith("cuda") and isinstance(memory, int)
    return ItemCost(one, _an_item(rows, "seconds"), _an_item(rows, "dollars"), memory if on_gpu else None)


def _an_item(rows: list[Mapping[str, Any]], what: str) -> float | None:
    """The mean over items; None where a row does not say, or has none."""
    found = [row[what] for row in rows if isinstance(row.get(what), int | float)]
    items = sum(row.get("n") or 0 for row in rows)
    return float(sum(found)) / items if items and len(found) == len(rows) else None


def _gib(memory: int | None) -> float:
    return (memory or 0) / 2**30


def _thousand(dollars: float | None) -> float:
    return 1000 * (dollars or 0.0)

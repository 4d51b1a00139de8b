"""The view of cost: each model's mean score against what an item takes in time, memory and dollars."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gpteval.core.generations import NAMES
from gpteval.core.show import number, signed, size
from gpteval.report.costs import ItemCost, item_cost
from gpteval.report.leaderboard import Leaderboard
from gpteval.report.scatter import SCORE, MeanScored, scatter, score_points, scored, tasks_of, titled
from gpteval.report.view import Chart, View
from gpteval.store.runs import Loaded, facts_of

FEWEST = 2  # models: which of two is better and cheaper is an answer


def cost_view(loaded: Loaded, board: Leaderboard) -> View | None:
    """None where fewer than two models have a mean score and a time."""
    facts = facts_of(loaded)
    costs = [(one, _cost(one, board, facts.get(one.model.name) or {})) for one in scored(board)]
    kinds = (
        ("seconds", "Score by time", "seconds an item", [c.seconds for _, c in costs], "{} s an item"),
        ("memory", "Score by memory", "GPU memory at most, GiB", [_gib(c.memory) for _, c in costs], "{} GiB"),
        ("dollars", "Score by dollars", "dollars for 1,000 items", [_thousand(c.dollars) for _, c in costs], "${}"),
    )
    charts = []
    for name, title, axis, values, words in kinds:
        found = [(one, x, words.format(number(x))) for (one, _), x in zip(costs, values, strict=True) if x]
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
        "models that no cheaper one beats. Behind an API, where several items are under way at a time, the seconds are "
        "the clock's divided by the items, pauses left out; the latency is from an item's request to its answer.",
        charts=tuple(charts),
        header=(
            *("Model", "Generation", "Parameters", "Mean score", "95 % interval", "Seconds an item"),
            *("Latency of an item", "GPU memory", "Dollars for 1,000 items"),
        ),
        rows=tuple(
            (
                one.model.name,
                NAMES[one.model.generation],
                size(one.model.n_params) or "–",
                signed(one.score),
                one.interval,
                number(c.seconds) if c.seconds else "–",
                f"{number(c.latency)} s" if c.latency else "–",
                f"{_gib(c.memory):.1f} GiB" if c.memory else "–",
                number(1000 * c.dollars) if c.dollars else "–",
            )
            for one, c in sorted(costs, key=lambda both: -both[0].score)
        ),
    )


def _cost(one: MeanScored, board: Leaderboard, facts: Mapping[str, Any]) -> ItemCost:
    """Over the tasks of the mean score."""
    rows = [row for column in board.shared if (row := board.primary.get((one.model.name, column.id))) is not None]
    return item_cost(rows, facts)


def _gib(memory: int | None) -> float:
    return (memory or 0) / 2**30


def _thousand(dollars: float | None) -> float:
    return 1000 * (dollars or 0.0)

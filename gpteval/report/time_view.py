"""The view of time: each model's mean score by the day it was released."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gpteval.core.generations import NAMES
from gpteval.core.show import signed
from gpteval.report.leaderboard import Leaderboard
from gpteval.report.scatter import SCORE, published, scatter, score_points, scored, tasks_of, titled
from gpteval.report.view import Chart, View
from gpteval.store.runs import Loaded, facts_of

FEWEST = 3  # days


def time_view(loaded: Loaded, board: Leaderboard) -> View | None:
    """None of fewer than three days: of models of one's own no day of release is known."""
    facts = facts_of(loaded)
    dated = [(one, _day(one.model.name, facts.get(one.model.name) or {})) for one in scored(board)]
    found = sorted(((one, day, day) for one, day in dated if day), key=lambda three: three[1])
    if len({day for _, day, _ in found}) < FEWEST:
        return None
    figure = scatter(score_points(found), titled("released", "date"), titled(SCORE), frontier=True)
    return View(
        id="time",
        title="Timeline",
        intro=f"The mean score from 0 (guessing) to 100 (perfect), over {tasks_of(board)}, by the day on which a model "
        "was released; the dotted line is the best so far among those of this page. Later models were larger and read "
        "more, too: the charts of scaling and cost say what of it was size.",
        charts=(Chart("time", "Mean score by day of release; the dotted line is the best so far.", figure),),
        header=("Model", "Generation", "Released", "Mean score", "95 % interval"),
        rows=tuple(
            (one.model.name, NAMES[one.model.generation], day, signed(one.score), one.interval) for one, day, _ in found
        ),
    )


def _day(model: str, facts: Mapping[str, Any]) -> str:
    known = published(model, facts)
    return str(facts.get("release_date") or (known.released if known else ""))

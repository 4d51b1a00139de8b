"""The views of the page that are charts and a table each: a new one is a file and an entry in ``VIEWS``."""

from __future__ import annotations

from collections.abc import Callable

from gpteval.report.cost_view import cost_view
from gpteval.report.leaderboard import Leaderboard
from gpteval.report.matrix_view import matrix_view
from gpteval.report.reliability_view import reliability_view
from gpteval.report.scaling_view import scaling_view
from gpteval.report.telling_view import telling_view
from gpteval.report.time_view import time_view
from gpteval.report.tuning_view import tuning_view
from gpteval.report.view import View
from gpteval.store.runs import Loaded

# What makes a view of the runs; None where they have nothing for it. In the order of the page.
VIEWS: tuple[Callable[[Loaded, Leaderboard], View | None], ...] = (
    *(matrix_view, telling_view, scaling_view, reliability_view, cost_view, time_view),
    tuning_view,
)


def views(loaded: Loaded, board: Leaderboard) -> tuple[View, ...]:
    """Those that the runs have something for."""
    return tuple(view for make in VIEWS if (view := make(loaded, board)) is not None)

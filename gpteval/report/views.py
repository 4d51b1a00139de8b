"""The views of the page that are a chart and a table each: a new one is a file and an entry in ``VIEWS``."""

from __future__ import annotations

from collections.abc import Callable

from gpteval.report.leaderboard import Leaderboard
from gpteval.report.size_view import size_view
from gpteval.report.tuning_view import tuning_view
from gpteval.report.view import View
from gpteval.store.runs import Loaded

# What makes a view of the runs; None where they have nothing for it. In the order of the page.
VIEWS: tuple[Callable[[Loaded, Leaderboard], View | None], ...] = (size_view, tuning_view)


def views(loaded: Loaded, board: Leaderboard) -> tuple[View, ...]:
    """Those that the runs have something for."""
    return tuple(view for make in VIEWS if (view := make(loaded, board)) is not None)

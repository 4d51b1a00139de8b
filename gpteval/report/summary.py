"""The answer in a few sentences: how the generations differ on the tasks they share."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise
from statistics import fmean

from gpteval.report.tables import GENERATIONS, Column, Leaderboard, centred, margin

Score = tuple[float, float]  # a mean of chance-centred scores, and its standard error


def answer(board: Leaderboard) -> str:
    """Each generation's mean chance-centred score over the tasks that all have; empty for one generation."""
    scores = {g: _scores(board, g) for g in _present(board)}
    shared = [c for c in board.columns if all(c in found for found in scores.values())]
    if len(scores) < 2 or not shared:
        return ""
    means = []
    for generation, found in scores.items():
        mean, error = _mean({c: found[c] for c in shared})
        name = GENERATIONS[generation].replace("-", "\u2011").replace(" ", "\u00a0")  # kept on one line
        means.append(f"{name}\u00a0{signed(100 * mean)}\u00a0±\u00a0{100 * margin(error):.1f}")
    tasks = len({column.task for column in shared})  # each with all its numbers of examples
    where = "the one accuracy task" if tasks == 1 else f"the {tasks} accuracy tasks"
    return (
        f"Over {where} that every generation ran, the mean score "
        f"from 0 (guessing) to 100 (perfect) is {', '.join(means)}."
    )


def comparisons(board: Leaderboard) -> list[str]:
    """A sentence for each pair of successive generations, and for the first and the last, with 95 % intervals.

    Generations answer the same items, so taking their errors as independent widens the interval. Models
    of one generation do so too, and a task with other shots: there errors add up fully.
    """
    said = []
    present = _present(board)
    ends = [(present[0], present[-1])] if len(present) > 2 else []
    for older, newer in [*pairwise(present), *ends]:
        a, b = _scores(board, older), _scores(board, newer)
        gains = {c: (b[c][0] - a[c][0], math.hypot(a[c][1], b[c][1])) for c in a if c in b}
        if gains:
            said.append(_sentence(GENERATIONS[older], GENERATIONS[newer], *_mean(gains), len({c.task for c in gains})))
    return said


def signed(number: float) -> str:
    """One decimal, with a true minus sign; what rounds to zero has none."""
    return f"{round(number, 1) + 0.0:.1f}".replace("-", "−")


def _sentence(old: str, new: str, gain: float, error: float, tasks: int) -> str:
    low, high = gain - margin(error), gain + margin(error)
    over = f"over {tasks} shared accuracy task{'s' if tasks > 1 else ''}"
    if low > 0:
        return f"{new} models beat {old} by {_points(gain, low, high)} {over}."
    if high < 0:
        return f"{new} models fall behind {old} by {_points(-gain, -high, -low)} {over}."
    ahead = f"{new} is ahead by {_points(gain, low, high)}"
    if gain < 0:
        ahead = f"{old} is ahead by {_points(-gain, -high, -low)}"
    return f"{new} and {old} models cannot be told apart {over}: {ahead}."


def _points(gain: float, low: float, high: float) -> str:
    return f"{signed(100 * gain)} points ({signed(100 * low)} to {signed(100 * high)})"


def _present(board: Leaderboard) -> list[str]:
    return [generation for generation, _ in board.groups if generation != "other" and _scores(board, generation)]


def _scores(board: Leaderboard, generation: str) -> dict[Column, Score]:
    """By column: the mean over the generation's models, where all that have a score have an interval."""
    models = [m for g, ms in board.groups if g == generation for m in ms]
    found = {}
    for column in board.columns:
        rows = [r for m in models if (r := board.primary.get((m.name, column.id))) is not None]
        scores = [s for r in rows if (s := centred(r)) is not None]
        if scores and all(s[1] is not None for s in scores):
            found[column] = (fmean(s[0] for s in scores), fmean(s[1] or 0.0 for s in scores))
    return found


def _mean(scores: Mapping[Column, Score]) -> Score:
    """Mean over columns; tasks are independent, columns of one task are not."""
    by_task: dict[str, float] = {}
    for column, (_, error) in scores.items():
        by_task[column.task] = by_task.get(column.task, 0.0) + error
    return fmean(s for s, _ in scores.values()), math.hypot(*by_task.values()) / len(scores)

"""The answer in a sentence: what each generation scores on the tasks that all models ran."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean

from gpteval.core.generations import NAMES
from gpteval.core.show import signed
from gpteval.report.leaderboard import Leaderboard, RankedModel, centred, margin, mean_of_tasks


def answer(board: Leaderboard) -> str:
    """Each generation's mean chance-centred score over the tasks of the board's centred column; "" for one generation.

    Its error is that over items: tasks are independent of each other; models, and columns of one task, are not.
    """
    scores = {g: mean_score(board, models) for g, models in board.groups if g != "other"}
    found = {g: score for g, score in scores.items() if score is not None}
    if len(found) < 2 or not board.shared:
        return ""
    means = []
    for generation, (mean, error) in found.items():
        name = NAMES[generation].replace("-", "\u2011").replace(" ", "\u00a0")  # kept on one line
        means.append(f"{name}\u00a0{signed(100 * mean)}\u00a0±\u00a0{100 * margin(error):.1f}")
    some, whole = len({c.base for c in board.shared}), len({c.base for c in board.columns})
    over = f"{some} of {whole} tasks, those with right and wrong answers that every model ran,"
    if some == whole:
        over = "the one task" if whole == 1 else f"all {whole} tasks"
    below = ", below it worse" if any(mean < 0 for mean, _ in found.values()) else ""
    return f"Over {over} the models' mean score from 0 (guessing{below}) to 100 (perfect) is {', '.join(means)}."


def mean_score(board: Leaderboard, models: Sequence[RankedModel]) -> tuple[float, float] | None:
    """The mean over models and shared columns and its error; None where a model has no interval."""
    values, errors = {}, {}
    for column in board.shared:
        rows = [row for m in models if (row := board.primary.get((m.name, column.id))) is not None]
        scores = [score for row in rows if (score := centred(row)) is not None]
        if not scores or any(error is None for _, error in scores):
            return None
        values[column] = fmean(value for value, _ in scores)
        errors[column] = fmean(error or 0.0 for _, error in scores)
    if not values:
        return None
    by_task: dict[str, list[float]] = {}
    for column, error in errors.items():
        by_task.setdefault(column.base, []).append(error)
    return mean_of_tasks(values), math.hypot(*map(fmean, by_task.values())) / len(by_task)

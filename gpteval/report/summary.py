"""The answer in a sentence: how the generations differ on the tasks they share."""

from __future__ import annotations

import math
from itertools import pairwise
from statistics import fmean

from gpteval.report.tables import GENERATIONS, Leaderboard, centred

Z = 1.96


def sentences(board: Leaderboard) -> list[str]:
    """One sentence for each pair of successive generations, from chance-centred scores on shared tasks.

    A generation's score on a task is the mean over its models. The interval takes the models' errors
    as independent, which is cautious: they saw the same items.
    """
    present = [generation for generation, _ in board.groups if generation != "other"]
    return [text for older, newer in pairwise(present) if (text := _compare(board, older, newer))]


def _compare(board: Leaderboard, older: str, newer: str) -> str:
    gains, variances = [], []
    for column in board.columns:
        means, errors = [], []
        for generation in (older, newer):
            models = [m for g, ms in board.groups if g == generation for m in ms]
            rows = [r for m in models if (r := board.primary.get((m.name, column.id))) is not None]
            scored = [(s, r) for r in rows if (s := centred(r)) is not None]
            if not scored or any(r.get("stderr") is None for _, r in scored):
                break
            means.append(fmean(s for s, _ in scored))
            spread = [r["stderr"] / (1 - r["chance"]) for _, r in scored]
            errors.append(sum(e * e for e in spread) / len(spread) ** 2)
        if len(means) == 2:
            gains.append(means[1] - means[0])
            variances.append(sum(errors))
    if not gains:
        return ""
    gain, half = 100 * fmean(gains), 100 * Z * math.sqrt(sum(variances)) / len(gains)
    tasks = f"{len(gains)} shared task{'s' if len(gains) > 1 else ''} with a chance level"
    low, high = gain - half, gain + half
    new, old = GENERATIONS[newer], GENERATIONS[older]
    if low > 0:
        return f"{new} models beat {old} by {gain:.1f} points ({low:.1f} to {high:.1f}) over {tasks}."
    if high < 0:
        return f"{new} models fall behind {old} by {-gain:.1f} points ({-high:.1f} to {-low:.1f}) over {tasks}."
    return f"{new} and {old} models cannot be told apart over {tasks}: {gain:+.1f} points ({low:.1f} to {high:.1f})."

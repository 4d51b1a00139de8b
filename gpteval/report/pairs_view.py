"""The comparison of pairs on a page: sentences, who is better, differences to a baseline, a matrix of all pairs."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from gpteval.comparison.compare import Comparison, compare
from gpteval.comparison.results import Generations, Pair
from gpteval.comparison.sentences import ABOUT, headline
from gpteval.core.errors import GptevalError
from gpteval.core.show import number, p_value, points
from gpteval.store.runs import Runs


@dataclass(frozen=True)
class Paired:
    """``why``: what stands in the way where there is no comparison. ``better``: by model and column, how many models
    are better, in words.
    """

    comparison: Comparison | None = None
    why: str = ""
    better: dict[tuple[str, str], str] = field(default_factory=dict)

    @property
    def groups(self) -> list[tuple[str, list[str]]]:
        """What each generation brings over another: the sentence that comes first, and each of the others."""
        if self.comparison is None:
            return []
        by_pair: dict[tuple[str, str], list[Generations]] = {}
        for row in self.comparison.generations:
            by_pair.setdefault((row.older, row.newer), []).append(row)
        said = map(headline, by_pair.values())
        return [(_minus(first), [_minus(other) for other in others]) for first, others in said]

    @property
    def about(self) -> list[str]:
        """What means are over, and whom the sentences are about."""
        return [self.comparison.counted.sentence, ABOUT] if self.comparison and self.comparison.generations else []

    @property
    def overall(self) -> list[list[dict[str, str] | None]]:
        """The matrix over all tasks: a row and a column a model, None on the diagonal and where nothing is shared."""
        if self.comparison is None:
            return []
        cells = {}
        for pair in self.comparison.overall:
            cells[pair.model_a, pair.model_b] = _cell(pair, turned=False)
            cells[pair.model_b, pair.model_a] = _cell(pair, turned=True)
        return [[cells.get((a, b)) for b in self.comparison.models] for a in self.comparison.models]

    @property
    def data(self) -> dict[str, Any]:
        """For the page's script: by column's id, each pair's texts."""
        if self.comparison is None:
            return {"models": [], "columns": {}}
        columns: dict[str, list[Any]] = {}
        for pair in self.comparison.pairs:
            places = [self.comparison.models.index(name) for name in (pair.model_a, pair.model_b)]
            row = [*places, _cell(pair, turned=False), _cell(pair, turned=True)]
            columns.setdefault(f"{pair.task}-{pair.shots}", []).append(row)
        return {"models": list(self.comparison.models), "columns": columns}


def paired(runs: Runs) -> Paired:
    """Compare what a page shows. Where that cannot be, ``why`` says so, and the page does without."""
    try:
        comparison = compare(runs)
    except GptevalError as error:
        return Paired(why=error.message)
    return Paired(comparison, "", _better(comparison))


def _better(comparison: Comparison) -> dict[tuple[str, str], str]:
    """By model and column: how many models are better, by the verdicts of the table.

    No ranks: that A is better than B, and C not separated from either, puts C in no place. None where no two of the
    column's models could be tested.
    """
    counts: dict[tuple[str, str], int] = {}
    for pair in (pair for pair in comparison.pairs if not math.isnan(pair.p_adjusted)):
        column = f"{pair.task}-{pair.shots}"
        for name in (pair.model_a, pair.model_b):
            counts.setdefault((name, column), 0)
        if pair.significant:
            worse = pair.model_b if pair.better == pair.model_a else pair.model_a
            counts[worse, column] += 1
    return {place: f"{count or 'none'} better" for place, count in counts.items()}


def _cell(pair: Pair, *, turned: bool) -> dict[str, str]:
    """A pair's texts, seen from its first model or (``turned``) from its second."""
    figure = pair.figure

    def seen(*values: float) -> list[float]:
        if not turned:
            return list(values)
        return (
            [1 / value if value else math.inf for value in values[::-1]]
            if pair.by_ratio
            else [-v for v in values[::-1]]
        )

    def amount(value: float) -> str:  # a share in points, as the page shows shares in percent
        return points(value) if pair.full == 1.0 and not pair.by_ratio else number(value)

    def reach(low: float, high: float) -> str:
        if math.isnan(low):
            return "no interval"
        return " to ".join(amount(bound).removeprefix("+") for bound in seen(low, high))

    (value,) = seen(figure.effect)
    shown = f"x {amount(value)}" if pair.by_ratio else f"{'+' if value > 0 else ''}{amount(value).removeprefix('+')}"
    ahead = (pair.better == pair.model_a) != turned
    state = "same" if not pair.significant else "better" if ahead else "worse"
    words = [f"p {p_value(pair.p_adjusted)}", pair.verdict, pair.disagreement]
    if not math.isnan(figure.p):
        words.append(f"alone p {p_value(figure.p)}, {reach(figure.ci_low, figure.ci_high)}")
    why = _minus("; ".join(filter(None, words)))
    return {"text": _minus(shown), "interval": _minus(reach(pair.low, pair.high)), "state": state, "why": why}


def _minus(text: str) -> str:
    """With true minus signs before numbers."""
    return "".join(
        "−" if c == "-" and text[n + 1 : n + 2].isdigit() and (n == 0 or text[n - 1] in " (") else c
        for n, c in enumerate(text)
    )

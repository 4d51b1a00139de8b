"""A comparison as text, Markdown, CSV, LaTeX or JSON."""

from __future__ import annotations

import math
from collections.abc import Sequence

from gpteval.comparison.compare import Comparison
from gpteval.comparison.numbers import effect
from gpteval.comparison.results import Pair, as_dict
from gpteval.comparison.sentences import sentences
from gpteval.core.show import number, p_value, with_shots
from gpteval.core.strict import strict_json
from gpteval.core.tables import plain_markdown, to_csv, to_latex, to_markdown
from gpteval.core.text import one_line

FORMATS = ("text", "md", "csv", "latex", "json")
HEADER = (
    *("task", "metric", "A", "B", "A's value", "B's value", "A - B", "95 % interval"),
    *("n", "p", "A ahead in resamples", "correlation", "gain of pairs", "MDE", "verdict"),
)

Titled = tuple[str, Sequence[Sequence[str]]]  # a table's title and its rows, of which ``HEADER`` tells the columns


def render(comparison: Comparison, kind: str) -> str:
    """The comparison in one of ``FORMATS``."""
    if kind == "json":
        return strict_json(as_dict(comparison), 1)
    if kind == "csv":
        return _csv(comparison)
    tables = [(title, [_cells(pair) for pair in pairs]) for title, pairs in _scopes(comparison) if pairs]
    return {"text": _text, "md": _markdown, "latex": _latex}[kind](comparison, tables)


def _scopes(comparison: Comparison) -> list[tuple[str, tuple[Pair, ...]]]:
    return [
        ("Each task", comparison.pairs),
        ("Each family: mean of chance-centred scores", comparison.families),
        ("Mean of chance-centred scores", comparison.overall),
    ]


def _cells(pair: Pair) -> list[str]:
    figure = pair.figure
    verdict = pair.verdict + (f"; {pair.disagreement}" if pair.disagreement else "")
    verdict += "".join(f"; {note}" for note in pair.notes)
    return [
        with_shots(pair.task, pair.shots),
        pair.metric,
        pair.model_a,
        pair.model_b,
        number(figure.value_a),
        number(figure.value_b),
        effect(pair, figure),
        "none" if math.isnan(pair.low) else f"{number(pair.low)} to {number(pair.high)}",
        str(figure.n),
        tested(pair),
        "n/a" if math.isnan(figure.ahead) else f"{figure.ahead:.2f}",
        number(figure.correlation),
        "n/a" if math.isnan(figure.gain) else f"x {figure.gain:.1f}",
        number(pair.mde),
        verdict,
    ]


def tested(pair: Pair) -> str:
    """The p-value that holds for all rows at once, with the e-value where there is one."""
    e_value = pair.figure.e_value
    return p_value(pair.p_adjusted) + ("" if math.isnan(e_value) else f" (e {e_value:.3g})")


def _text(comparison: Comparison, tables: Sequence[Titled]) -> str:
    lines = [*map(one_line, sentences(comparison)), ""]
    for title, rows in tables:
        cells = [list(HEADER), *([one_line(cell) for cell in row] for row in rows)]
        widths = [max(len(row[n]) for row in cells) for n in range(len(HEADER))]
        padded = ("  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in cells)
        lines += [title, *padded, ""]
    lines += [
        "Intervals (95 %), p and verdicts hold for all rows of a table at once; --format json has each row's own too.",
        "MDE: the least difference that the test of such a table shows with a power of 80 %.",
    ]
    return "\n".join(lines) + _remarks(comparison)


def _remarks(comparison: Comparison) -> str:
    return "".join(f"\n{one_line(remark)}" for remark in comparison.remarks)


def _markdown(comparison: Comparison, tables: Sequence[Titled]) -> str:
    lines = [f"- {plain_markdown(said)}" for said in sentences(comparison)]
    for title, rows in tables:
        lines += ["", f"## {title}", "", to_markdown([HEADER, *rows]).rstrip()]
    return "\n".join(lines)


def _latex(comparison: Comparison, tables: Sequence[Titled]) -> str:
    return "\n".join(f"% {title}\n{to_latex([HEADER, *rows])}" for title, rows in tables).rstrip()


def _csv(comparison: Comparison) -> str:
    """All figures with all their digits, a row a pair."""
    frame = comparison.to_frame()
    frame["notes"] = ["; ".join(notes) for notes in frame["notes"]]
    rows = [["" if value is None or value != value else str(value) for value in row] for row in frame.values]
    return to_csv([list(frame.columns), *rows]).rstrip("\n")

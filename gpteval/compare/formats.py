"""A comparison as text, Markdown, CSV, LaTeX or JSON."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence

from gpteval.compare.comparison import Comparison
from gpteval.compare.numbers import effect, number, p_value
from gpteval.compare.rows import Pair, as_dict
from gpteval.compare.sentences import sentences
from gpteval.core.strict import strict_json
from gpteval.core.text import one_line, printable

FORMATS = ("text", "md", "csv", "latex", "json")
HEADER = (
    *("task", "metric", "A", "B", "A's value", "B's value", "A - B", "95 % interval"),
    *("n", "p", "A ahead in resamples", "correlation", "gain of pairs", "MDE", "verdict"),
)
_LATEX = {c: f"\\{c}" for c in "&%$#_{}"} | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\^{}"}
_MARKDOWN = {c: f"\\{c}" for c in "\\`*[]|~<"}

Table = tuple[str, Sequence[Sequence[str]]]


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
        pair.task if not pair.shots else f"{pair.task}, {pair.shots}-shot",
        pair.metric,
        pair.model_a,
        pair.model_b,
        number(figure.value_a),
        number(figure.value_b),
        effect(pair, figure),
        "none" if math.isnan(pair.low) else f"{number(pair.low)} to {number(pair.high)}",
        str(figure.n),
        p_value(pair.p_adjusted) + ("" if math.isnan(figure.e_value) else f" (e {figure.e_value:.3g})"),
        "n/a" if math.isnan(figure.ahead) else f"{figure.ahead:.2f}",
        number(figure.correlation),
        "n/a" if math.isnan(figure.gain) else f"x {figure.gain:.1f}",
        number(pair.mde),
        verdict,
    ]


def _text(comparison: Comparison, tables: Sequence[Table]) -> str:
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


def _markdown(comparison: Comparison, tables: Sequence[Table]) -> str:
    def plain(cell: str) -> str:
        return "".join(_MARKDOWN.get(c, c) for c in printable(cell)).replace("\n", " ")

    lines = [f"- {plain(said)}" for said in sentences(comparison)]
    for title, rows in tables:
        lines += ["", f"## {title}", "", f"| {' | '.join(HEADER)} |", f"|{' --- |' * len(HEADER)}"]
        lines += [f"| {' | '.join(map(plain, row))} |" for row in rows]
    return "\n".join(lines)


def _latex(comparison: Comparison, tables: Sequence[Table]) -> str:
    def plain(cell: str) -> str:
        return "".join(_LATEX.get(c, c) for c in printable(cell)).replace("\n", " ")

    lines = []
    for title, rows in tables:
        lines += [f"% {title}", rf"\begin{{tabular}}{{{'l' * 4}{'r' * 10}l}}", r"\hline"]
        lines += [" & ".join(map(plain, HEADER)) + r" \\", r"\hline"]
        lines += [" & ".join(map(plain, row)) + r" \\" for row in rows]
        lines += [r"\hline", r"\end{tabular}", ""]
    return "\n".join(lines).rstrip()


def _csv(comparison: Comparison) -> str:
    """All figures with all their digits, a row a pair."""
    from gpteval.core.text import harmless_cell

    frame = comparison.to_frame()
    frame["notes"] = ["; ".join(notes) for notes in frame["notes"]]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(frame.columns)
    for row in frame.itertuples(index=False):
        writer.writerow("" if value is None or value != value else harmless_cell(str(value)) for value in row)
    return text.getvalue().rstrip("\n")

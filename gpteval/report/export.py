"""The leaderboard and the full results as CSV or Markdown. What models and data wrote stays text in both."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gpteval.core.errors import UnknownNameError
from gpteval.core.runs import Loaded, load_runs
from gpteval.core.text import harmless_cell, is_number, printable

FORMATS = ("csv", "md")
FIELDS = (
    *("model", "generation", "n_params", "task", "family", "shots", "protocol", "profile"),
    *("metric", "primary", "higher_is_better", "value", "ci_low", "ci_high", "stderr"),
    *("n", "coverage", "truncated", "chance", "seconds", "tokens", "signature", "notes", "part_of"),
)
_MARKUP = re.compile(r"[\\`*\[\]|~]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")  # an underscore inside a word is none

Rows = list[list[str]]


def export(runs: Sequence[Path], kind: str = "csv", *, full: bool = False) -> str:
    """The merged runs as text of ``kind`` (``csv`` or ``md``).

    The leaderboard has a row a model and a column a task's primary metric, as values of
    results.json; ``full`` gives every result instead, a row each. Raises UnknownNameError for
    another ``kind``, and what :func:`gpteval.report.build_report` raises for runs it cannot read.
    """
    if kind not in FORMATS:
        raise UnknownNameError("format", kind, FORMATS)
    loaded = load_runs(runs)
    rows = results_rows(loaded) if full else leaderboard_rows(loaded)
    return to_csv(rows) if kind == "csv" else to_markdown(rows)


def leaderboard_rows(loaded: Loaded) -> Rows:
    """A header, then a row a model, in the report's order; a cell without a result is empty."""
    from gpteval.report.tables import leaderboard

    board = leaderboard(loaded)
    header = ["model", "generation", "n_params", "centred"]
    header += [_text(f"{c.task} ({c.shots}-shot) {c.metric}") for c in board.columns]
    rows = [header]
    for generation, models in board.groups:
        for model in models:
            results = [board.primary.get((model.name, c.id), {}) for c in board.columns]
            facts = [_text(model.name), _text(generation), _text(model.n_params), _text(model.centred)]
            rows.append([*facts, *(_text(r.get("value")) for r in results)])
    return rows


def results_rows(loaded: Loaded) -> Rows:
    """A header of ``FIELDS``, then a row a result, in the order of the runs."""
    return [list(FIELDS), *([_field(row, name) for name in FIELDS] for row in loaded.rows)]


def to_csv(rows: Rows) -> str:
    """RFC 4180, but for line ends (LF everywhere). A cell that a spreadsheet would compute gets a leading ``'``."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([[harmless_cell(cell) for cell in row] for row in rows])
    return text.getvalue()


def to_markdown(rows: Rows) -> str:
    """A GitHub table, numbers to the right. Cells show as they are: no markup or HTML of theirs."""
    header, *body = rows
    numeric = [bool(body) and all(is_number(row[n]) or not row[n] for row in body) for n in range(len(header))]
    rule = ["---:" if right else "---" for right in numeric]
    lines = [[_plain(cell) for cell in header], rule, *([_plain(cell) for cell in row] for row in body)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _text(value: Any) -> str:
    """None is empty; a float is written with all its digits; control characters and lone surrogates are replaced."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return printable(str(value))


def _field(row: Mapping[str, Any], name: str) -> str:
    value = row.get(name)
    return "; ".join(map(_text, value)) if isinstance(value, list | tuple) else _text(value)


def _plain(cell: str) -> str:
    if is_number(cell):
        return cell
    escaped = _MARKUP.sub(r"\\\g<0>", cell)
    escaped = escaped.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return " ".join(escaped.split())

"""The leaderboard, or every result, as CSV, Markdown, LaTeX or JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gpteval.core.errors import UnknownNameError
from gpteval.core.strict import strict_json
from gpteval.core.tables import to_csv, to_latex, to_markdown
from gpteval.core.text import printable
from gpteval.store.runs import Loaded, read_runs

FORMATS = ("csv", "md", "latex", "json")
FIELDS = (
    *("model", "generation", "n_params", "task", "family", "shots", "protocol", "profile"),
    *("metric", "primary", "higher_is_better", "value", "ci_low", "ci_high", "stderr"),
    *("n", "coverage", "truncated", "chance", "seconds", "wall_seconds", "tokens", "signature", "notes", "part_of"),
)
_WRITERS = {"csv": to_csv, "md": to_markdown, "latex": to_latex}


def export(runs: Sequence[Path], kind: str = "csv", *, full: bool = False) -> str:
    """The merged runs as text of ``kind``, one of ``FORMATS``.

    The leaderboard has a row a model and a column a task's primary metric, as values of
    results.json; ``full`` gives every result instead, a row each. Raises UnknownNameError for
    another ``kind``, and what :func:`gpteval.report.build_report` raises for runs it cannot read.
    """
    if kind not in FORMATS:
        raise UnknownNameError("format", kind, FORMATS, f"html, {', '.join(FORMATS)}")
    loaded = read_runs(runs).merged
    names, rows = results_rows(loaded) if full else leaderboard_rows(loaded)
    if kind == "json":
        return strict_json([dict(zip(names, row, strict=True)) for row in rows], 1) + "\n"
    return _WRITERS[kind]([list(map(_text, names)), *(list(map(_text, row)) for row in rows)])


def leaderboard_rows(loaded: Loaded) -> tuple[Sequence[str], list[list[Any]]]:
    """The columns' names, and a row a model, in the report's order; a cell without a result is None."""
    from gpteval.report.leaderboard import leaderboard

    board = leaderboard(loaded)
    names = ["model", "generation", "n_params", "centred"]
    names += [f"{c.task} ({c.shots}-shot) {c.metric}" for c in board.columns]
    rows: list[list[Any]] = []
    for generation, models in board.groups:
        for model in models:
            results: list[Mapping[str, Any]] = [board.primary.get((model.name, c.id), {}) for c in board.columns]
            facts = [model.name, generation, model.n_params, model.centred]
            rows.append([*facts, *(r.get("value") for r in results)])
    return names, rows


def results_rows(loaded: Loaded) -> tuple[Sequence[str], list[list[Any]]]:
    """``FIELDS``, and a row a result, in the order of the runs."""
    return FIELDS, [[row.get(name) for name in FIELDS] for row in loaded.rows]


def _text(value: Any) -> str:
    """None is empty; a float is written with all its digits; control characters and lone surrogates are replaced."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        return "; ".join(map(_text, value))
    return printable(str(value))

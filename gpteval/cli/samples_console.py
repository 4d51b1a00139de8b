"""What models were asked and what they answered, as lines of text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]

MARKS = "* the right answer, > the model's; before each its log-probability in nats"


def item_lines(rows: Mapping[str, Row]) -> list[str]:
    """An item with the answers of each model; the prompt once where all had the same."""
    first = next(iter(rows.values()))
    lines = [f"--- item {first['item_id']}" + (f": {_scores(first)}" if len(rows) == 1 else "")]
    shared = len({row.get("prompt") for row in rows.values()}) == 1
    if shared:
        lines.append(str(first.get("prompt", "")))
    for model, row in rows.items():
        if len(rows) > 1:
            lines.append(f"{model}: {_scores(row)}")
        if not shared:
            lines.append(str(row.get("prompt", "")))
        lines += _answer(row)
    return lines


def _scores(row: Row) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in row["values"].items() if value is not None)


def _answer(row: Row) -> list[str]:
    lines = []
    logprobs: Sequence[float | None] = row.get("logprobs") or []
    for number, text in enumerate(row.get("choices") or []):
        marks = ("*" if number == row.get("gold") else " ") + (">" if number == row.get("prediction") else " ")
        logprob = logprobs[number] if number < len(logprobs) else None
        lines.append(f"{marks}{'' if logprob is None else f'{logprob:9.3f}'} {text!r}")
    for key in ("thought", "generated", "taken", "answers", "references", "error"):
        if row.get(key) is not None:
            lines.append(f"{key}: {row[key]!r}")
    return lines

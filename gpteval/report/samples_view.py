"""Real prompts and outputs of a task: some items, the same for every model."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

from gpteval.report.leaderboard import Column, show
from gpteval.store.documents import read_samples

ITEMS = 20  # items a task that are shown
CHOICES = 8  # continuations of an item that are shown, the right and the chosen one always among them


def task_items(files: Mapping[str, Path], models: Sequence[str], column: Column) -> list[dict[str, Any]]:
    """The first items by id, those that all models have before others, each with every model's answer; then some on
    which two models disagree, so that every pair that does so anywhere has one.

    ``state`` says whether all models are right, all wrong, or they disagree ("right", "wrong", "split"),
    or "none" where a score is no yes or no.
    """
    present = [model for model in models if model in files]
    scored = {m: {r["item_id"]: r["values"] for r in read_samples(files[m], ["item_id", "values"])} for m in present}
    if not scored:
        return []
    common = set.intersection(*map(set, scored.values()))
    every = set().union(*scored.values())
    chosen = sorted(every, key=lambda item_id: (item_id not in common, item_id))[:ITEMS]
    rights = {m: {i: v.get(column.metric) for i, v in of_model.items()} for m, of_model in scored.items()}
    chosen += _disputed(rights, sorted(common), chosen)
    rows = {m: {row["item_id"]: row for row in read_samples(files[m], ids=chosen)} for m in present}
    return [_item(item_id, {m: rows[m][item_id] for m in present if item_id in rows[m]}, column) for item_id in chosen]


def _disputed(
    rights: Mapping[str, Mapping[str, float | None]], common: Sequence[str], chosen: Sequence[str]
) -> list[str]:
    """At most ``ITEMS`` further items on which pairs of models differ that agree on all the chosen ones."""

    def differing(item_id: str) -> set[tuple[str, str]]:
        found = {m: rights[m][item_id] for m in rights}
        return {(a, b) for a, b in combinations(rights, 2) if {found[a], found[b]} == {0.0, 1.0}}

    missing = set(combinations(rights, 2)) - set().union(*(differing(i) for i in chosen if i in set(common)))
    more: list[str] = []
    for item_id in common:
        if not missing or len(more) == ITEMS:
            break
        if new := missing & differing(item_id):
            missing -= new
            more.append(item_id)
    return more


def _item(item_id: str, rows: Mapping[str, dict[str, Any]], column: Column) -> dict[str, Any]:
    fullest = max(rows.values(), key=lambda r: (not r.get("truncated"), len(r.get("prompt") or "")))
    prompt = fullest.get("prompt") or ""
    answers = [(model, _answer(row, column, prompt)) for model, row in rows.items()]
    right = [a["right"] for _, a in answers if a["right"] is not None]
    state = "none" if not right else "right" if all(right) else "wrong" if not any(right) else "split"
    references = fullest.get("references") or []
    return {"id": item_id, "prompt": prompt, "references": references, "answers": answers, "state": state}


def _answer(row: Mapping[str, Any], column: Column, prompt: str) -> dict[str, Any]:
    """One model's answer: scored choices, a generated text, or a whole text's score."""
    value = row["values"].get(column.metric)
    right, note = _right(row, column), ""
    chosen = None if row.get("prediction") is None else row["prediction"] == row.get("gold")
    if right is not None and chosen is not None and right != chosen:
        note = f"{column.metric} compares normalised log-probs, and chooses otherwise than the sums above."
    return {
        "row": row,
        "right": right,
        "note": note,
        "choices": _choices(row),
        "prompt": row["prompt"] if (row.get("prompt") or "") not in ("", prompt) else "",
        "value": None if value is None else show(value, column.metric),
    }


def _right(row: Mapping[str, Any], column: Column) -> bool | None:
    """By the primary metric where it is a yes or no, else by plain accuracy."""
    value = row["values"].get(column.metric if column.answers_right else "acc")
    return bool(value) if value in (0, 1) else None


def _choices(row: Mapping[str, Any]) -> list[dict[str, Any]]:
    texts, logprobs = row.get("choices") or [], row.get("logprobs") or []
    every = [
        {
            "number": n + 1,
            "text": text,
            "logprob": f"{logprobs[n]:.2f}".replace("-", "−") if n < len(logprobs) and logprobs[n] is not None else "",
            "gold": n == row.get("gold"),
            "chosen": n == row.get("prediction"),
        }
        for n, text in enumerate(texts)
    ]
    if len(every) <= CHOICES:
        return every
    known = [-math.inf if n is None else n for n in logprobs[: len(every)]]
    likely = sorted(range(len(known)), key=lambda n: -known[n])
    first = [c for c in every if c["gold"] or c["chosen"]]
    kept = first + [every[n] for n in likely if every[n] not in first][: CHOICES - len(first)]
    return [c for c in every if c in kept]

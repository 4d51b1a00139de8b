"""Real prompts and outputs of a task, an item at a time, the same items for every model: what ``samples.js`` shows."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

from gpteval.core.text import printable
from gpteval.report.leaderboard import Column, show
from gpteval.store.documents import read_samples, read_values

ITEMS = 20  # a task, where nothing else is asked for
CHOICES = 8  # continuations of an item that are shown, the right and the chosen one always among them
REFERENCES = 6  # of an item that are shown
LONGEST = 2000  # characters of a prompt or output that are shown
SHOWN = (  # columns of a samples file
    *("item_id", "values", "prompt", "truncated", "error", "finish", "generated", "references", "choices", "logprobs"),
    *("gold", "prediction", "token_counts", "taken", "thought", "answers"),
)
SHORT = 300  # the same for what stands in a line


def task_items(
    files: Mapping[str, Path], models: Sequence[str], column: Column, most: int | None = ITEMS
) -> dict[str, Any]:
    """At most ``most`` items by id, all for None, with every model's answer: those that all models have before others,
    and among them those on which models disagree, of each pair that does so anywhere one at least.

    ``items``: what is shown of each. ``choices`` that all models were given stand there once; an answer has their
    ``logprobs`` (of those in ``shown``, by place, where not of all) and the number that was ``chosen``. ``state`` says
    whether all models are right, all wrong, or they disagree ("right", "wrong", "split"), or "none" where a score is no
    yes or no. ``models``: who answered; an item's answers are theirs in order, or say ``by`` which. ``of``: how many
    items there are. ``apart``: on how many two models disagree, by places.
    """
    present = [model for model in models if model in files]
    scored = {model: read_values(files[model]) for model in present}
    every = sorted(set().union(*scored.values()))
    common = set(every).intersection(*scored.values())
    right, wrong = ({m: _with(scored[m], column.metric, score) for m in present} for score in (1.0, 0.0))
    apart = {(a, b): right[a] & wrong[b] | wrong[a] & right[b] for a, b in combinations(present, 2)}
    first = dict.fromkeys(
        [min(of_pair) for of_pair in apart.values() if of_pair] + sorted(set().union(*apart.values()) & common)
    )
    rest = sorted(set(every) - set(first), key=lambda item_id: (item_id not in common, item_id))
    chosen = sorted([*first, *rest][:most], key=lambda item_id: (item_id not in common, item_id))
    asked = present if chosen else []
    rows = {m: {row["item_id"]: row for row in read_samples(files[m], SHOWN, ids=chosen)} for m in asked}
    return {
        "models": present,
        "metric": column.metric,
        "of": len(every),
        "apart": {f"{present.index(a)} {present.index(b)}": len(items) for (a, b), items in apart.items() if items},
        "items": [
            _item(item_id, {n: rows[m][item_id] for n, m in enumerate(present) if item_id in rows[m]}, column)
            for item_id in chosen
        ],
    }


def _with(values: Mapping[str, Mapping[str, float]], metric: str, score: float) -> set[str]:
    """The items that have just this score."""
    return {item_id for item_id, of_item in values.items() if of_item.get(metric) == score}


def clip(text: object, longest: int = LONGEST) -> str:
    """At most ``longest`` characters, with a note on those that are not shown; without control characters."""
    whole = printable(str(text))
    if len(whole) <= longest:
        return whole
    return f"{whole[: longest // 2]} [... {len(whole) - longest:,} characters not shown ...] {whole[-longest // 2 :]}"


def _item(item_id: str, rows: Mapping[int, dict[str, Any]], column: Column) -> dict[str, Any]:
    fullest = max(rows.values(), key=lambda r: (not r.get("truncated"), len(r.get("prompt") or "")))
    prompt = fullest.get("prompt") or ""
    shown = {by: _shown(row) for by, row in rows.items()}
    alike = {by for by, row in rows.items() if _asks_as(row, fullest)}
    places = sorted({n for by in alike for n in shown[by]})  # in the item's choices, of those that are shown
    answers = [
        ({} if by == place else {"by": by}) | _answer(row, column, prompt, shown[by], places if by in alike else None)
        for place, (by, row) in enumerate(rows.items())
    ]
    right = [answer["right"] for answer in answers if "right" in answer]
    references = fullest.get("references") or []
    return _told(
        {
            "id": printable(item_id),
            "state": "none" if not right else "right" if all(right) else "wrong" if not any(right) else "split",
            "prompt": clip(prompt),
            "references": [clip(text, SHORT) for text in references[:REFERENCES]],
            "more": len(references[REFERENCES:]),
            "choices": [_choice(fullest, n) for n in places],
        }
    ) | {"answers": answers}


def _asks_as(row: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two models were given the same choices, of which the same one is right."""
    choices = row.get("choices")
    return bool(choices) and choices == other.get("choices") and row.get("gold") == other.get("gold")


def _answer(
    row: Mapping[str, Any], column: Column, prompt: str, shown: Sequence[int], places: Sequence[int] | None
) -> dict[str, Any]:
    """One model's answer: scored choices, of which those ``shown`` are, a generated text, or a whole text's score.
    ``places``: which choices stand at the item already; None where this model was given others.
    """
    value = row["values"].get(column.metric)
    right, note = _right(row, column), ""
    chosen = None if row.get("prediction") is None else row["prediction"] == row.get("gold")
    if right is not None and chosen is not None and right != chosen:
        note = f"{column.metric} compares normalised log-probs, and chooses otherwise than the sums below."
    texts = row.get("choices") or []
    said: dict[str, Any] = {} if right is None else {"right": right}
    if texts:
        said |= _told({"chosen": row["prediction"] + 1 if row.get("prediction") in shown else None})
        known = _logprobs(row)
        said |= {"logprobs": [known[n] for n in shown]}
        if places is None:
            said["choices"] = [_choice(row, n) for n in shown]
        elif len(shown) < len(places):
            said["shown"] = [places.index(n) for n in shown]
    elif row.get("generated") is not None:
        said |= {"text": clip(row["generated"]), "finish": row.get("finish")}
    elif row.get("logprobs"):
        said |= {"logprob": row["logprobs"][0], "tokens": (row.get("token_counts") or [None])[0]}
    return said | _told(
        {
            "value": None if value is None or right is not None else show(value, column.metric),
            "error": clip(row["error"], SHORT) if row.get("error") else None,
            "hidden": len(texts) - len(shown),
            "note": note,
            "taken": None if row.get("taken") is None else clip(row["taken"], SHORT) or "none",
            "others": [clip(text or "", SHORT) for text in (row.get("answers") or [])[1:]],
            "thought": clip(row["thought"]) if row.get("thought") else None,
            "cut": bool(row.get("truncated")),
            "prompt": clip(row["prompt"]) if (row.get("prompt") or "") not in ("", prompt) else None,
        }
    )


def _told(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Those that say something."""
    return {name: value for name, value in facts.items() if value}


def _right(row: Mapping[str, Any], column: Column) -> bool | None:
    """By the primary metric where it is a yes or no, else by plain accuracy."""
    value = row["values"].get(column.metric if column.answers_right else "acc")
    return bool(value) if value in (0, 1) else None


def _shown(row: Mapping[str, Any]) -> list[int]:
    """The choices that are shown, by place: all of a few; of many the gold, the chosen and the likeliest."""
    count = len(row.get("choices") or [])
    if count <= CHOICES:
        return list(range(count))
    first = [n for n in range(count) if n in (row.get("gold"), row.get("prediction"))]
    known = _logprobs(row)
    likely = sorted(range(count), key=lambda n: -math.inf if (one := known[n]) is None else one, reverse=True)
    return sorted(list(dict.fromkeys([*first, *likely]))[:CHOICES])


def _logprobs(row: Mapping[str, Any]) -> list[float | None]:
    """Of each choice, as the page shows it: with two decimals."""
    known = row.get("logprobs") or []
    missing = [None] * (len(row.get("choices") or []) - len(known))
    return [None if one is None else round(one, 2) for one in known] + missing


def _choice(row: Mapping[str, Any], place: int) -> dict[str, Any]:
    return {"number": place + 1, "text": clip(row["choices"][place], SHORT)} | _told({"gold": place == row.get("gold")})

"""Results of one task that were not judged alike: a task or metric that was edited between two models' runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any


def judged_apart(rows: Iterable[Mapping[str, Any]], task: str | None = None) -> list[str]:
    """Sentences on the tasks whose results, of as many items by one metric, were judged by other golds, by another
    metric of that name, or against another chance level. ``task``: on this one alone.
    """
    found: dict[tuple[Any, ...], dict[str, list[str]]] = {}
    for row in rows:
        if row.get("judged") and not row.get("stale") and task in (None, row["task"]):
            unit = (row["task"], row.get("shots", 0), row["metric"], row.get("n"))
            found.setdefault(unit, {}).setdefault(str(row["judged"]), []).append(str(row["model"]))
    sentences = {}
    for (name, shots, *_), models in found.items():
        if len(models) > 1:
            groups = " and ".join(", ".join(dict.fromkeys(group)) for group in models.values())
            sentences[name, shots] = (
                f"{name} ({shots}-shot) was not judged alike for {groups}: its items, golds, metric or chance level "
                "are not the same; run it again for all of them"
            )
    return list(sentences.values())

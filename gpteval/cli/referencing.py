"""``gpteval reference``: published results with their sources."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import asdict

from gpteval.cli.console import document_only, say
from gpteval.core.errors import UnknownNameError
from gpteval.models.catalogue import model_registry
from gpteval.reference.beside import in_unit
from gpteval.reference.published import ALIASES, Published, published

Key = tuple[str, str, str, str, str]


def reference_command(model: str | None, task: str | None, as_json: bool) -> None:
    rows = list(published())
    if model is not None:
        with document_only(as_json):
            names = names_of(model)
        rows = [row for row in rows if row.model.lower() in names]
    if task is not None:
        names = {*ALIASES.get(task, ()), task}
        known = {row.task for row in published()}
        if not names & known:
            raise UnknownNameError("task", task, [*known, *ALIASES], "'gpteval reference' lists all published results")
        rows = [row for row in rows if row.task in names]
    disputed = conflicts(rows)
    if as_json:
        say(json.dumps([asdict(row) | {"conflicting": _key(row) in disputed} for row in rows], ensure_ascii=False))
        return
    if not rows:
        say("nothing was published of this model on this task, as far as gpteval/reference/published.csv knows")
    for row in rows:
        unit = "" if row.unit in ("", "none", "fraction") else f" {row.unit}"
        shots = f"{row.shots} shots" if row.shots.isdigit() else row.shots
        mark = "  CONFLICTING" if _key(row) in disputed else ""
        say(f"{row.model}  {row.task}  {row.metric}  {shots}  {row.split}: {row.value}{unit}{mark}")
        say(f"    {row.source}, {row.locator}{f' ({row.notes})' if row.notes else ''}")
    if rows:
        told = f"; {len(disputed)} figures on which sources disagree are marked" if disputed else ""
        say(f"\n{len(rows)} published results{told}")


def names_of(model: str) -> Collection[str]:
    """A model's names in lower case, as sources may write it. Raises UnknownNameError."""
    found = {row.model.lower() for row in published()}
    for info in model_registry().values():
        names = {name.lower() for name in (info.name, info.location, *info.aliases)}
        if model.lower() in names:
            return names
    if model.lower() in found:
        return {model.lower()}
    raise UnknownNameError("model", model, [*model_registry(), *sorted({row.model for row in published()})])


def conflicts(rows: Sequence[Published]) -> set[Key]:
    """What several sources give different values for: by model, task, metric, shots and split."""
    values: dict[Key, set[float]] = {}
    for row in rows:
        values.setdefault(_key(row), set()).add(in_unit(row))
    return {key for key, found in values.items() if len(found) > 1}


def _key(row: Published) -> Key:
    return row.model, row.task, row.metric, row.shots, row.split

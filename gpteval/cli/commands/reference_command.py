"""``gpteval reference``: published results with their sources."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from gpteval.cli.completion import complete_models, complete_tasks
from gpteval.cli.console import document_only, say
from gpteval.cli.options import Json
from gpteval.core.errors import UnknownNameError
from gpteval.core.strict import strict_json

if TYPE_CHECKING:
    from gpteval.reference.published import Published

_Key = tuple[str, str, str, str, str]


def reference(
    model: Annotated[
        str | None, typer.Option(help="of this model: a name or Hub id", autocompletion=complete_models)
    ] = None,
    task: Annotated[str | None, typer.Option(help="on this task or group", autocompletion=complete_tasks)] = None,
    as_json: Json = False,
) -> None:
    """List published results with their sources.

    Those on which sources disagree are marked.
    """
    from gpteval.reference.published import published, published_for

    rows = list(published())
    if model is not None:
        with document_only(as_json):
            names = names_of(model)
        rows = [row for row in rows if row.model.lower() in names]
    if task is not None:
        with document_only(as_json):
            check_task(task)
        of_task = published_for(task)
        rows = [row for row in rows if row in of_task]
    disputed = conflicts(rows)
    if as_json:
        say(strict_json([asdict(row) | {"conflicting": _key(row) in disputed} for row in rows]))
        return
    if not rows:
        say("gpteval knows no published result of that; 'gpteval reference' lists all that it knows")
    for row in rows:
        mark = "  CONFLICTING" if _key(row) in disputed else ""
        say(f"{row.model}  {row.task}  {row.metric}  {row.examples}  {row.split}: {row.figure}{mark}")
        say(f"    {row.source}, {row.locator}{f' ({row.notes})' if row.notes else ''}")
    if rows:
        marked = f"; {len(disputed)} figures on which sources disagree are marked" if disputed else ""
        say(f"\n{len(rows)} published results{marked}")


def names_of(model: str) -> Collection[str]:
    """A model's names in lower case, as sources may write it. Raises UnknownNameError."""
    from gpteval.models.catalogue import model_registry
    from gpteval.reference.published import published

    found = {row.model.lower() for row in published()}
    for info in model_registry().values():
        names = {name.lower() for name in (info.name, info.location, *info.aliases)}
        if model.lower() in names:
            return names
    if model.lower() in found:
        return {model.lower()}
    raise UnknownNameError("model", model, [*model_registry(), *sorted({row.model for row in published()})])


def check_task(task: str) -> None:
    """Raises UnknownNameError for what is neither a task, nor a group, nor a name that a source uses."""
    from gpteval.reference.published import published
    from gpteval.tasks.registry import task_registry, task_suites

    registry = task_registry()
    known = [*registry, *task_suites(registry), *{row.task for row in published()}]
    if task not in known:
        raise UnknownNameError("task", task, known, "'gpteval tasks' lists all")


def conflicts(rows: Sequence[Published]) -> set[_Key]:
    """What several sources give different values for: by model, task, metric, shots and split."""
    from gpteval.reference.counterpart import in_unit

    values: dict[_Key, set[float]] = {}
    for row in rows:
        values.setdefault(_key(row), set()).add(in_unit(row))
    return {key for key, found in values.items() if len(found) > 1}


def _key(row: Published) -> _Key:
    return row.model, row.task, row.metric, row.shots, row.split

"""--model and --task where they name one thing: a name of several is refused."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from gpteval.core.errors import UsageError

if TYPE_CHECKING:
    from gpteval.models.catalogue import ModelInfo
    from gpteval.tasks.task import Task


def one_model(name: str) -> ModelInfo:
    """The one model of this name. Raises UsageError for a family, UnknownNameError."""
    from gpteval.models.catalogue import resolve_models

    found = resolve_models([name])
    if len(found) > 1:
        raise UsageError(
            f"--model {name} stands for {len(found)} models", f"name one of {', '.join(i.name for i in found)}"
        )
    return found[0]


def loaded_here(name: str) -> ModelInfo:
    """The one model of this name, whose weights are here, to be asked as it is or as a chat. Raises UsageError."""
    from gpteval.models.prefixes import AS_CHAT, LOCAL

    found = one_model(name)
    if found.backend not in (LOCAL, AS_CHAT):
        raise UsageError(f"--model {name} is not loaded here", "name a model whose weights are, or chat:NAME")
    return found


def one_task(name: str, folders: Sequence[Path]) -> Task:
    """The one task of this name. Raises UsageError for a family or suite, UnknownNameError."""
    from gpteval.tasks.registry import select_tasks, task_registry

    found = select_tasks(task_registry(tuple(folders)), [name])
    if len(found) > 1:
        raise UsageError(f"--task {name} stands for {len(found)} tasks", "name one of them: 'gpteval tasks' lists all")
    return found[0]


def one_item(ids: Sequence[str], wanted: str, where: str) -> str:
    """The id that ``wanted`` is, or begins. Raises UsageError where there is none, or several."""
    found = [known for known in ids if known == wanted] or [known for known in ids if known.startswith(wanted)]
    if not found:
        raise UsageError(f"{where} has no item {wanted!r}", f"ids look like {', '.join(ids[:3])}; see gpteval samples")
    if len(found) > 1:
        raise UsageError(f"--item {wanted} stands for {len(found)} items", f"such as {', '.join(found[:3])}")
    return found[0]

"""What the shell offers: names of models and tasks, also behind a comma. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterable


def complete_models(incomplete: str) -> list[str]:
    """Names of models and groups that begin so, behind what stands before the last comma."""
    from gpteval.models.catalogue import model_registry

    registry = model_registry()
    groups = {info.group for info in registry.values() if info.group}
    return _behind_commas(incomplete, [*registry, *sorted(groups)])


def complete_tasks(incomplete: str) -> list[str]:
    """Names of tasks, suites and families that begin so, behind what stands before the last comma."""
    from gpteval.core.types import FAMILIES

    return _behind_commas(incomplete, [*_tasks(), *_suites(), *FAMILIES, "all"])


def complete_task(incomplete: str) -> list[str]:
    """Names of single tasks that begin so."""
    return [name for name in _tasks() if name.startswith(incomplete)]


def _tasks() -> list[str]:
    from gpteval.tasks.registry import task_registry

    return list(task_registry())


def _suites() -> list[str]:
    from gpteval.tasks.registry import task_registry, task_suites

    return sorted(task_suites(task_registry()))


def _behind_commas(incomplete: str, names: Iterable[str]) -> list[str]:
    before, comma, begun = incomplete.rpartition(",")
    return [f"{before}{comma}{name}" for name in names if name.startswith(begun)]

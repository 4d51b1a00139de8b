"""What the shell offers for an option's value. Imports no torch."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import typer

Complete = Callable[..., list[str]]


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
    return _begun(incomplete, _tasks())


def completer(command: str, flags: Iterable[str]) -> Complete | None:
    """What is offered for an option of a command by any of its names; None where its values are not known."""
    for flag in flags:
        if found := OF_COMMANDS.get((command, flag)) or OF_OPTIONS.get(flag):
            return found
    return None


def _one_of(values: Callable[[], Iterable[str]]) -> Complete:
    def complete(incomplete: str) -> list[str]:
        return _begun(incomplete, values())

    return complete


def _some_of(values: Callable[[], Iterable[str]]) -> Complete:
    def complete(incomplete: str) -> list[str]:
        return _behind_commas(incomplete, values())

    return complete


def _of_runs(column: str, *, several: bool = False) -> Complete:
    """What stands in a column of the results of the runs that were named before."""

    def complete(ctx: typer.Context, incomplete: str) -> list[str]:
        values = dict.fromkeys(str(row[column]) for row in _rows(ctx) if column in row)
        return _behind_commas(incomplete, values) if several else _begun(incomplete, values)

    return complete


def _rows(ctx: typer.Context) -> list[dict[str, Any]]:
    """The results of the runs among a command's arguments; none of a folder that is no run's."""
    named = [value for name in ("run", "runs", "target") for value in _listed(ctx.params.get(name))]
    found: list[dict[str, Any]] = []
    for run in dict.fromkeys(map(str, (*named, *ctx.args))):  # there, while an option has no value yet
        try:
            found += json.loads((Path(run) / "results.json").read_text(encoding="utf-8"))["results"]
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return found


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value] if value else []


def _begun(incomplete: str, names: Iterable[str]) -> list[str]:
    return [name for name in names if name.startswith(incomplete)]


def _behind_commas(incomplete: str, names: Iterable[str]) -> list[str]:
    before, comma, begun = incomplete.rpartition(",")
    return [f"{before}{comma}{name}" for name in _begun(begun, names)]


def _tasks() -> list[str]:
    from gpteval.tasks.registry import task_registry

    return list(task_registry())


def _suites() -> list[str]:
    from gpteval.tasks.registry import task_registry, task_suites

    return sorted(task_suites(task_registry()))


def _known(module: str, name: str) -> Callable[[], Sequence[str]]:
    """A constant of a module, which is imported when it is asked for."""

    def values() -> Sequence[str]:
        from importlib import import_module

        return list(getattr(import_module(f"gpteval.{module}"), name))

    return values


def _executors() -> list[str]:
    from gpteval.run.executors.names import AUTO, executors

    return [AUTO, *executors()]


def _metrics() -> list[str]:
    from gpteval.metrics.named import metric_registry

    return list(metric_registry())


def _recipes() -> list[str]:
    from gpteval.nano.recipes import recipe_registry

    return list(recipe_registry())


def _page_formats() -> list[str]:
    from gpteval.report.export import FORMATS

    return ["html", *FORMATS]


OF_OPTIONS: dict[str, Complete] = {
    "--against": complete_models,
    "--baseline": _of_runs("model"),
    "--batch-tokens": _one_of(lambda: ["auto"]),
    "--choices": _one_of(_known("prompts.letters", "CHOICES")),
    "--control": _one_of(lambda: ["random-labels", "order-1"]),
    "--controls": _some_of(_known("prompts.controls", "CONTROLS")),
    "--device": _one_of(lambda: ["auto", "cpu", "cuda", "mps"]),
    "--differ": _of_runs("model"),
    "--dtype": _one_of(_known("models.loader", "DTYPES")),
    "--executor": _one_of(_executors),
    "--gate-by": _one_of(_known("comparison.gates", "BY")),
    "--interval": _one_of(_known("report.score_table", "INTERVALS")),
    "--kind": _one_of(lambda: ["leaderboard", "compare", "card"]),
    "--method": _one_of(_known("tune.methods", "METHODS")),
    "--methods": _some_of(_known("tune.methods", "METHODS")),
    "--metric": _of_runs("metric"),
    "--metrics": _some_of(_metrics),
    "--no-worse-than": _of_runs("model"),
    "--profile": _one_of(_known("tasks.profiles", "PROFILES")),
    "--progress": _one_of(_known("cli.voice", "FORMS")),
    "--recipe": _one_of(_recipes),
    "--shots-mode": _one_of(lambda: ["per-item", "fixed"]),
    "--track": _some_of(lambda: ["tensorboard", "wandb"]),
    "--until-decided": complete_models,
}
OF_COMMANDS: dict[tuple[str, str], Complete] = {
    ("compare", "--format"): _one_of(_known("comparison.formats", "FORMATS")),
    ("place", "--model"): _of_runs("model"),
    ("report", "--format"): _one_of(_page_formats),
    ("report", "--models"): _of_runs("model", several=True),
    ("samples", "--model"): _of_runs("model"),
    ("samples", "--shots"): _of_runs("shots"),
    ("samples", "--task"): _of_runs("task"),
    ("table", "--format"): _one_of(_known("cli.commands.table_command", "FORMATS")),
    ("table", "--models"): _of_runs("model", several=True),
    ("table", "--shots"): _of_runs("shots", several=True),
    ("table", "--tasks"): _of_runs("task", several=True),
}

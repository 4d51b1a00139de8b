"""``gpteval tasks``: the tasks by family, or all about one."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from gpteval.cli.completion import complete_task
from gpteval.cli.console import document_only, say
from gpteval.cli.options import Json, TaskDir
from gpteval.core.strict import strict_json
from gpteval.core.types import FAMILIES


def tasks(
    name: Annotated[
        str | None,
        typer.Argument(help="a task, for all about it; a suite, for its tasks", autocompletion=complete_task),
    ] = None,
    run: Annotated[
        list[Path] | None,
        typer.Option(help="say which tasks of this run tell its models apart; may be given again", metavar="FOLDER"),
    ] = None,
    task_dir: TaskDir = None,
    as_json: Json = False,
) -> None:
    """List the tasks, or show one, or say which of a run can tell.

    Of one its source, metrics, first item, and published results. Of a run's tasks what its models differ by, against
    what chance does, and whether the probability of right answers tells what their number does not.
    """
    if run:
        from gpteval.cli.telling_console import show_telling

        show_telling(run, name, as_json)
    elif name:
        from gpteval.cli.taskpage import show_task

        show_task(name, tuple(task_dir or ()), as_json)
    else:
        _list(tuple(task_dir or ()), as_json)


def _list(folders: tuple[Path, ...], as_json: bool) -> None:
    """Print the tasks by family; a benchmark in parts has one line."""
    from gpteval.cli.rich_tables import add_row, show_table, table_of
    from gpteval.tasks.groups import GROUPS
    from gpteval.tasks.registry import task_registry, task_suites

    with document_only(as_json):
        registry = task_registry(folders)
    for problem in registry.problems:
        say(f"warning: plugin not loaded: {problem}", sys.stderr)
    found = sorted(registry.values(), key=lambda t: (FAMILIES.index(t.family), t.name))
    suites = task_suites(registry)
    if as_json:
        rows: list[dict[str, Any]] = [
            {
                "name": t.name,
                "family": t.family,
                "metric": t.metric,
                "metrics": list(t.all_metrics),
                "shots": t.shots,
                "shots_from": t.shots_from,
                "shots_group": t.shots_group,
                "source": t.source.label,
                "licence": t.licence,
                "suites": sorted(suite for suite, tasks in suites.items() if t in tasks),
                "templates": list(t.templates),
                "profiles": list(t.variants),
                "version": t.version,
                "description": t.description,
            }
            for t in found
        ]
        say(strict_json(rows, 1))
        return
    table = table_of("task", "family", "metric", "source", "description")
    parts = {name: suites[name] for name, group in GROUPS.items() if group.of_parts and name in suites}
    told: set[str] = set()
    for t in found:
        name = next((name for name, tasks in parts.items() if t in tasks), "")
        if not name:
            add_row(table, t.name, t.family, t.metric, t.source.label, t.description)
        elif name not in told:
            told.add(name)
            add_row(table, name, t.family, t.metric, f"{len(parts[name])} tasks", GROUPS[name].description)
    show_table(table)
    listed = [f"{name} ({len(tasks)})" for name, tasks in sorted(suites.items())]
    say(f"\nAlso: a family ({', '.join(FAMILIES)}), a suite ({', '.join(listed) or 'none'}), or all.")
    say(f"{', '.join(parts)}: one line each; 'gpteval tasks NAME' has their parts, and all about any task.")
    say("all and the families hold the real tasks; those of the generated world are run by name or as nano.")

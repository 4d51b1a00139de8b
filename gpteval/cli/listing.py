"""``gpteval models`` and ``gpteval tasks``."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from gpteval.cli.console import document_only, print_lines, say
from gpteval.core.generations import GENERATIONS
from gpteval.core.show import size
from gpteval.core.strict import strict_json
from gpteval.core.text import one_line
from gpteval.core.types import FAMILIES
from gpteval.models.catalogue import model_registry
from gpteval.tasks.groups import GROUPS
from gpteval.tasks.registry import task_registry, task_suites


def list_models(as_json: bool) -> None:
    """Print the known models, the embedded ones first."""
    with document_only(as_json):
        registry = model_registry()
    infos = sorted(
        registry.values(), key=lambda i: (i.group != "nano", GENERATIONS.index(i.generation), i.release_date)
    )
    if as_json:
        hidden = ("location", "revision")
        rows = [{k: v for k, v in asdict(i).items() if k not in hidden or not i.local} for i in infos]
        say(strict_json(rows, 1))
        return
    table = table_of("model", "generation", "parameters", "window", "released", "licence", "Hub id")
    for i in infos:
        where = "embedded" if i.local else i.location
        parameters, window = size(i.n_params), str(i.window or "")
        add_row(table, i.name, i.generation, parameters, window, i.release_date, i.licence, where)
    show_table(table)
    say("\nAlso: any Hub id 'org/name', 'name@revision', or a local folder. 'nano' is the whole embedded family.")


def list_tasks(folders: tuple[Path, ...], as_json: bool) -> None:
    """Print the tasks by family; a benchmark in parts has one line."""
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


def table_of(*columns: str) -> Table:
    """A table without lines."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(one_line(column), no_wrap=column in ("model", "task", "generation"))
    return table


def add_row(table: Table, *cells: str) -> None:
    """Add cells, of which nothing is markup."""
    table.add_row(*(Text(one_line(cell)) for cell in cells))


def show_table(table: Table) -> None:
    """Print it, as wide as it needs where nobody looks at a terminal."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 200
    with console.capture() as captured:
        console.print(table)
    print_lines(captured.get().rstrip("\n"))

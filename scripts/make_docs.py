"""Write the generated docs: the commands' help, the tasks, the models. ``--check`` only compares."""

from __future__ import annotations

import sys
from pathlib import Path

import typer

from gpteval.cli.app import app
from gpteval.core.registry import task_registry
from gpteval.core.types import FAMILIES
from gpteval.models.catalogue import model_registry

DOCS = Path(__file__).resolve().parent.parent / "docs"


def commands() -> str:
    """docs/commands.md: each command's --help."""
    group = typer.main.get_command(app)
    assert hasattr(group, "commands")
    parts = ["# Commands", "Made by `make docs` from the commands' own help."]
    for name, command in group.commands.items():
        context = command.make_context(
            name, ["--help"], resilient_parsing=True, max_content_width=100, terminal_width=100
        )
        context.command_path  # noqa: B018  (the usage line needs it computed)
        text = command.get_help(context).replace(f"Usage: {name}", f"Usage: gpteval {name}")
        parts.append(f"## gpteval {name}\n\n```text\n{text.strip()}\n```")
    return "\n\n".join(parts) + "\n"


def tasks() -> str:
    """docs/tasks.md: every shipped task."""
    rows = ["| task | family | metrics (primary first) | examples from | source | licence | what it measures |"]
    rows.append("| --- | --- | --- | --- | --- | --- | --- |")
    for task in sorted(task_registry().values(), key=lambda t: (FAMILIES.index(t.family), t.name)):
        pool = task.shots_from or "the same split"
        cells = [task.name, task.family, ", ".join(task.all_metrics), pool, task.source.label, task.licence]
        rows.append("| " + " | ".join([*cells, task.description]).replace("\n", " ") + " |")
    return "# Tasks\n\nMade by `make docs` from the task files.\n\n" + "\n".join(rows) + "\n"


def models() -> str:
    """docs/models.md: every catalogued model."""
    rows = ["| model | generation | parameters | window | released | licence | Hub id |", "| --- " * 7 + "|"]
    for info in model_registry().values():
        size = "" if info.n_params is None else f"{info.n_params:,}"
        where = "embedded" if info.local else info.location
        cells = [info.name, info.generation, size, str(info.window or ""), info.release_date, info.licence, where]
        rows.append("| " + " | ".join(cells) + " |")
    return "# Models\n\nMade by `make docs` from `gpteval/reference/models.csv`.\n\n" + "\n".join(rows) + "\n"


def main() -> int:
    stale = []
    for name, make in (("commands.md", commands), ("tasks.md", tasks), ("models.md", models)):
        path, text = DOCS / name, make()
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            stale.append(name)
            if "--check" not in sys.argv:
                path.write_text(text, encoding="utf-8")
                print(f"wrote docs/{name}")
    if stale and "--check" in sys.argv:
        print(f"not current: {', '.join(stale)}; run make docs", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Write the generated docs: commands, tasks, models, and what pages show of the demo. ``--check`` only compares."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from types import SimpleNamespace

from gpteval.cli.app import program
from gpteval.cli.run_listener import number, result_line
from gpteval.core.types import FAMILIES
from gpteval.models.catalogue import model_registry
from gpteval.models.embedded import nano_models
from gpteval.nano.recipes import recipe_registry
from gpteval.tasks.registry import task_registry

DOCS = Path(__file__).resolve().parent.parent / "docs"


def commands() -> str:
    """docs/commands.md: each command's --help."""
    assert hasattr(program, "commands")
    parts = ["# Commands", "Made by `make docs` from the commands' own help."]
    for name, command in program.commands.items():
        if command.hidden:  # a name of the version before
            continue
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


def demo_rows() -> list[SimpleNamespace]:
    """The demo's primary results, as scripts/make_demo.py kept them."""
    rows = json.loads((DOCS / "demo.json").read_text(encoding="utf-8"))
    return [SimpleNamespace(**row) for row in rows]


def demo_lines() -> str:
    """Some of the lines that the demo prints."""
    shown = [r for r in demo_rows() if r.task in ("nano_reading", "nano_en_fr") and r.shots == 5]
    return "```text\n" + "\n".join(result_line(row) for row in shown) + "\n```"


def demo_table() -> str:
    """Every primary value: a row a task and shots, a column a model."""
    values = {(r.model, r.task, r.shots): number(r.value) for r in demo_rows()}
    metrics = {(r.task, r.shots): r.metric for r in demo_rows()}
    models = list(nano_models())
    lines = ["| task | shots | metric | " + " | ".join(models) + " |", "| --- | --- | --- |" + " --- |" * len(models)]
    for (task, shots), metric in sorted(metrics.items()):
        cells = [values.get((model, task, shots), "") for model in models]
        lines.append(f"| {task} | {shots} | {metric} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def family() -> str:
    """The embedded models' facts, from their training."""
    marks = {
        "openai-gpt": "layer norm after each block, lower-cased BPE",
        "gpt2": "layer norm before each block, byte-level BPE",
        "gpt_neo": "dense and local attention in turn",
    }
    lines = ["| model | generation's mark | parameters | window | tokens seen | seconds | last loss |"]
    lines.append("| --- " * 7 + "|")
    for name, folder in nano_models().items():
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        facts = json.loads((folder / "training.json").read_text(encoding="utf-8"))
        window, seconds, loss = (
            recipe_registry()[name].window,
            f"{facts['seconds']:,.0f}",
            f"{facts['loss'][-1][1]:.2f}",
        )
        cells = [name, marks[config["model_type"]], f"{facts['parameters']:,}", window, f"{facts['tokens']:,}"]
        lines.append("| " + " | ".join(map(str, [*cells, seconds, loss])) + " |")
    return "\n".join(lines)


PARTS = {"demo lines": demo_lines, "demo table": demo_table, "family": family}
BLOCK = re.compile(r"(<!-- made by make docs: ([a-z ]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def with_parts(path: Path) -> str:
    """A page with its generated parts made anew."""
    return BLOCK.sub(lambda m: f"{m[1]}{PARTS[m[2]]()}\n{m[3]}", path.read_text(encoding="utf-8"))


def main() -> int:
    """Write the pages that are not current, or with ``--check`` name them; the exit code."""
    made = {DOCS / "commands.md": commands(), DOCS / "tasks.md": tasks(), DOCS / "models.md": models()}
    made |= {path: with_parts(path) for path in (DOCS.parent / "README.md", DOCS / "nano.md")}
    stale = []
    for path, text in made.items():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            stale.append(path.name)
            if "--check" not in sys.argv:
                path.write_text(text, encoding="utf-8")
                print(f"wrote {path.name}")
    if stale and "--check" in sys.argv:
        print(f"not current: {', '.join(stale)}; run make docs", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

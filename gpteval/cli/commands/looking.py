"""Look: what there is to evaluate, and what was asked and answered."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gpteval.cli.completion import complete_models, complete_task, complete_tasks
from gpteval.cli.console import say
from gpteval.cli.options import Json, TaskDir


def models(as_json: Json = False) -> None:
    """List the known models: generation, size, window, release date, licence."""
    from gpteval.cli.listing import list_models

    list_models(as_json)


def tasks(
    name: Annotated[
        str | None,
        typer.Argument(help="a task, for all about it; a suite, for its tasks", autocompletion=complete_task),
    ] = None,
    task_dir: TaskDir = None,
    as_json: Json = False,
) -> None:
    """List the tasks, or show one: its source, metrics, first item, and published results."""
    if name:
        from gpteval.cli.taskpage import show_task

        show_task(name, tuple(task_dir or ()), as_json)
    else:
        from gpteval.cli.listing import list_tasks

        list_tasks(tuple(task_dir or ()), as_json)


def reference(
    model: Annotated[
        str | None, typer.Option(help="of this model: a name or Hub id", autocompletion=complete_models)
    ] = None,
    task: Annotated[str | None, typer.Option(help="on this task or group", autocompletion=complete_tasks)] = None,
    as_json: Json = False,
) -> None:
    """List published results with their sources; those on which sources disagree are marked."""
    from gpteval.cli.referencing import reference_command

    reference_command(model, task, as_json)


def lock(
    run: Annotated[Path, typer.Argument(help="the run's folder")],
    out: Annotated[Path, typer.Option(help="the file to write")] = Path("gpteval.lock"),
) -> None:
    """Write down the revisions of models and data that a run used, for run --locked to insist on."""
    from gpteval.run.lock import write_lock

    say(f"{write_lock(run, out)} models and tasks are locked in {out}; insist on them with: gpteval run --locked {out}")


def show(
    task: Annotated[str, typer.Argument(help="the task's name", autocompletion=complete_task)],
    shots: Annotated[int, typer.Option(help="examples in the prompt")] = 0,
    model: Annotated[
        str | None, typer.Option(help="also show the tokens of this model's tokenizer", autocompletion=complete_models)
    ] = None,
    item: Annotated[str | None, typer.Option(help="the item's id; default: the first")] = None,
    seed: Annotated[int, typer.Option(help="for drawing the examples")] = 0,
    template: Annotated[str, typer.Option(help="which of the task's prompts")] = "default",
    shots_mode: Annotated[str, typer.Option(help="per-item examples, or one fixed set for all")] = "per-item",
    control: Annotated[str, typer.Option(help="the examples with random-labels, or in another order: order-1")] = "",
    task_dir: TaskDir = None,
) -> None:
    """Show the exact prompt of an item, and its tokens."""
    from gpteval.cli.showing import show_prompt

    show_prompt(task, shots, model, item, seed, template, shots_mode, control, tuple(task_dir or ()))


def samples(
    run: Annotated[Path, typer.Argument(help="the run's folder")],
    model: Annotated[str, typer.Option(help="the model's name")],
    task: Annotated[str, typer.Option(help="the task's name")],
    shots: Annotated[int | None, typer.Option(help="which number of examples, when there are several")] = None,
    limit: Annotated[int | None, typer.Option(help="at most this many")] = None,
    jsonl: Annotated[bool, typer.Option("--jsonl", help="one JSON object a line")] = False,
    as_json: Json = False,
) -> None:
    """Print a run's records: prompts, choices, log-probs, generated text, metrics."""
    from gpteval.cli.showing import show_samples

    show_samples(run, model, task, shots, limit, "json" if as_json else "jsonl" if jsonl else "text")

"""Conclude: compare models, place one, and report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gpteval.cli.completion import complete_models, complete_tasks
from gpteval.cli.console import command_line, document_only, resumable, say
from gpteval.cli.option_groups import WeightsAs
from gpteval.cli.options import Json, Out, TaskDir, Tokenizer
from gpteval.core.errors import UsageError


def compare(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="folders of runs; later ones win")],
    baseline: Annotated[str | None, typer.Option(help="compare every other model with this one; default: all")] = None,
    metric: Annotated[str | None, typer.Option(help="this metric instead of each task's primary one")] = None,
    common_items: Annotated[
        bool, typer.Option("--common-items", help="over the items that neither model had to cut for its window")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="also where prompts or data differ")] = False,
    format: Annotated[str, typer.Option(help="text, md, csv, latex or json")] = "text",
    gate: Annotated[
        list[str] | None,
        typer.Option(
            help="exit 1 unless '[MODEL:]TASK[@SHOTS]>=VALUE' (or <=) of this or every model; may be repeated"
        ),
    ] = None,
    gate_by: Annotated[
        str, typer.Option(help="what a gate holds: 'value', as seen, or 'interval', its 95 % end on the bad side")
    ] = "value",
    no_worse_than: Annotated[
        str | None,
        typer.Option(help="exit 1 unless every difference's 95 % interval shows no model worse than this one"),
    ] = None,
    margin: Annotated[
        float, typer.Option(min=0.0, help="points (of a ratio, percent) that do not matter: fine to lose, else alike")
    ] = 0.0,
    side: Annotated[
        list[str] | None,
        typer.Option(help="'NAME=MODEL,MODEL,...', such as trainings of one recipe: held against each other, in order"),
    ] = None,
    anytime: Annotated[
        bool, typer.Option("--anytime", help="intervals and e-values that may be looked at while a run still grows")
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="for resamples and permutations")] = 0,
    as_json: Json = False,
) -> None:
    """Say how models and generations differ on the same items, and whether that is more than noise."""
    from gpteval.cli.comparing import compare_command

    options = (
        baseline,
        metric,
        common_items,
        force,
        "json" if as_json else format,
        gate or (),
        gate_by,
        no_worse_than,
        margin,
        side or (),
        anytime,
        seed,
    )
    raise typer.Exit(compare_command(runs, *options))


def place(
    target: Annotated[list[str], typer.Argument(metavar="MODEL|RUN...", help="one model, or folders of runs")],
    model: Annotated[str | None, typer.Option(help="of a run: this one instead of those of your own")] = None,
    against: Annotated[
        str,
        typer.Option(
            help="of a model: known ones to run beside it, such as nano or gpt2", autocompletion=complete_models
        ),
    ] = "",
    tasks: Annotated[
        str | None,
        typer.Option(
            help="of a model: what to run; default: eight much published tasks", autocompletion=complete_tasks
        ),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="of a model: items a task")] = 200,
    out: Out = None,
    task_dir: TaskDir = None,
    tokenizer: Tokenizer = "",
    as_json: Json = False,
    *,
    weights: WeightsAs,
) -> None:
    """Say where your model stands between the known generations, by pairs, or by published numbers."""
    from gpteval.cli.placing import place_command, run_for_placing

    with resumable(), document_only(as_json):
        load = weights.load(tokenizer=tokenizer)
        runs, code = run_for_placing(target, against, tasks, limit, out, load, task_dir or (), command_line())
    place_command(runs, model, as_json)
    raise typer.Exit(code)


def report(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="folders of runs; later ones win")],
    out: Annotated[
        Path | None, typer.Option(help="the HTML file; default: report.html in the first run's folder")
    ] = None,
    kind: Annotated[str, typer.Option(help="a folder of reports/")] = "leaderboard",
    form: Annotated[
        str, typer.Option("--format", help="html; csv, md, latex or json for a table, on stdout or in --out")
    ] = "html",
    full: Annotated[bool, typer.Option("--full", help="every result, not the leaderboard; not for html")] = False,
    as_json: Json = False,
) -> None:
    """Make one HTML file of one or more runs, or a table of their results."""
    from gpteval.cli.reporting import table_command
    from gpteval.report import build_report

    if as_json:
        form = "json"
    if form != "html":
        table_command(runs, form, out, full)
        return
    if full:
        raise UsageError("--full is for tables", "name one with --format: the HTML file has every result anyway")
    say(str(build_report(runs, out or runs[0] / "report.html", kind=kind)))

"""``gpteval table``: the scores of runs as a table, for a terminal or a paper."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from gpteval.cli.console import print_lines, say
from gpteval.cli.options import Json, names, numbers
from gpteval.core.errors import UnknownNameError

FORMATS = ("text", "md", "latex", "csv", "json")


def table(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="folders of runs; later ones win")],
    form: Annotated[
        str, typer.Option("--format", help="text, md, latex (for booktabs); csv or json: a row a score, all digits")
    ] = "text",
    tasks: Annotated[str, typer.Option(help="these alone: names or families, by commas")] = "",
    models: Annotated[str, typer.Option(help="these alone, by commas")] = "",
    shots: Annotated[str | None, typer.Option(help="these numbers of examples alone, by commas")] = None,
    metric: Annotated[str, typer.Option(help="this one in the place of each task's own, where a task has it")] = "",
    interval: Annotated[str, typer.Option(help="half: ± half of the 95 % interval; range: its ends; or none")] = "half",
    as_json: Json = False,
) -> None:
    """Print the scores of runs as a table.

    With intervals and footnotes, for a terminal or a paper.
    """
    from gpteval.cli.score_console import terminal_table
    from gpteval.report import score_texts
    from gpteval.report.score_table import score_table
    from gpteval.store.runs import read_runs

    form = "json" if as_json else form
    if form not in FORMATS:
        raise UnknownNameError("format", form, FORMATS, f"one of {', '.join(FORMATS)}")
    made = score_table(
        read_runs(runs),
        tasks=names(tasks),
        models=names(models),
        shots=numbers(shots) or (),
        metric=metric,
        interval=interval,
    )
    if form == "text":
        print_lines(terminal_table(made, sys.stdout))
        return
    write = {"md": score_texts.as_markdown, "latex": score_texts.as_latex, "csv": score_texts.as_csv}
    say(write.get(form, score_texts.as_json)(made).rstrip("\n"))

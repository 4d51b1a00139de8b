"""``gpteval report``: one file of runs, of any kind; or the leaderboard, or every result, as a table."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gpteval.cli.console import say
from gpteval.cli.options import Json
from gpteval.core.errors import OutputError, UsageError

ITEMS = "20"
LEADERBOARD = "leaderboard"


def report(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="folders of runs; later ones win")],
    out: Annotated[
        Path | None, typer.Option(help="the file; default: report.html, or KIND.md, in the first run's folder")
    ] = None,
    kind: Annotated[
        str,
        typer.Option(
            help="leaderboard; compare for two models in depth; card for a model card; or a folder with a "
            "template.html or .md"
        ),
    ] = LEADERBOARD,
    models: Annotated[str, typer.Option(help="these models alone, by commas; of a page or card")] = "",
    form: Annotated[
        str, typer.Option("--format", help="html; csv, md, latex or json for a table, on stdout or in --out")
    ] = "html",
    full: Annotated[bool, typer.Option("--full", help="every result, not the leaderboard; not for html")] = False,
    samples_in_report: Annotated[
        str, typer.Option(help="items a task whose prompts and outputs the HTML file has: a number, or all")
    ] = ITEMS,
    split: Annotated[
        bool, typer.Option("--split", help="items in a folder beside the page, read when they are looked at")
    ] = False,
    figures: Annotated[
        Path | None, typer.Option(help="a folder for all figures, as SVG and PDF for a paper, instead of a page")
    ] = None,
    as_json: Json = False,
) -> None:
    """Make one page of runs; or a model card, or figures.

    A page is one file. Also a table of all results (--format), or every figure (--figures).
    """
    from gpteval.report import build_report
    from gpteval.report.report_kinds import file_name

    if figures is not None:
        given = (out, full, as_json, split, kind, form, samples_in_report, models)
        if given != (None, False, False, False, LEADERBOARD, "html", ITEMS, ""):
            raise UsageError("--figures stands alone", "make the page, the card or the table by a command of its own")
        from gpteval.report.paper_figures import write_figures

        say("\n".join(map(str, write_figures(runs, figures))))
        return
    if as_json:
        form = "json"
    items = None if samples_in_report == "all" else _count(samples_in_report)
    if form != "html":
        if samples_in_report != ITEMS:
            raise UsageError("--samples-in-report is for html", "a table has no items: gpteval samples lists them")
        if split:
            raise UsageError("--split is for a page", "a table has no items: gpteval samples lists them")
        if models:
            raise UsageError("--models is for a page or card", "a table has a column with the models: choose there")
        if kind != LEADERBOARD:
            raise UsageError(f"--format {form} has no kinds", "leave --kind or --format out")
        _table(runs, form, out, full)
        return
    if full:
        raise UsageError("--full is for tables", "name one with --format: the HTML file has every result anyway")
    named = [name.strip() for name in models.split(",") if name.strip()]
    if models and not named:
        raise UsageError("--models names no model", "such as --models gpt2,gpt2-xl")
    name = file_name(kind)
    if split and not name.endswith(".html"):
        raise UsageError("--split is for a page", f"{name} has no items")
    say(str(build_report(runs, out or runs[0] / name, kind=kind, samples=items, models=named, split=split)))


def _count(text: str) -> int:
    """Raises UsageError."""
    if not (text.isascii() and text.isdigit()):
        raise UsageError(f"--samples-in-report takes a number or all, not {text!r}")
    return int(text)


def _table(runs: list[Path], form: str, out: Path | None, full: bool) -> None:
    """Write the table, or print it. Raises OutputError, and what ``export`` raises."""
    from gpteval.core.atomic import write_whole
    from gpteval.report.export import export

    table = export(runs, form, full=full)
    if out is None:
        say(table.rstrip("\n"))
        return
    if out.exists():
        raise OutputError(f"{out} already exists", "name another file")
    try:
        write_whole(out, table)
    except OSError as error:
        raise OutputError(f"cannot write {out}: {error.strerror}", "free some space, or name another") from error
    say(str(out))

"""``gpteval lock``: the revisions that a run used, in a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gpteval.cli.console import say
from gpteval.cli.options import Json


def lock(
    run: Annotated[Path, typer.Argument(help="the run's folder")],
    out: Annotated[Path, typer.Option(help="the file to write")] = Path("gpteval.lock"),
    as_json: Json = False,
) -> None:
    """Write down the revisions that a run is to insist on.

    Those of models and data that a run used, for run --locked.
    """
    from gpteval.run.lock import write_lock

    count = write_lock(run, out)
    if as_json:
        say(out.read_text(encoding="utf-8").rstrip("\n"))
    else:
        say(f"{count} models and tasks are locked in {out}; insist on them with: gpteval run --locked {out}")

"""``gpteval worker``: computes for a run that hands out its work through a folder."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from gpteval.cli.console import resumable, say
from gpteval.cli.option_groups import Weights


def worker(
    run: Annotated[Path, typer.Argument(help="the folder of a run with --executor folder")],
    wait: Annotated[float, typer.Option(min=0.0, help="seconds without work, then it leaves")] = 3600.0,
    *,
    weights: Weights,
) -> None:
    """Compute what a run hands out through its folder.

    On this or another machine, until the run ends.
    """
    from gpteval.run.executors.folder_worker import work

    with resumable():
        done = work(run, weights.load(), wait=wait, tell=lambda text: say(text, sys.stderr))
    say(f"{done} parts were computed here", sys.stderr)

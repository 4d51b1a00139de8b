"""``gpteval worker``: computes for a run that hands out its work through a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gpteval.cli.console import document_only, say
from gpteval.cli.interrupts import resumable
from gpteval.cli.option_groups import Told, Weights
from gpteval.cli.options import Json
from gpteval.cli.voice import tell
from gpteval.core.show import counted
from gpteval.core.strict import strict_json


def worker(
    run: Annotated[Path, typer.Argument(help="the folder of a run with --executor folder")],
    wait: Annotated[float, typer.Option(min=0.0, help="seconds without work, then it leaves")] = 3600.0,
    as_json: Json = False,
    *,
    weights: Weights,
    told: Told,
) -> None:
    """Compute what a run hands out through its folder.

    On this or another machine, until the run ends.
    """
    from gpteval.run.executors.folder_worker import work

    with resumable(), document_only(as_json):
        done = work(run, weights.load(), wait=wait, tell=tell)
    if as_json:
        say(strict_json({"parts": done}, 1))
    tell(f"{counted(done, 'part')} computed here", "done", parts=done)

"""``gpteval rescore``: further metrics for a run that is there."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gpteval.cli.console import say
from gpteval.cli.options import Json, TaskDir, names
from gpteval.cli.voice import tell
from gpteval.core.errors import UsageError
from gpteval.core.show import counted
from gpteval.core.strict import strict_json


def rescore(
    run: Annotated[Path, typer.Argument(help="the run's folder")],
    metrics: Annotated[str, typer.Option(help="names of gpteval's metrics of choices, by commas")],
    task_dir: TaskDir = None,
    as_json: Json = False,
) -> None:
    """Add metrics to a run out of its samples, with no model.

    What a run with --metrics would have written, to the byte.
    """
    from gpteval.run.rescore import rescore as rescored

    asked = names(metrics)
    if not asked:
        raise UsageError("no metrics named", "for example --metrics bpb,prob")
    made = rescored(run, asked, lambda line: tell(line, "warning"), task_dir or ())
    if as_json:
        say(strict_json({"results": made, "metrics": list(asked)}, 1))
    tell(f"{counted(made, 'result')} added to {run / 'results.json'}", "done")
    if made:
        tell(f"look: gpteval table {run} --metric {asked[0]}; gpteval compare {run} --metric {asked[0]}")

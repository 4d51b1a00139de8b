"""``gpteval import``: logs of other harnesses as a run's folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gpteval.cli.console import command_line, say
from gpteval.cli.options import Json
from gpteval.cli.voice import tell
from gpteval.core.show import counted
from gpteval.core.strict import strict_json


def import_(
    logs: Annotated[list[Path], typer.Argument(metavar="LOG...", help="files or folders that another harness wrote")],
    out: Annotated[Path, typer.Option(help="the run's folder")],
    as_json: Json = False,
) -> None:
    """Write logs of other harnesses as a run's folder.

    Compare, report, table, samples and place take such a log as it is, too; what is in it was not run here, and is
    marked so.
    """
    from gpteval.store.logged import import_logs

    made = import_logs(logs, out, command_line())
    if as_json:
        say(strict_json({"results": made, "folder": str(out)}, 1))
    tell(f"{counted(made, 'result')} written to {out / 'results.json'}", "done")
    tell(f"look: gpteval table {out}; gpteval compare {out}; gpteval report {out}")

"""``gpteval view``: a page on this machine with the runs of a folder, those under way too."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gpteval.cli.console import say
from gpteval.cli.options import Json
from gpteval.core.strict import strict_json


def view(
    runs: Annotated[
        list[Path] | None, typer.Argument(metavar="[RUNS]...", help="runs, or folders of runs; default: runs")
    ] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="to listen on, 0 for any that is free")] = 0,
    open_it: Annotated[bool, typer.Option("--open", help="open the page in the browser")] = False,
    as_json: Json = False,
) -> None:
    """Follow runs and read reports in a browser.

    On a page of this machine, which nobody else can open.
    """
    import sys
    import webbrowser

    from gpteval.view.server import ViewServer

    server = ViewServer(runs or [Path("runs")], port)
    say(strict_json({"address": server.address}) if as_json else server.address)
    say("Only this machine can open it. Ctrl-C ends it.", sys.stderr)
    if open_it:
        webbrowser.open(server.address)
    try:
        server.serve_forever()
    except KeyboardInterrupt:  # how it is meant to end
        return
    finally:
        server.server_close()

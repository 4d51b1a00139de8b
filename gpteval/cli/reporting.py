"""``gpteval report --format``: the leaderboard or every result as a table, on stdout or in a file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from gpteval.cli.console import say
from gpteval.core.atomic import write_whole
from gpteval.core.errors import OutputError
from gpteval.report.export import export


def table_command(runs: Sequence[Path], form: str, out: Path | None, full: bool) -> None:
    """Write the table, or print it. Raises OutputError, and what ``export`` raises."""
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

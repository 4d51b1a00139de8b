"""``gpteval status``: how far a run is, what failed and why, and what to do next."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gpteval.cli.console import say
from gpteval.cli.options import Json
from gpteval.cli.rate import duration, rate
from gpteval.core.errors import OutputError
from gpteval.core.strict import strict_json

if TYPE_CHECKING:
    from gpteval.store.progress import State

SHOWN = 3  # units of a cause


def status(run: Annotated[Path, typer.Argument(help="a run's folder")], as_json: Json = False) -> None:
    """Say how far a run is, and what failed and why."""
    from gpteval.store.documents import read_document
    from gpteval.store.folder import is_written_to
    from gpteval.store.progress import read_progress

    state = read_progress(run)
    has_results = (run / "results.json").is_file()
    if state is None and not has_results:
        raise OutputError(f"{run} is not the folder of a run", "give the folder that gpteval run wrote to")
    document = read_document(run / "results.json") if has_results else {}
    running = is_written_to(run)
    failures = [one for one in document.get("failures") or [] if not one.get("unavailable")]
    made = sum(bool(row.get("primary")) for row in document.get("results") or [])
    if as_json:
        left = state.seconds_left if state and running else None
        document = {"running": running, "results": made, "failures": failures, "seconds_left": left}
        say(strict_json(document | {"progress": state and asdict(state)}, 1))
        return
    for line in _lines(run, state, running, made, failures):
        say(line)


def _lines(run: Path, state: State | None, running: bool, made: int, failures: list[dict[str, Any]]) -> list[str]:
    from gpteval.store.progress import causes

    lines = []
    if state is not None:
        word = f"running (process {state.process})" if running else "ended" if state.ended else "stopped in the middle"
        lines.append(f"{run}: {word}; {state.finished} of {state.units} done, {state.failed} of them failed")
        if running:
            lines.append(f"  at {state.at or 'the beginning'}")
        if state.done:
            lines.append(f"  {rate(state)}" if running else f"  {state.done:,} tokens in {duration(state.seconds)}")
    lines.append(f"{made} results in {run / 'results.json'}")
    for cause, units in causes(failures).items():
        more = f" and {len(units) - SHOWN} more" if len(units) > SHOWN else ""
        lines.append(f"failed: {', '.join(units[:SHOWN])}{more}")
        lines += [f"  {line.strip()}" for line in cause.splitlines()]
    if failures and not running:
        lines.append("mend the causes and run the same command with --retry-failed")
    elif state is not None and not (running or state.ended):
        lines.append("run the same command again: it goes on where it stopped")
    return lines

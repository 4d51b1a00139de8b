"""Which runs there are below some folders, and how far each is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from gpteval.core.errors import GptevalError, UsageError
from gpteval.core.text import printable, without_paths
from gpteval.report.leaderboard import show, show_interval
from gpteval.store.documents import read_document
from gpteval.store.folder import is_written_to
from gpteval.store.progress import FILE, State, read_progress

RESULTS = "results.json"


def found_runs(places: Sequence[Path]) -> dict[str, Path]:
    """The runs among ``places`` and directly below them, by a name that tells them apart; the latest first.

    A name stays a run's, whichever is the latest. Raises UsageError for a place that is no folder, or cannot be read.
    """
    folders: list[Path] = []
    for place in places:
        try:
            folders += [folder for folder in (place, *sorted(place.iterdir())) if _when(folder) is not None]
        except OSError as error:
            way_out = "give folders of runs, or a folder that holds some"
            raise UsageError(f"{place} is no folder that can be read: {error.strerror}", way_out) from error
    named: dict[str, Path] = {}
    for folder in dict.fromkeys(folders):
        name = plain = printable(folder.resolve().name)
        count = 1
        while name in named:
            count += 1
            name = f"{plain} ({count})"
        named[name] = folder
    return dict(sorted(named.items(), key=lambda run: -(_when(run[1]) or 0.0)))


def told(name: str, run: Path, *, whole: bool = False) -> dict[str, Any]:
    """How far a run is, for the page; ``whole``: with its results and failures."""
    try:
        document = read_document(run / RESULTS) if (run / RESULTS).is_file() else {}
        return _told(name, run, document, read_progress(run), whole)
    except (GptevalError, TypeError, ValueError) as error:  # the others are to be listed all the same
        why = error.message if isinstance(error, GptevalError) else f"its files are damaged: {error}"
        return _told(name, run, {"failures": [{"error": without_paths(why)}]}, None, whole)


def _told(name: str, run: Path, document: Mapping[str, Any], state: State | None, whole: bool) -> dict[str, Any]:
    running = is_written_to(run)
    rows = [row for row in document.get("results") or [] if isinstance(row, dict) and row.get("primary")]
    failures = [one for one in document.get("failures") or [] if isinstance(one, dict)]
    failed = [one for one in failures if not one.get("unavailable")]
    units = state.units if state else len(rows)
    found: dict[str, Any] = {
        "name": name,
        "running": running,
        "ended": state.ended if state else True,
        "results": len(rows),
        "units": max(units, len(rows)),
        "failed": len(failed),
        "models": sorted({str(row.get("model")) for row in rows}),
        "began": state.began if state else "",
        "at": state.at if state and running else "",
        "rate": state.rate if state and running else 0.0,
        "seconds_left": state.seconds_left if state and running else None,
    }
    if whole:
        found["rows"] = [_row(row) for row in rows]
        found["failures"] = [{key: str(one.get(key, "")) for key in ("model", "task", "error")} for one in failed]
    return found


def _row(row: dict[str, Any]) -> dict[str, Any]:
    metric = str(row.get("metric"))
    return {
        "model": str(row.get("model")),
        "task": str(row.get("task")),
        "shots": row.get("shots"),
        "metric": metric,
        "value": show(row.get("value"), metric),
        "interval": show_interval({**row, "metric": metric}),
        "n": row.get("n"),
    }


def _when(folder: Path) -> float | None:
    """When a run's folder was written to last; None for what is no run's, or cannot be read."""
    times = []
    for name in (RESULTS, FILE):
        with suppress(OSError):
            times.append((folder / name).stat().st_mtime)
    return max(times, default=None)

"""Which runs there are below some folders, and how far each is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gpteval.core.errors import GptevalError, UsageError
from gpteval.core.text import printable
from gpteval.report.leaderboard import show, show_interval
from gpteval.store.documents import read_document
from gpteval.store.folder import is_written_to
from gpteval.store.progress import FILE, read_progress

RESULTS = "results.json"


def found_runs(places: Sequence[Path]) -> dict[str, Path]:
    """The runs among ``places`` and directly below them, by a name that tells them apart; the latest first.

    Raises UsageError for a place that is no folder.
    """
    folders: list[Path] = []
    for place in places:
        if not place.is_dir():
            raise UsageError(f"{place} is no folder", "give folders of runs, or a folder that holds some")
        folders += [folder for folder in (place, *sorted(place.iterdir())) if _is_run(folder)]
    folders = sorted(dict.fromkeys(folders), key=lambda folder: -_when(folder))
    named: dict[str, Path] = {}
    for folder in folders:
        name = plain = printable(folder.resolve().name)
        count = 1
        while name in named:
            count += 1
            name = f"{plain} ({count})"
        named[name] = folder
    return named


def told(name: str, run: Path, *, whole: bool = False) -> dict[str, Any]:
    """How far a run is, for the page; ``whole``: with its results and failures."""
    state, running = read_progress(run), is_written_to(run)
    try:
        document = read_document(run / RESULTS) if (run / RESULTS).is_file() else {}
    except GptevalError as error:
        document = {"failures": [{"error": error.message}]}
    rows = [row for row in document.get("results") or [] if isinstance(row, dict) and row.get("primary")]
    failures = [one for one in document.get("failures") or [] if isinstance(one, dict)]
    failed = [one for one in failures if not one.get("unavailable")]
    units = state.units if state else len(rows)
    found: dict[str, Any] = {
        "name": name,
        "running": running,
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


def _is_run(folder: Path) -> bool:
    return folder.is_dir() and any((folder / name).is_file() for name in (RESULTS, FILE))


def _when(folder: Path) -> float:
    times = [(folder / name).stat().st_mtime for name in (RESULTS, FILE) if (folder / name).is_file()]
    return max(times, default=0.0)

"""What one model was asked on one task, and what it answered, out of a run's folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gpteval.core.errors import UnknownNameError, UsageError
from gpteval.store.documents import read_document, read_samples
from gpteval.store.logged import as_run


def rows_of(run: Path, model: str, task: str, shots: int | None) -> list[dict[str, Any]]:
    """The rows of one sample file. Raises UsageError where the run has none, or several, with what there is."""
    run = as_run(run)
    if not (run / "manifest.json").is_file():
        raise UsageError(f"{run} is not the folder of a run: it has no manifest.json")
    listed = read_document(run / "manifest.json").get("samples") or []
    models = dict.fromkeys(one["model"] for one in listed)
    if model not in models:
        raise UnknownNameError("model", model, models, f"{run} has {', '.join(models) or 'no samples'}")
    tasks = dict.fromkeys(one["task"] for one in listed if one["model"] == model)
    if task not in tasks:
        raise UnknownNameError("task", task, tasks, f"{run} has of {model} {', '.join(tasks)}")
    files = {s.get("shots", 0): s["file"] for s in listed if (s["model"], s["task"]) == (model, task)}
    if shots is None and len(files) > 1:
        known = ", ".join(map(str, sorted(files)))
        raise UsageError(f"{model} was asked {task} with several numbers of examples", f"--shots is one of {known}")
    if shots is not None and shots not in files:
        known = ", ".join(map(str, sorted(files)))
        raise UsageError(f"{model} was not asked {task} with {shots} examples", f"--shots is one of {known}")
    return read_samples(run / "samples" / Path(files[next(iter(files)) if shots is None else shots]).name)

"""``gpteval samples``: the stored records of a model on a task."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from gpteval.cli.console import say
from gpteval.cli.options import Json
from gpteval.core.errors import UsageError
from gpteval.core.strict import strict_json


def samples(
    run: Annotated[Path, typer.Argument(help="the run's folder")],
    model: Annotated[str, typer.Option(help="the model's name")],
    task: Annotated[str, typer.Option(help="the task's name")],
    shots: Annotated[int | None, typer.Option(help="which number of examples, when there are several")] = None,
    limit: Annotated[int | None, typer.Option(help="at most this many")] = None,
    jsonl: Annotated[bool, typer.Option("--jsonl", help="one JSON object a line")] = False,
    as_json: Json = False,
) -> None:
    """Print what models were asked, and what they answered.

    A run's records: prompts, choices, log-probs, generated text, metrics.
    """
    form = "json" if as_json else "jsonl" if jsonl else "text"
    rows = []
    for row in _rows_of(run, model, task, shots)[:limit]:
        row["metrics"] = row.pop("values")
        row.pop("stats")
        rows.append({key: value for key, value in row.items() if value is not None})
    if form == "json":
        say(strict_json(rows, 1))
        return
    for row in rows:
        if form == "jsonl":
            say(strict_json(row))
            continue
        scores = ", ".join(f"{name} {value:.4g}" for name, value in row["metrics"].items() if value is not None)
        say(f"--- item {row['item_id']}: {scores}")
        say(row["prompt"])
        for number, text in enumerate(row.get("choices", [])):
            marks = ("*" if number == row["gold"] else " ") + (">" if number == row.get("prediction") else " ")
            logprob = row["logprobs"][number] if "logprobs" in row else None
            score = f"{logprob:9.3f}" if logprob is not None else ""
            say(f"{marks}{score} {text!r}")
        for key in ("generated", "references", "error"):
            if key in row:
                say(f"{key}: {row[key]!r}")


def _rows_of(run: Path, model: str, task: str, shots: int | None) -> list[dict[str, Any]]:
    """The rows of one sample file. Raises UsageError when the run has none for this model and task."""
    from gpteval.store.documents import read_document, read_samples

    if not (run / "manifest.json").is_file():
        raise UsageError(f"{run} is not the folder of a run: it has no manifest.json")
    listed = read_document(run / "manifest.json").get("samples") or []
    found = [s for s in listed if s["model"] == model and s["task"] == task and shots in (None, s.get("shots", 0))]
    if len(found) != 1:
        have = sorted({f"{s['model']} on {s['task']} ({s.get('shots', 0)}-shot)" for s in listed})
        problem = "no samples" if not found else "several sample files"
        raise UsageError(f"{run} has {problem} for {model} on {task}", "it has " + "; ".join(have))
    return read_samples(run / "samples" / Path(found[0]["file"]).name)

"""Reading run folders: results, failures, manifests, samples."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gpteval.core.documents import read_document, sample_file
from gpteval.core.errors import UsageError

_NUMBERS = ("value", "ci_low", "ci_high", "stderr", "chance", "n_params", "seconds", "tokens")
_DEFAULTS: dict[str, Any] = {
    "generation": "other",
    "family": "other",
    "shots": 0,
    "higher_is_better": True,
    "n": 0,
    "coverage": 1.0,
    "truncated": 0,
    "notes": (),
}


@dataclass(frozen=True)
class Loaded:
    """One or more runs as one: rows of results.json, failures, manifests, and remarks on the merging.

    ``samples`` maps (task, shots) to each model's file.
    """

    names: tuple[str, ...]
    rows: tuple[Mapping[str, Any], ...]
    failures: tuple[Mapping[str, str], ...]
    manifests: tuple[Mapping[str, Any], ...]
    samples: Mapping[tuple[str, int], Mapping[str, Path]]
    remarks: tuple[str, ...]


def load_runs(runs: Sequence[Path]) -> Loaded:
    """Read and merge run folders; of a result that two have, the later one counts.

    Keys that a row lacks get a default, so that the files of another version can be shown too.
    """
    rows: dict[tuple[Any, ...], dict[str, Any]] = {}
    failures: dict[tuple[str, str], str] = {}
    manifests: list[Mapping[str, Any]] = []
    samples: dict[tuple[str, int], dict[str, Path]] = {}
    remarks: list[str] = []
    for run in runs:
        if not (run / "results.json").is_file():
            raise UsageError(f"{run} is no run's folder: it has no results.json", "give the folder of a gpteval run")
        document = read_document(run / "results.json", members=False)
        found = [row for raw in document.get("results") or [] if (row := _row(raw)) is not None]
        if len(found) < len(document.get("results") or []):
            remarks.append(f"{len(document['results']) - len(found)} rows of {run.resolve().name} name no result")
        keys = {(r["model"], r["task"], r["shots"], r["metric"]): r for r in found}
        if replaced := len(keys.keys() & rows.keys()):
            verb = "result was" if replaced == 1 else "results were"
            remarks.append(f"{replaced} {verb} in several runs: those of {run.resolve().name} are shown")
        rows |= keys
        for model, task in {(r["model"], r["task"]) for r in found}:
            failures.pop((model, task), None)  # an earlier run's failure that was mended
        for failure in filter(lambda one: isinstance(one, dict), document.get("failures") or []):
            failures[failure.get("model", "?"), failure.get("task", "?")] = str(failure.get("error", "no cause given"))
        manifest = read_document(run / "manifest.json") if (run / "manifest.json").is_file() else {}
        remarks += _changed(manifests, manifest)
        models = (manifest.get("config") or {}).get("until_decided")
        if isinstance(models, list) and models:
            remarks.append(
                f"{run.resolve().name} took items until {' and '.join(map(str, models))} were told apart: differences "
                "allow for that, the intervals of single models do not"
            )
        manifests.append(manifest)
        for model, task, shots, path in _samples(run, manifest, found):
            samples.setdefault((task, shots), {})[model] = path
    if not rows:
        raise UsageError("these runs have no results", "see their failures in results.json")
    _mark_primary(rows.values())
    names = tuple(run.resolve().name for run in runs)
    listed = tuple({"model": m, "task": t, "error": e} for (m, t), e in failures.items())
    return Loaded(names, tuple(rows.values()), listed, tuple(manifests), samples, tuple(remarks))


def parts_of(rows: Iterable[Mapping[str, Any]]) -> dict[tuple[str, int], str]:
    """The tasks, with their numbers of examples, for which a benchmark stands in one of ``rows``; which one."""
    return {(row["task"], row["shots"]): str(row["part_of"]) for row in rows if row.get("part_of")}


def _row(raw: object) -> dict[str, Any] | None:
    if not isinstance(raw, dict) or not all(isinstance(raw.get(k), str) for k in ("model", "task", "metric")):
        return None
    if not isinstance(raw.get("shots", 0), int) or not isinstance(raw.get("notes") or [], list | tuple):
        return None
    row = _DEFAULTS | {key: value for key, value in raw.items() if value is not None}
    for key in _NUMBERS:
        value = row.get(key)
        row[key] = value if isinstance(value, (int, float)) and math.isfinite(value) else None
    if row.get("stale"):
        row["notes"] = [*row["notes"], "stale: the model of this name has other weights by now; run the task again"]
    return row


def _mark_primary(rows: Any) -> None:
    """Where no metric of a task says that it is the primary one, the first is."""
    by_task: dict[tuple[str, str, int], list[dict[str, Any]]] = {}
    for row in rows:
        by_task.setdefault((row["model"], row["task"], row["shots"]), []).append(row)
    for group in by_task.values():
        if not any(row.get("primary") for row in group):
            group[0]["primary"] = True


def _changed(earlier: Sequence[Mapping[str, Any]], manifest: Mapping[str, Any]) -> list[str]:
    """What two runs call by one name although it is not the same."""
    remarks = []
    for kind, facts in (("tasks", ("revision", "version")), ("models", ("fingerprint",))):
        for name, new in (manifest.get(kind) or {}).items():
            for old in (m[kind][name] for m in earlier if name in (m.get(kind) or {})):
                remarks += [
                    f"{name} is not the same in these runs: its {fact} was {old[fact]} and is {new[fact]}"
                    for fact in facts
                    if old.get(fact) and new.get(fact) and old[fact] != new[fact]
                ]
    return list(dict.fromkeys(remarks))


def _samples(
    run: Path, manifest: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]
) -> list[tuple[str, str, int, Path]]:
    """The samples that the manifest lists, or without a list those that are named like the results."""
    listed = [
        (s["model"], s["task"], s.get("shots", 0), run / "samples" / Path(s["file"]).name)
        for s in manifest.get("samples") or []
    ]
    if not listed:
        units = {(r["model"], r["task"], r["shots"]) for r in rows}
        listed = [(*unit, run / sample_file(*unit)) for unit in units]
    return [entry for entry in listed if entry[3].is_file()]

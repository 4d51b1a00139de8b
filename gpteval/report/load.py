"""Reading run folders: results, failures, manifests, samples."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gpteval.core.errors import StoreError, UsageError

SAMPLES = 20  # items a task whose prompts and outputs are shown


@dataclass(frozen=True)
class Loaded:
    """One or more runs as one: rows of results.json, failures, manifests, and remarks on the merging."""

    names: tuple[str, ...]
    rows: tuple[Mapping[str, Any], ...]
    failures: tuple[Mapping[str, Any], ...]
    manifests: tuple[Mapping[str, Any], ...]
    samples: Mapping[tuple[str, int], Mapping[str, Path]]
    remarks: tuple[str, ...]


def load_runs(runs: Sequence[Path]) -> Loaded:
    """Read and merge run folders; of a result that two have, the later one counts."""
    rows: dict[tuple[Any, ...], Mapping[str, Any]] = {}
    failures: list[Mapping[str, Any]] = []
    manifests: list[Mapping[str, Any]] = []
    samples: dict[tuple[str, int], dict[str, Path]] = {}
    remarks: list[str] = []
    for run in runs:
        if not (run / "results.json").is_file():
            raise UsageError(f"{run} is no run's folder: it has no results.json", "give the folder of a gpteval run")
        document = _read(run / "results.json")
        manifest = _read(run / "manifest.json") if (run / "manifest.json").is_file() else {}
        replaced = 0
        for row in document.get("results", []):
            key = (row["model"], row["task"], row["shots"], row["metric"])
            replaced += key in rows
            rows[key] = row
        if replaced:
            remarks.append(f"{replaced} results were in several runs: those of {run.resolve().name} are shown")
        failures += document.get("failures", [])
        manifests.append(manifest)
        for sample in manifest.get("samples", []):
            path = run / sample["file"]
            if path.is_file():
                samples.setdefault((sample["task"], sample["shots"]), {})[sample["model"]] = path
    if not rows:
        raise UsageError("these runs have no results", "see their failures in results.json")
    names = tuple(run.resolve().name for run in runs)
    return Loaded(names, tuple(rows.values()), tuple(failures), tuple(manifests), samples, tuple(remarks))


def _read(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise StoreError(f"{path} cannot be read: {error}", "run the same command again to write it anew") from error
    if not isinstance(document, dict):
        raise StoreError(f"{path} holds no JSON object", "run the same command again to write it anew")
    return document


def read_samples(path: Path, only: Sequence[str] | None = None) -> list[dict[str, Any]]:
    """Rows of a samples file: the first ``SAMPLES`` by item id, or those whose ids are in ``only``."""
    import pyarrow
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path).sort_by("item_id")
        table = table.slice(0, SAMPLES) if only is None else table.filter(pc.field("item_id").isin(list(only)))
        rows: list[dict[str, Any]] = table.to_pylist()
    except (pyarrow.ArrowException, OSError) as error:
        raise StoreError(
            f"{path.name} cannot be read: {error}", "run the same command again to write it anew"
        ) from error
    for row in rows:
        row["values"] = json.loads(row.get("values") or "{}")
    return rows

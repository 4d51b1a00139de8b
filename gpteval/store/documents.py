"""The files of a run, read with their shape checked: what is valid JSON or Parquet need not be a run's."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from gpteval.core.errors import StoreError
from gpteval.core.types import digest

LONGEST = 80  # characters of a model's or task's name in a file name
AGAIN = "run the same command again to write it anew"
# Which keys a document has: their type, and which keys each member of a list has. Missing keys are fine.
RESULTS: Mapping[str, tuple[type, tuple[str, ...]]] = {
    "run": (dict, ()),
    "results": (list, ("model", "task", "metric")),
    "failures": (list, ()),
}
MANIFEST: Mapping[str, tuple[type, tuple[str, ...]]] = {
    "config": (dict, ()),
    "models": (dict, ()),
    "tasks": (dict, ()),
    "samples": (list, ("model", "task", "file")),
}
SHAPES = {"results.json": RESULTS, "manifest.json": MANIFEST}

ResultRow = Mapping[str, Any]  # a row of results.json, with the fields of ``core.outcomes.Result``


def read_document(path: Path, *, members: bool = True) -> dict[str, Any]:
    """A run's ``results.json`` or ``manifest.json``. Raises StoreError when it is damaged or another file.

    ``members``: whether each result, failure and so on must be one; a reader who can leave some out need not ask.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise StoreError(f"{path.name} cannot be read: {error}", AGAIN) from error
    problem = _problem(document, SHAPES[path.name], members)
    if problem:
        raise StoreError(f"{path.name} is not that of a run: {problem}", AGAIN)
    assert isinstance(document, dict)
    return document


def _members(key: str, value: Any) -> Iterable[object]:
    if key in ("run", "config"):
        return ()
    return value.values() if isinstance(value, dict) else value


def _problem(document: object, shape: Mapping[str, tuple[type, tuple[str, ...]]], members: bool) -> str:
    if not isinstance(document, dict):
        return "it holds no JSON object"
    for key, (kind, texts) in shape.items():
        value = document.get(key)
        if value is None:
            continue
        if not isinstance(value, kind):
            return f"{key} is no {'list' if kind is list else 'object'}"
        for member in _members(key, value) if members else ():
            if not isinstance(member, dict):
                return f"{key} holds {member!r:.40}"
            if any(not isinstance(member.get(name), str) for name in texts):
                return f"a member of {key} lacks one of {', '.join(texts)}"
            if not isinstance(member.get("shots", 0), int):
                return f"a member of {key} has {member['shots']!r:.40} as its shots"
            if key == "results" and not isinstance(member.get("notes") or [], list):
                return "a result's notes are no list"
    return ""


def slug(name: str) -> str:
    """A safe file name of at most ``LONGEST`` characters that differs for different names."""
    safe = re.sub(r"[^A-Za-z0-9_.-]+", "-", name).strip(".-")
    return safe if safe == name and len(safe) <= LONGEST else f"{safe[: LONGEST - 17]}-{digest(name)}"


def sample_file(model: str, task: str, shots: int) -> str:
    """Where a unit's samples lie in a run's folder."""
    return f"samples/{slug(model)}__{slug(task)}__{shots}shot.parquet"


def read_samples(
    path: Path, columns: Sequence[str] | None = None, ids: Sequence[str] | None = None
) -> list[dict[str, Any]]:
    """The rows of a file, or those with these item ids; ``values`` and ``stats`` parsed.

    Raises StoreError for a file that is missing, damaged, or no samples file.
    """
    import pyarrow
    import pyarrow.compute
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            table = file.read(columns, use_threads=False)
        if ids is not None:
            table = table.filter(pyarrow.compute.is_in(table["item_id"], pyarrow.array(ids, pyarrow.string())))
        rows: list[dict[str, Any]] = table.to_pylist()
        values, stats = (
            json.loads(f"[{','.join(row.get(name) or '{}' for row in rows)}]")  # far quicker than one by one
            for name in ("values", "stats")
        )
        return [_checked(*of_row) for of_row in zip(rows, values, stats, strict=True)]
    except Exception as error:  # of a garbled file the library raises many kinds
        raise StoreError(f"{path.name} cannot be read: {error}", AGAIN) from error


def read_values(path: Path) -> dict[str, dict[str, float]]:
    """Each item's scores, as ``read_samples`` has them, and far quicker. Raises StoreError as it does."""
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            columns = file.read(["item_id", "values"], use_threads=False).to_pydict()
        values = json.loads(f"[{','.join(text or '{}' for text in columns['values'])}]")
        if not all(isinstance(item, str) for item in columns["item_id"]):
            raise ValueError("a row has no text where one belongs")
        return dict(zip(columns["item_id"], map(_numbers, values), strict=True))
    except Exception as error:  # of a garbled file the library raises many kinds
        raise StoreError(f"{path.name} cannot be read: {error}", AGAIN) from error


def read_statistics(path: Path) -> dict[str, list[Any]]:
    """What a comparison needs of a samples file, by column: item_id, prompt_hash, cluster, truncated, stats, blocks,
    gold, references.

    Raises StoreError as ``read_samples``.
    """
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            known = file.schema_arrow.names
            names = ("item_id", "prompt_hash", "cluster", "truncated", "stats", "blocks", "gold", "references")
            wanted = [name for name in names if name in known]
            columns: dict[str, list[Any]] = file.read(wanted, use_threads=False).sort_by("item_id").to_pydict()
        for name in ("cluster", "blocks", "gold", "references"):
            columns.setdefault(name, [None] * len(columns["item_id"]))
        if any(columns["blocks"]):
            columns["blocks"] = json.loads(f"[{','.join(blocks or 'null' for blocks in columns['blocks'])}]")
        columns["stats"] = json.loads(f"[{','.join(columns['stats'])}]")
        if not all(isinstance(text, str) for name in ("item_id", "prompt_hash") for text in columns[name]):
            raise ValueError("a row has no text where one belongs")
    except Exception as error:  # of a garbled file the library raises many kinds
        raise StoreError(f"{path.name} cannot be read: {error}", AGAIN) from error
    return columns


def _checked(row: dict[str, Any], values: Any, stats: Any) -> dict[str, Any]:
    """A row with its texts, of which those that another version did not write are empty. Raises ValueError."""
    if not isinstance(row["item_id"], str) or not isinstance(row.get("prompt", ""), str):
        raise ValueError("a row has no text where one belongs")
    row["prompt"] = row.get("prompt", "")
    row["values"], row["stats"] = _numbers(values), stats
    return row


def _numbers(values: Mapping[str, Any]) -> dict[str, float]:
    """An object of numbers, without those that are not defined. Raises ValueError or TypeError."""
    return {str(name): float(value) for name, value in dict(values).items() if value is not None}

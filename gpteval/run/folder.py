"""A run's folder: results.json, manifest.json, samples/, the journal. Every file is written whole or not at all."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from gpteval.core.errors import OutputError, StoreError
from gpteval.core.types import Failure, Result, digest

SCHEMA = 1


class RunFolder:
    """The one writer of a run's files. Raises OutputError when the folder cannot be used."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.mkdir(parents=True, exist_ok=True)
            self._lock = open(path / ".lock", "w")  # noqa: SIM115  (held until close)
        except OSError as error:
            raise OutputError(
                f"cannot write to the output folder {path}: {error.strerror}", "choose another with --out"
            ) from error
        try:
            import fcntl

            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except ImportError:  # no such locks on this system
            pass
        except OSError as error:
            raise OutputError(f"another run is writing to {path}", "wait for it, or choose another --out") from error

    def close(self) -> None:
        self._lock.close()

    def write_json(self, name: str, document: Mapping[str, Any]) -> None:
        text = json.dumps(_finite(document), indent=1, ensure_ascii=False, allow_nan=False)
        self.write(name, text.encode("utf-8", "replace") + b"\n")

    def write(self, name: str, data: bytes) -> None:
        """Write a file so that it is there whole, or as it was. Raises StoreError."""
        path = self.path / name
        partial = path.with_name(path.name + ".partial")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with partial.open("wb") as handle:
                handle.write(data)
                handle.flush()
                os.fsync(handle.fileno())
            partial.replace(path)
        except OSError as error:
            partial.unlink(missing_ok=True)
            raise StoreError(
                f"cannot write {name}: {error.strerror}",
                "what was computed is in the journal; mend the cause and run the same command again",
            ) from error

    def read_json(self, name: str) -> dict[str, Any]:
        """The document, or {} when there is none. Raises StoreError when it cannot be understood."""
        path = self.path / name
        if not path.exists():
            return {}
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise StoreError(
                f"{path} cannot be read: {error}", "move it away and run the same command again"
            ) from error
        if not isinstance(document, dict):
            raise StoreError(f"{path} holds no JSON object", "move it away and run the same command again")
        return document


def slug(name: str) -> str:
    """A safe file name that differs for different names."""
    safe = re.sub(r"[^A-Za-z0-9_.-]+", "-", name).strip(".-")
    return safe if safe == name else f"{safe}-{digest(name, size=3)}"


def sample_file(model: str, task: str, shots: int) -> str:
    return f"samples/{slug(model)}__{slug(task)}__{shots}shot.parquet"


class ResultTable:
    """The rows of results.json. A unit's new rows take the place of its old ones; other rows stay."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.rows: list[dict[str, Any]] = list(document.get("results", []))
        self.failures: list[dict[str, Any]] = []

    def add(self, results: Sequence[Result]) -> None:
        new = [asdict(result) for result in results]
        unit = _unit(new[0])
        places = [n for n, row in enumerate(self.rows) if _unit(row) == unit]
        at = places[0] if places else len(self.rows)
        self.rows = [row for row in self.rows if _unit(row) != unit]
        self.rows[at:at] = new

    def mark_stale(self, model: str, fingerprint: str) -> int:
        """Mark the rows of ``model`` that other weights made, and no others; how many there are."""
        rows = [row for row in self.rows if row["model"] == model]
        for row in rows:
            row["stale"] = row.get("fingerprint", "") not in ("", fingerprint)
        return sum(row["stale"] for row in rows)

    def fail(self, failure: Failure) -> None:
        self.failures.append(asdict(failure))

    def document(self, run: Mapping[str, Any]) -> dict[str, Any]:
        return {"schema": SCHEMA, "run": run, "results": self.rows, "failures": self.failures}


def _unit(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return row["model"], row["task"], row["shots"]


def _finite(value: Any) -> Any:
    """JSON has no nan or inf: they become null."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(k): _finite(v) for k, v in value.items()}
    if isinstance(value, Iterable) and not isinstance(value, str | bytes):
        return [_finite(v) for v in value]
    return value

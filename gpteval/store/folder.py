"""A run's folder: results.json, manifest.json, samples/, the journal. Every file is written whole or not at all."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

from filelock import FileLock, Timeout

from gpteval.core.atomic import whole
from gpteval.core.errors import OutputError, StoreError
from gpteval.core.outcomes import Failure, Result
from gpteval.core.own import aside_of, is_json, is_own, refuse_others
from gpteval.core.text import without_paths
from gpteval.store.documents import read_document, sample_file
from gpteval.store.progress import FILE as PROGRESS

SCHEMA = 1
JOURNAL = "journal.sqlite"
ANOTHER = "choose another folder with --out"
PATIENCE = 0.25  # seconds, for the lock


class RunFolder:
    """The one writer of a run's files. Raises OutputError when the folder cannot be used."""

    def __init__(self, path: Path) -> None:
        self.path = path
        # Who only looks whether it is locked (``is_written_to``) is gone at once.
        self._lock = FileLock(path / ".lock", timeout=PATIENCE, poll_interval=PATIENCE / 5, thread_local=False)
        try:
            path.mkdir(parents=True, exist_ok=True)
            self._lock.acquire()
        except Timeout as error:
            raise OutputError(f"another run is writing to {path}", "wait for it, or choose another --out") from error
        except OSError as error:
            raise OutputError(
                f"cannot write to the output folder {path}: {error.strerror}", "choose another with --out"
            ) from error
        try:
            refuse_others([path / name for name in (PROGRESS, JOURNAL)], ANOTHER)
        except OutputError:
            self.close()
            raise

    def close(self) -> None:
        self._lock.release()

    def write_json(self, name: str, document: Mapping[str, Any]) -> None:
        """Write a document, without this machine's paths in any of its texts. Raises OutputError where one of its name
        is not gpteval's own.
        """
        refuse_others([self.path / name], ANOTHER)
        text = json.dumps(_publishable(document), indent=1, ensure_ascii=False, allow_nan=False)
        self.write(name, text.encode("utf-8", "replace") + b"\n")

    def write(self, name: str, data: bytes) -> None:
        """Write a file so that it is there whole, or as it was. Raises StoreError."""
        with self.writing(name) as handle:
            handle.write(data)

    @contextmanager
    def writing(self, name: str) -> Iterator[IO[bytes]]:
        """A file to write, which takes its name when all is written. Raises StoreError."""
        path = self.path / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with whole(path) as partial, partial.open("wb") as handle:
                yield handle
        except OSError as error:
            raise StoreError(
                f"cannot write {name}: {error.strerror}",
                "what was computed is in the journal; mend the cause and run the same command again",
            ) from error

    def read_json(self, name: str, warn: Callable[[str], None]) -> dict[str, Any]:
        """The document, or {} when there is none. One that is damaged is set aside, with a warning. Raises OutputError
        where no run was in the folder, and the document is somebody's own.
        """
        path = self.path / name
        if not path.exists():
            return {}
        if is_json(path) and not (self.path / JOURNAL).exists():
            refuse_others([path], ANOTHER)
        try:
            found = read_document(path)
            if not is_own(path):
                raise StoreError(f"{name} belongs to something else")
            return found
        except StoreError as error:
            aside = aside_of(path)
            try:
                path.replace(aside)
            except OSError as reason:
                raise StoreError(f"{name} is damaged and cannot be moved: {reason.strerror}", error.message) from error
            warn(f"{error.message}; kept as {aside.name}, and what is asked for is written anew from the journal")
            return {}


def is_written_to(path: Path) -> bool:
    """Whether a run is writing to the folder now, as far as this machine can tell."""
    try:
        import fcntl

        with open(path / ".lock", "rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except (ImportError, OSError):
        return False
    return False


class ResultTable:
    """The rows of results.json. A unit's new rows take the place of its old ones; other rows stay.

    ``ranks``: the places of this command's units (model, task, number of examples), so that one which is made late, for
    having failed at first, stands where it would have stood.
    """

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.ranks: dict[tuple[Any, ...], int] = {}
        self.rows: list[dict[str, Any]] = list(document.get("results") or [])
        self.failures: list[dict[str, Any]] = list(document.get("failures") or [])

    def add(self, results: Sequence[Result]) -> None:
        """Take a unit's results; an earlier failure of the unit is mended by them."""
        new = [asdict(result) for result in results]
        unit = _unit(new[0])
        self._forget_failure(unit)
        places = [n for n, row in enumerate(self.rows) if _unit(row) == unit]
        at = places[0] if places else self._place_of(unit)
        self.rows = [row for row in self.rows if _unit(row) != unit]
        self.rows[at:at] = new

    def _place_of(self, unit: tuple[Any, ...]) -> int:
        """Before the first that comes after it; what is no unit (a group's result) after the last of its model."""
        if (rank := self.ranks.get(unit)) is not None:
            later = (n for n, row in enumerate(self.rows) if self.ranks.get(_unit(row), -1) > rank)
            return next(later, len(self.rows))
        return max((n + 1 for n, row in enumerate(self.rows) if row.get("model") == unit[0]), default=len(self.rows))

    def units(self) -> list[tuple[Any, ...]]:
        """Model, task and number of examples of each result; what stands for other tasks is none of its own."""
        wholes = {row.get("part_of") for row in self.rows}
        return list(dict.fromkeys(_unit(row) for row in self.rows if row.get("task") not in wholes))

    def failed_units(self) -> set[tuple[Any, ...]]:
        """Model, task and number of examples of what failed and can be tried again."""
        return {_unit(failure) for failure in self.failures if not failure.get("unavailable")}

    def mark_stale(self, model: str, fingerprint: str) -> int:
        """Mark the rows of ``model`` that other weights made, and no others; how many there are."""
        rows = [row for row in self.rows if row["model"] == model]
        for row in rows:
            row["stale"] = row.get("fingerprint", "") not in ("", fingerprint)
        return sum(row["stale"] for row in rows)

    def mark_parts(self, whole: Result, tasks: Sequence[str]) -> None:
        """Mark the rows of tasks for which ``whole`` stands."""
        for row in self.rows:
            if (row["model"], row.get("shots", 0)) == (whole.model, whole.shots) and row["task"] in tasks:
                row["part_of"] = whole.task

    def fail(self, failure: Failure) -> None:
        """Take a failure; it stays until the unit is done, whatever other commands do in this folder."""
        row = asdict(failure)
        self._forget_failure(_unit(row))
        self.failures.append(row)

    def _forget_failure(self, unit: tuple[Any, ...]) -> None:
        self.failures = [failure for failure in self.failures if _unit(failure) != unit]

    def document(self, run: Mapping[str, Any]) -> dict[str, Any]:
        return {"schema": SCHEMA, "run": run, "results": self.rows, "failures": self.failures}


def list_samples(manifest: dict[str, Any], model: str, task: str, shots: int) -> str:
    """Have the manifest list the samples of a unit once; where they lie in the folder."""
    unit = {"model": model, "task": task, "shots": shots}
    others = [entry for entry in manifest["samples"] if any(entry[key] != value for key, value in unit.items())]
    file = sample_file(model, task, shots)
    manifest["samples"] = [*others, unit | {"file": file}]
    return file


def _unit(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return row.get("model"), row.get("task"), row.get("shots", 0)


def _publishable(value: Any) -> Any:
    """JSON has no nan or inf: they become null. Texts lose this machine's paths."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, str):
        return without_paths(value)
    if isinstance(value, Mapping):
        return {str(k): _publishable(v) for k, v in value.items()}
    if isinstance(value, Iterable) and not isinstance(value, str | bytes):
        return [_publishable(v) for v in value]
    return value

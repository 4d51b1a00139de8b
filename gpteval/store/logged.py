"""A log of another harness as a run's folder: its items' numbers with gpteval's statistics, marked as not run here."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gpteval.core.errors import OutputError, StoreError, UsageError
from gpteval.core.outcomes import Result
from gpteval.core.show import with_shots
from gpteval.core.text import natural
from gpteval.data.files import cache_root
from gpteval.logs.log import Log, LogReader, LogTask
from gpteval.logs.parsing import LogError
from gpteval.logs.readers import reader_of
from gpteval.metrics.named import metric_registry
from gpteval.metrics.stored import facts_of_metric
from gpteval.store.folder import SCHEMA, RunFolder, list_samples
from gpteval.store.log_results import LogUnit, about_model, without_items

UnitName = tuple[str, str, int]  # a model, a task, a number of examples
VERSION = 1  # raise when what is made of a log changes
LARGE = 32 * 2**20  # bytes of a log that is worth a process


def as_run(path: Path) -> Path:
    """The folder of a run as it is; a log's as what is made of it, once, in the cache. What is neither stays as it is.

    Raises LogError for a log that cannot be read.
    """
    found = _log_at(path)
    if found is None:
        return path
    reader, files = found
    stamp = [(str(file.resolve()), (stat := file.stat()).st_size, stat.st_mtime_ns) for file in files]
    beside = [(str(f.resolve()), f.stat().st_mtime_ns) for folder in {file.parent for file in files}
              for f in sorted(folder.glob("*.json"))]  # fmt: skip
    digest = hashlib.blake2b(repr((VERSION, reader.name, stamp, beside)).encode(), digest_size=8).hexdigest()
    made = cache_root() / "logs" / digest / (path.resolve().name or "log")
    if not (made / "results.json").is_file():
        made.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(dir=made.parent))
        try:
            write_run([reader.read(files)], scratch / "run", f"gpteval import {path.name}")
            with suppress(OSError):  # another process may have made it meanwhile
                os.replace(scratch / "run", made)
            if not (made / "results.json").is_file():
                raise StoreError(f"cannot write {made.name} into the cache", "is the disk full?")
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    return made


def is_run(path: Path) -> bool:
    """Whether it is a run's folder, or a log that is read as one."""
    return (path / "results.json").is_file() or (path.exists() and reader_of(path) is not None)


def as_runs(paths: Sequence[Path]) -> tuple[Path, ...]:
    """``as_run`` of each; several large logs are read side by side, as far as there are processors."""
    large = [path for path in paths if (found := _log_at(path)) and sum(f.stat().st_size for f in found[1]) > LARGE]
    others = large[1 : os.cpu_count() or 1]
    reading = [_read_beside(path) for path in others]
    try:
        for path in paths:
            if path not in others:
                as_run(path)
        for process in reading:
            process.wait()
    finally:
        for process in reading:
            process.kill()
    return tuple(map(as_run, paths))  # what another process could not read is told here


def _read_beside(path: Path) -> subprocess.Popen[bytes]:
    """A process that has ``as_run`` read it, and says nothing."""
    code = f"import sys; from {__name__} import Path, as_run; as_run(Path(sys.argv[1]))"
    nowhere = subprocess.DEVNULL
    return subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=nowhere, stderr=nowhere)


def _log_at(path: Path) -> tuple[LogReader, tuple[Path, ...]] | None:
    """What reads it, and which files; None of a run's folder and of what is no log."""
    if (path / "results.json").is_file() and (path / "manifest.json").is_file():
        return None
    return reader_of(path) if path.exists() else None


def import_logs(paths: Sequence[Path], out: Path, command: str = "") -> int:
    """Write logs as one run folder; how many results that makes. Raises UsageError for what is no log, OutputError
    where there is a run already, LogError for a log that cannot be read.
    """
    logs = []
    for path in paths:
        found = _log_at(path)
        if found is None:
            raise UsageError(f"{path} is no log that is known", "docs/logs.md has the formats")
        logs.append(found[0].read(found[1]))
    if (out / "results.json").exists():
        raise OutputError(f"{out} holds a run already", "choose another folder with --out")
    return write_run(logs, out, command)


def write_run(logs: Sequence[Log], out: Path, command: str = "") -> int:
    """The files of docs/results.md, of logs. The document with the results comes last. Raises StoreError."""
    import gpteval

    folder = RunFolder(out)
    try:
        manifest: dict[str, Any] = {
            "schema": SCHEMA,
            "gpteval": gpteval.__version__,
            "command": command,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "config": {},
            "versions": {},
            "hardware": {},
            "models": {},
            "tasks": {},
            "metrics": {},
            "samples": [],
            "logs": [],
        }
        results: list[Result] = []
        units: dict[UnitName, LogTask] = {}
        for log in logs:
            manifest["logs"].append({"harness": log.harness, "files": [file.name for file in log.files]})
            results += _units_of(log, folder, manifest, units)
            for total in log.totals:
                results += without_items(total, log)
                manifest["models"].setdefault(total.task.model.name, about_model(total.task.model, log))
                manifest["tasks"].setdefault(total.task.name, {"family": total.task.family, "source": log.harness})
        folder.write_json("manifest.json", manifest)
        document = {
            "schema": SCHEMA,
            "run": {"command": command},
            "results": list(map(asdict, results)),
            "failures": [],
        }
        folder.write_json("results.json", document)
        return len(results)
    finally:
        folder.close()


def _units_of(log: Log, folder: RunFolder, manifest: dict[str, Any], known: dict[UnitName, LogTask]) -> list[Result]:
    """Each task's samples, written as its items come; then their results, in the order of the tasks' names. ``known``:
    what was read so far. Raises LogError for a task that a model has twice.
    """
    units: dict[LogTask, LogUnit] = {}
    with ExitStack() as stack:
        for item in log.items:
            task = item.task
            if task not in units:
                name = (task.model.name, task.name, task.shots)
                if known.setdefault(name, task) is not task:
                    raise LogError(
                        f"{task.model.name} has two logs of {with_shots(task.name, task.shots)}",
                        "give each by itself: folders tell models of one name apart",
                    )
                units[task] = LogUnit(task, log, folder, stack)
            units[task].add(item)
        for unit in units.values():
            unit.flush()
    found: list[Result] = []
    for task in sorted(units, key=lambda task: (natural(task.model.name), natural(task.name))):
        if rows := units[task].results():
            found += rows
            list_samples(manifest, task.model.name, task.name, task.shots)
            manifest["models"][task.model.name] = about_model(task.model, log)
            items = units[task].tally.items
            manifest["tasks"][task.name] = {"family": task.family, "source": log.harness, "items": items}
            others = [metric for metric in units[task].metrics if metric.name not in metric_registry()]
            manifest["metrics"] |= {metric.name: facts_of_metric(metric) for metric in others}
    return found

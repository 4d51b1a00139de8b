"""A log of another harness as a run's folder: its items' numbers with gpteval's statistics, marked as not run here."""

from __future__ import annotations

import hashlib
import math
import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from gpteval.core.errors import OutputError, StoreError, UsageError
from gpteval.core.generations import generation_of
from gpteval.core.outcomes import Record, Result
from gpteval.core.text import natural
from gpteval.core.types import Choice, Prompt, Request
from gpteval.data.files import cache_root
from gpteval.logs.log import PREFIX, BadItem, Log, LogItem, LogReader, LogTask
from gpteval.logs.readers import reader_of
from gpteval.metrics.base import MeanMetric, Metric
from gpteval.metrics.named import metric_registry
from gpteval.metrics.stored import StoredMetric, facts_of_metric
from gpteval.models.catalogue import model_registry
from gpteval.store.documents import sample_file
from gpteval.store.folder import SCHEMA, RunFolder, list_samples
from gpteval.store.samples import samples_writer
from gpteval.store.tally import Tally

VERSION = 1  # raise when what is made of a log changes
STRETCH = 4096  # items that are written at a time
MAX_BAD = 0.01  # share of items that may be unreadable
SHOWN = 3
LARGE = 32 * 2**20  # bytes of a log that is worth a process
NEAR = 1e-6  # share of a number that rounding may bring


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
            if not made.exists():
                os.replace(scratch / "run", made)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    return made


def as_runs(paths: Sequence[Path]) -> tuple[Path, ...]:
    """``as_run`` of each; several large logs are read side by side."""
    large = [path for path in paths if (found := _log_at(path)) and sum(f.stat().st_size for f in found[1]) > LARGE]
    if len(large) > 1:
        with ProcessPoolExecutor(min(len(large), os.cpu_count() or 1), get_context("spawn")) as pool:
            list(pool.map(as_run, large))
    return tuple(map(as_run, paths))


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
        for log in logs:
            manifest["logs"].append({"harness": log.harness, "files": [file.name for file in log.files]})
            results += _units_of(log, folder, manifest)
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


def _units_of(log: Log, folder: RunFolder, manifest: dict[str, Any]) -> list[Result]:
    """Each task's samples, written as its items come; then their results, in the order of the tasks' names."""
    units: dict[LogTask, _Unit] = {}
    with ExitStack() as stack:
        for item in log.items:
            if item.task not in units:
                units[item.task] = _Unit(item.task, log, folder, stack)
            units[item.task].add(item)
        for unit in units.values():
            unit.flush()
    found: list[Result] = []
    for task in sorted(units, key=lambda task: (natural(task.model.name), natural(task.name))):
        if rows := units[task].results():
            found += rows
            list_samples(manifest, task.model.name, task.name, task.shots)
            manifest["models"][task.model.name] = units[task].about_model()
            items = units[task].tally.items
            manifest["tasks"][task.name] = {"family": task.family, "source": log.harness, "items": items}
            others = [metric for metric in units[task].metrics if metric.name not in metric_registry()]
            manifest["metrics"] |= {metric.name: facts_of_metric(metric) for metric in others}
    return found


class _Unit:
    """A model on a task: its samples file, and what its items come to."""

    def __init__(self, task: LogTask, log: Log, folder: RunFolder, stack: ExitStack) -> None:
        self.task, self.log = task, log
        file = sample_file(task.model.name, task.name, task.shots)
        self._write = stack.enter_context(samples_writer(stack.enter_context(folder.writing(file))))
        self.metrics: list[Metric] = []
        self.tally = Tally((), clustered=False)
        self._waiting: list[Record] = []
        self._seen: dict[str, int] = {}
        self._bad: list[str] = []
        self._left_out: dict[str, None] = {}
        self._shares = 0.0  # sum of 1 / K of items with choices
        self._first: Request | None = None

    def add(self, item: LogItem | BadItem) -> None:
        if isinstance(item, BadItem):
            self._bad.append(f"{item.where}: {item.why.splitlines()[0]}" if len(self._bad) < SHOWN else "")
            return
        if self._first is None:
            self._first = item.request
            self.metrics = [_metric(name, item.task.higher) for name in item.scores]
            self.tally = Tally(self.metrics, clustered=False)
        self._left_out |= dict.fromkeys(item.left_out)
        if isinstance(item.request, Choice):
            self._shares += 1 / len(item.request.continuations)
        self._waiting.append(self._record(item))
        if len(self._waiting) >= STRETCH:
            self.flush()

    def _record(self, item: LogItem) -> Record:
        prompt = Prompt("", item.request)
        content = prompt.hash
        count = self._seen[content] = self._seen.get(content, 0) + 1
        prompt = Prompt(content if count == 1 else f"{content}-{count}", item.request)
        stats = {metric.name: item.scores[metric.name] for metric in self.metrics if metric.name in item.scores}
        values = {name: _value(metric, stats[name]) for metric in self.metrics if (name := metric.name) in stats}
        return Record(prompt.item_id, prompt, item.outcome, values, stats)

    def flush(self) -> None:
        if self._waiting:
            self._write(self._waiting)
            self.tally.add(self._waiting)
            self._waiting = []

    def results(self) -> list[Result]:
        """Raises StoreError where too much cannot be read."""
        read, bad = self.tally.items, len(self._bad)
        if bad > MAX_BAD * (read + bad):
            shown = "; ".join(filter(None, self._bad))
            raise StoreError(
                f"{bad} of {read + bad} items of {self.task.name} cannot be read: {shown}", "is the log whole?"
            )
        if not read or not self.metrics or self._first is None:
            return []
        found = [self._result(number, metric) for number, metric in enumerate(self.metrics)]
        return [row for row in found if row is not None]

    def _result(self, number: int, metric: Metric) -> Result | None:
        task, request = self.task, self._first
        assert request is not None
        interval = self.tally.interval(metric)
        if math.isnan(interval.value):
            return None
        chance = metric.chance([request])
        if chance is not None and isinstance(request, Choice) and metric.kind == "binary":
            chance = self._shares / self.tally.items
        common: dict[str, Any] = {
            "model": task.model.name,
            "generation": self._generation(),
            "n_params": task.model.n_params,
            "task": task.name,
            "family": task.family,
            "shots": task.shots,
            "protocol": {0: "zero_shot", 1: "one_shot"}.get(task.shots, "few_shot"),
            "profile": f"{PREFIX}{self.log.harness}",
            "seconds": 0.0,
            "tokens": 0,
            "fingerprint": self._fingerprint(),
        }
        failed = self.tally.failed
        return Result(
            **common,
            metric=metric.name,
            primary=number == 0,
            higher_is_better=metric.higher_is_better,
            **interval.fields(),
            n=self.tally.items,
            coverage=(self.tally.items - failed) / self.tally.items,
            truncated=0,
            chance=chance,
            signature=metric.signature([request]) if metric.name in metric_registry() else "",
            notes=tuple(self._notes(metric, interval.value)),
        )

    def _notes(self, metric: Metric, value: float) -> Iterable[str]:
        yield f"not run here: read from a log of {self.log.harness}"
        yield from self.log.notes
        if self.task.of and self.task.of != self.tally.items:
            yield f"{self.tally.items} of {self.task.of} items"
        if self._bad:
            yield f"{len(self._bad)} items of the log cannot be read: {'; '.join(filter(None, self._bad))}"
        if doubled := sum(count - 1 for count in self._seen.values()):
            yield f"{doubled} items ask what another one asks"
        if self._left_out:
            yield f"left out, as no number of an item tells them: {', '.join(self._left_out)}"
        said = self.task.said.get(metric.name)
        if said is not None and abs(said - value) > NEAR * max(1.0, abs(said)):
            yield f"the log itself says {said:g}, its items say {value:g}"

    def _generation(self) -> str:
        known = model_registry()
        name = self.task.model.location or self.task.model.name
        return known[name].generation if name in known else generation_of(None)

    def _fingerprint(self) -> str:
        model = self.task.model
        told = f"{model.location or model.name}@{model.revision}"
        return f"log:{hashlib.blake2b(told.encode('utf-8', 'replace'), digest_size=8).hexdigest()}"

    def about_model(self) -> Mapping[str, Any]:
        """As a manifest tells of a model."""
        model = self.task.model
        return {
            "location": model.location or "log",
            "revision": model.revision,
            "fingerprint": self._fingerprint(),
            "generation": self._generation(),
            "n_params": model.n_params,
            "family": "",
            "step": None,
            "dtype": model.dtype,
            "device": "",
            "notes": [f"not run here: {self.log.harness}"],
        }


def _metric(name: str, higher: Mapping[str, bool]) -> Metric:
    known = metric_registry()
    if name in known:
        return known[name]
    return StoredMetric(name, "mean", higher.get(name, True), None, 0.0, by_ratio=False, floor=None)


def _value(metric: Metric, stats: Sequence[float]) -> float:
    if isinstance(metric, MeanMetric):
        return float(stats[0])
    return float(metric.value(np.asarray(stats, dtype=float)))

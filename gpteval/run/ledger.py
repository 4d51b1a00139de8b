"""A run's bookkeeping: results, failures and facts as they come, and the files that hold them."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

import gpteval
from gpteval.backends.interface import Backend
from gpteval.core.errors import GptevalError, NotAvailable, OutputError
from gpteval.core.outcomes import Failure, Result
from gpteval.core.show import counted, with_shots
from gpteval.core.text import without_paths
from gpteval.core.types import Prompt, digest
from gpteval.metrics.stored import facts_of_metric
from gpteval.models.catalogue import ModelInfo
from gpteval.models.prefixes import AS_CHAT
from gpteval.prompts.build import TaskData
from gpteval.reference.counterpart import beside
from gpteval.run.benchmark_results import add_groups
from gpteval.run.config import RunConfig
from gpteval.run.facts import hardware, versions
from gpteval.run.identity import identity
from gpteval.run.parts import Facts
from gpteval.run.units import Listener, Unit
from gpteval.store.folder import SCHEMA, ResultTable, RunFolder
from gpteval.store.judged import judged_apart
from gpteval.store.same import same_weights
from gpteval.tasks.task import DEFAULT, Task

SHARE = 0.1  # of the time, which writing files again and again may take


@dataclass
class Ledger:
    """``results`` and ``failures`` are those of this command; ``table`` has the folder's. ``groups``: their tasks."""

    config: RunConfig
    folder: RunFolder
    table: ResultTable
    manifest: dict[str, Any]
    listener: Listener
    results: list[Result] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    groups: dict[str, list[str]] = field(default_factory=dict)
    _identities: dict[str, dict[str, str]] = field(default_factory=dict)
    clock: Callable[[], float] = time.monotonic
    _told: set[str] = field(default_factory=set)
    _due: float = -math.inf

    @classmethod
    def of(cls, config: RunConfig, folder: RunFolder, listener: Listener) -> Ledger:
        """The folder's, with what earlier commands wrote. Raises OutputError where that has other settings."""
        manifest = folder.read_json("manifest.json", listener.warned)
        results = folder.read_json("results.json", listener.warned)
        earlier = manifest.get("config") or results.get("run") or {}
        config.refuse_other(folder.path, earlier)
        table = ResultTable(results)
        manifest = {
            "schema": SCHEMA,
            "gpteval": gpteval.__version__,
            "command": config.command,
            "created": manifest.get("created") or datetime.now(UTC).isoformat(timespec="seconds"),
            "config": config.settings,
            "versions": versions(),
            "hardware": hardware(),
            "models": manifest.get("models") or {},
            "tasks": manifest.get("tasks") or {},
            "metrics": manifest.get("metrics") or {},
            "samples": manifest.get("samples") or [],
            "fewer_items": table.units() if config.takes_more(earlier) else manifest.get("fewer_items") or [],
        }
        return cls(config, folder, table, manifest, listener)

    def refuse_to_mix(self, units: Iterable[Unit]) -> None:
        """Raise OutputError where results of fewer items than this command takes would stay beside its own."""
        asked = {(unit.model.name, unit.task.label, unit.shots) for unit in units}
        left = [unit for unit in map(tuple, self.manifest["fewer_items"]) if unit not in asked]
        if left:
            model, task, shots = left[0]
            more = f" and {len(left) - 1} more" if len(left) > 1 else ""
            limit = "" if self.config.limit is None else f"-limit-{self.config.limit}"
            raise OutputError(
                f"{self.folder.path} has results of fewer items a task, which this command would not make again: "
                f"{model} on {with_shots(task, shots)}{more}",
                f"name those models, tasks and shots, too, or choose another folder, such as --out "
                f"{self.folder.path}{limit or '-all'}",
            )

    def add(self, unit: Unit, results: Sequence[Result], data: TaskData, prompts: Sequence[Prompt]) -> None:
        """Take a unit's results."""
        self._note_task(unit, data, prompts)
        self.table.add(results)
        made = [unit.model.name, unit.task.label, unit.shots]
        self.manifest["fewer_items"] = [known for known in self.manifest["fewer_items"] if list(known) != made]
        for sentence in judged_apart(self.table.rows, unit.task.label):
            if sentence not in self._told:
                self._told.add(sentence)
                self.listener.warned(sentence)
        self.results += results
        self.save(now=False)

    def fail(self, unit: Unit, error: GptevalError) -> None:
        """Take a failure."""
        failure = Failure(
            unit.model.name, unit.task.label, without_paths(str(error)), unit.shots, isinstance(error, NotAvailable)
        )
        self.failures.append(failure)
        if unit.is_result:
            self.table.fail(failure)
            self.save(now=False)
        self.listener.unit_failed(unit, failure)

    def note_facts(self, model: str, facts: Facts) -> None:
        """What ran, once weights are loaded."""
        known = self.manifest["models"].setdefault(model, {})
        peak = max(known.get("peak_memory_bytes", 0), facts.get("peak_memory_bytes", 0))
        known.update(facts, peak_memory_bytes=peak)

    def tell_same_weights(self, models: Iterable[ModelInfo]) -> None:
        """Warn of those of ``models`` that are another of the folder's under another name."""
        for sentence in same_weights(self.manifest["models"], [info.name for info in models]):
            self.listener.warned(sentence)

    def note_model(self, backend: Backend) -> None:
        """What the model is; results that other weights made are marked."""
        model = backend.model
        info = model.info
        if stale := self.table.mark_stale(info.name, model.fingerprint):
            self.listener.warned(
                f"{counted(stale, 'earlier result')} of {info.name}: made with other weights, and marked as stale "
                "until run again"
            )
        for caution in backend.cautions():
            self.listener.warned(caution)
        known = self.manifest["models"].get(info.name, {})
        self.manifest["models"][info.name] = known | {
            "location": "local" if info.local else info.location,
            "revision": model.revision,
            "fingerprint": model.fingerprint,
            "generation": info.generation,
            "n_params": info.n_params,
            "family": info.family,
            "step": info.step,
            "window": model.window,
            "release_date": info.release_date,
            "licence": info.licence,
            "architecture": model.architecture,
            "dtype": model.dtype,
            "device": model.device,
            "lossy_tokenizer": model.codec.lossy,
            "notes": list(model.codec.notes),
            **backend.described(),
        }

    def _note_task(self, unit: Unit, data: TaskData, prompts: Sequence[Prompt]) -> None:
        task = unit.task
        entry = self.manifest["tasks"].setdefault(task.label, {})
        entry |= {
            "family": task.family,
            "source": task.source.label,
            "revision": data.revision,
            "licence": task.licence,
            "version": task.version,
            "description": task.description,
            "template": task.template_name,
            "items": len(data.items),
            "examples_revision": data.pool_revision or entry.get("examples_revision", ""),
            "identity": self._identity(task, data, prompts),
        }
        for metric in data.task.own_metrics:
            self.manifest["metrics"][metric.name] = facts_of_metric(metric)
        entry.setdefault("prompts", {})[str(unit.shots)] = digest([p.hash for p in prompts])

    def _identity(self, task: Task, data: TaskData, prompts: Sequence[Prompt]) -> dict[str, str]:
        """Of the task as it is declared, whatever of it a tuned model is asked; made once."""
        if task.label not in self._identities:
            requests = {prompt.item_id: prompt.request for prompt in prompts}
            self._identities[task.label] = identity(replace(data, task=task), requests)
        return self._identities[task.label]

    def add_groups(self, info: ModelInfo) -> None:
        """Add the results of groups that are complete by now."""
        results = add_groups(
            info.name,
            self.groups,
            folder=self.folder,
            table=self.table,
            manifest=self.manifest,
            published=partial(self._published, info),
            warn=self.listener.warned,
        )
        if results:
            self.results += results
            self.save(now=False)
            self.listener.groups_done(results)

    def published_of(self, info: ModelInfo, unit: Unit, metric: str) -> Mapping[str, Any] | None:
        """What was published for the model on a task; of other templates nothing was."""
        if unit.task.template_name != DEFAULT:
            return None
        split = getattr(unit.task.source, "split", "test")
        return self._published(info, unit.task.name, metric, unit.shots, split=split)

    def _published(
        self, info: ModelInfo, task: str, metric: str, shots: int, *, split: str = ""
    ) -> Mapping[str, Any] | None:
        if info.local:
            return None
        names = {info.name, info.location, *info.aliases}
        limit, profile = self.config.items, self.config.profile
        asked = info.revision if "@" in info.name else None  # not one that a lock gives
        otherwise = [self.config.repeats.rule, "by its chat template" if info.backend == AS_CHAT else ""]
        return beside(
            *(names, task, metric, shots),
            split=split,
            limit=limit,
            revision=asked,
            profile=profile,
            otherwise=[f"{how} here" for how in otherwise if how],
        )

    def save(self, *, now: bool = True) -> None:
        """Write results and facts; unless ``now``, only as often as takes ``SHARE`` of the time at most. What is not
        written yet is in the journal. Raises StoreError.
        """
        begin = self.clock()
        if not now and begin < self._due:
            return
        run = {"name": self.folder.path.name, "command": self.config.command, "gpteval": gpteval.__version__}
        self.folder.write_json("results.json", self.table.document(run | self.config.settings))
        self.folder.write_json("manifest.json", self.manifest)
        end = self.clock()
        self._due = end + (end - begin) / SHARE

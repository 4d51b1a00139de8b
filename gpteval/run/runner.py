"""Running models over tasks, one unit (model, task, shots) after the other, in this process.

Everything a model gives is journalled batch by batch; each finished unit is written to results.json
and samples/ at once. A unit that cannot be done becomes a failure, and the others go on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any

import gpteval
from gpteval.api.prices import Budget
from gpteval.core.downloads import told
from gpteval.core.errors import (
    PLUGIN_ERRORS,
    GptevalError,
    ModelError,
    NotAvailable,
    OutputError,
    StoreError,
    UsageError,
)
from gpteval.core.memory import peak_memory
from gpteval.core.prompts import TaskData
from gpteval.core.registry import select_tasks, task_registry, with_templates
from gpteval.core.task import DEFAULT, Task
from gpteval.core.text import without_paths
from gpteval.core.types import Failure, Generated, Prompt, Result, digest
from gpteval.models.catalogue import ModelInfo, resolve_models
from gpteval.models.loader import HFModel, pick_device
from gpteval.reference.beside import beside
from gpteval.run.ahead import estimate, fill, processes
from gpteval.run.config import RunConfig
from gpteval.run.engines import AnyEngine, AnyModel, make_engine, open_model, tuned_for, tuning_of
from gpteval.run.facts import LOSSY, hardware, unit_notes, versions
from gpteval.run.folder import SCHEMA, ResultTable, RunFolder, list_samples
from gpteval.run.groups import add_groups, groups_with
from gpteval.run.journal import Journal, ResultStore, cache_path
from gpteval.run.lock import read_lock
from gpteval.run.plan import RunPlan
from gpteval.run.records import judged_by, make_records, make_results, protocol, task_metrics
from gpteval.run.samples import samples_parquet
from gpteval.run.units import Listener, RunOutcome, Unit
from gpteval.tune.engine import PROTOCOL as FINETUNE


@dataclass
class _Run:
    """The state of a run under way."""

    config: RunConfig
    plan: RunPlan
    folder: RunFolder
    store: ResultStore
    table: ResultTable
    manifest: dict[str, Any]
    listener: Listener
    results: list[Result] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    groups: dict[str, list[str]] = field(default_factory=dict)
    lost: dict[str, ModelError] = field(default_factory=dict)  # units that worker processes could not do
    budget: Budget = field(default_factory=lambda: Budget(None))

    def run_unit(self, engine: AnyEngine, unit: Unit) -> list[Result]:
        """Score one unit and write its files. Raises GptevalError."""
        data = self.plan.data[unit.task.label]
        if isinstance(data, GptevalError):
            raise data
        if unit.label in self.lost:
            raise self.lost[unit.label]
        if tuned := tuned_for(engine, unit):
            engine, data = tuned, tuned.suited(data)
        self.listener.loading(f"the prompts of {unit.label}")
        prompts = self.plan.prompts_of(data, unit)
        metrics = task_metrics(data, prompts)
        plan = engine.plan(prompts)
        known = self.store.get(plan.rows)
        if len(known) < len(plan.rows) and not engine.model.loaded:
            with told(self.listener.loading, f"the weights of {unit.model.name}"):
                _ = engine.model.module
        self.listener.unit_began(unit, plan.tokens, sum(plan.rows[key].length for key in known))
        for batch in engine.compute(plan, known):
            self.store.put(batch)
            known |= batch
            self.listener.advanced(unit, sum(plan.rows[key].length for key in batch))
            self._note_facts(engine)
        outcomes = plan.outcomes(known)
        codec = engine.model.codec
        records = make_records(prompts, outcomes, metrics, partial(judged_by, codec))
        info = engine.model.info
        self.listener.unit_recorded(unit, info, metrics, records)
        if not unit.is_result:
            return []
        common = {
            "model": info.name,
            "generation": info.generation,
            "n_params": info.n_params,
            "model_family": info.family,
            "step": info.step,
            "task": unit.task.label,
            "template": unit.task.template_name,
            "family": unit.task.family,
            "shots": unit.shots,
            "protocol": FINETUNE if tuned else protocol(unit.shots),
            "profile": self.config.profile,
            "dollars": engine.dollars(known[key] for key in plan.rows),
            "seconds": sum(known[key].seconds for key in plan.rows),
            "tokens": sum(known[key].processed for key in plan.rows),
            "fingerprint": engine.model.fingerprint,
        }
        notes = [*unit_notes(engine, plan, outcomes), *([tuned.tuned.note] if tuned else [])]
        rule = LOSSY if codec.lossy and any(isinstance(o, Generated) for o in outcomes) else ""
        results = make_results(
            records,
            metrics,
            common=common,
            data=data,
            notes=notes,
            published=partial(self._published_of, info, unit),
            rule=rule,
            seed=self.config.seed,
        )
        file = list_samples(self.manifest, info.name, unit.task.label, unit.shots)
        self.folder.write(file, samples_parquet(records))
        self._note_unit(unit, data, prompts)
        self.table.add(results)
        self.save()
        return results

    def _published_of(self, info: ModelInfo, unit: Unit, metric: str) -> Mapping[str, Any] | None:
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
        limit, profile = self.config.limit, self.config.profile
        asked = info.revision if "@" in info.name else None  # not one that a lock gives
        return beside(names, task, metric, shots, split=split, limit=limit, revision=asked, profile=profile)

    def _note_facts(self, engine: AnyEngine) -> None:
        """What ran, once weights are loaded, for the manifest."""
        facts = self.manifest["models"].setdefault(engine.model.info.name, {})
        facts.update(engine.facts(), peak_memory_bytes=peak_memory(engine.model.device))

    def note_model(self, model: AnyModel) -> None:
        info = model.info
        if stale := self.table.mark_stale(info.name, model.fingerprint):
            self.listener.warned(
                f"{stale} earlier results of {info.name} were made with other weights; they are marked as stale "
                "until their tasks are run again"
            )
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
            "architecture": model.config.model_type,
            "dtype": model.dtype,
            "device": model.device,
            "lossy_tokenizer": model.codec.lossy,
            "notes": list(model.codec.notes),
        }
        if tuning := tuning_of(model):
            self.manifest["models"][info.name]["finetune"] = asdict(tuning)

    def _note_unit(self, unit: Unit, data: TaskData, prompts: Sequence[Prompt]) -> None:
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
        }
        entry.setdefault("prompts", {})[str(unit.shots)] = digest([p.hash for p in prompts])

    def note_groups(self, info: ModelInfo) -> None:
        """Add the results of groups that are complete by now."""
        results = add_groups(
            info.name,
            self.groups,
            folder=self.folder,
            table=self.table,
            manifest=self.manifest,
            seed=self.config.seed,
            published=partial(self._published, info),
            warn=self.listener.warned,
        )
        if results:
            self.results += results
            self.save()
            self.listener.groups_done(results)

    def fail(self, unit: Unit, error: GptevalError) -> None:
        failure = Failure(
            unit.model.name, unit.task.label, without_paths(str(error)), unit.shots, isinstance(error, NotAvailable)
        )
        self.failures.append(failure)
        if unit.is_result:
            self.table.fail(failure)
            self.save()
        self.listener.unit_failed(unit, failure)

    def save(self) -> None:
        run = {"name": self.folder.path.name, "command": self.config.command, "gpteval": gpteval.__version__}
        self.folder.write_json("results.json", self.table.document(run | self.config.settings))
        self.folder.write_json("manifest.json", self.manifest)


def execute(config: RunConfig, listener: Listener | None = None, live: HFModel | None = None) -> RunOutcome:
    """Run every model on every task and write the run's folder. ``live``: a model in memory, instead of those named.

    Raises UsageError before any work when a name is unknown or the folder cannot be used, and
    StoreError when results can no longer be written. Everything else becomes a failure.
    """
    listener = listener or Listener()
    registry = task_registry(config.task_dirs)
    for problem in registry.problems:
        listener.warned(f"plugin not loaded: {problem}")
    tasks = with_templates(select_tasks(registry, config.tasks), config.templates)
    tasks = _under(tasks, config.profile, listener)
    models = [live.info] if live else resolve_models(config.models)
    pick_device(config.load.device)
    lock = read_lock(config.locked) if config.locked else None
    folder = RunFolder(config.folder)
    run: _Run | None = None
    try:
        run = _open(config, folder, listener)
        run.plan.lock, run.budget = lock, Budget(config.api.max_cost)
        for number, task in enumerate(tasks, 1):
            with told(listener.loading, f"task data {number}/{len(tasks)}, {task.label}"):
                run.plan.load(task)
        if config.tasks_with_examples:
            tasks = run.plan.only_with_examples(tasks)
        run.groups = groups_with(registry, tasks)
        if config.protocol != "default" or any(model.api == "chat" for model in models):
            for task in tasks:
                run.plan.add_letters(task)
        units = {model: run.plan.units_of(model, tasks) for model in models}
        if config.dry_run:
            failures = estimate(run.plan, run.store, units, run.budget)
            return RunOutcome(folder.path, (), tuple(failures))
        listener.began(sum(map(len, units.values())), folder.path)
        if live is None and (count := processes(config)):
            run.lost = fill(run.plan, run.store, units, run.budget, run.manifest, count)
        for model, of_model in units.items():
            _run_model(run, model, of_model, live)
        run.save()
    finally:
        if run is not None:
            run.store.close()
        folder.close()
    return RunOutcome(folder.path, tuple(run.results), tuple(run.failures))


def _under(tasks: Sequence[Task], profile: str, listener: Listener) -> list[Task]:
    """The tasks as a profile has them, without those that it does not know. Raises UsageError where none is left."""
    found = [(task, task.under(profile)) for task in tasks]
    left_out = [task.label for task, known in found if known is None]
    if left_out:
        some = ", ".join(left_out[:5]) + (f" and {len(left_out) - 5} more" if len(left_out) > 5 else "")
        listener.warned(f"left out, because how {profile} has them is not known: {some}")
    known = [task for _, task in found if task is not None]
    if not known:
        raise UsageError(f"none of these tasks has the profile {profile}", "run them with --profile gpteval")
    return known


def _run_model(run: _Run, info: ModelInfo, units: Sequence[Unit], live: HFModel | None) -> None:
    config = run.config
    try:
        info = run.plan.lock.pin_model(info) if run.plan.lock else info
        with told(run.listener.loading, f"the files of {info.name}"):
            model = live or open_model(info, config)
        if run.plan.lock:
            run.plan.lock.check_model(model)
        run.note_model(model)
    except StoreError:
        raise
    except GptevalError as error:
        for unit in units:
            run.fail(unit, error)
        return
    try:
        engine = make_engine(model, config, run.budget)
    except GptevalError as error:
        for unit in units:
            run.fail(unit, error)
        return
    for unit in units:
        try:
            results = run.run_unit(engine, unit)
        except StoreError:
            raise
        except GptevalError as error:
            run.fail(unit, error)
        except PLUGIN_ERRORS as error:  # a plugin's metric or an unforeseen state must not take the other units down
            run.fail(unit, GptevalError(f"{type(error).__name__}: {error}", "this is a bug; please report it"))
        else:
            run.results += results
            run.listener.unit_done(unit, results)
    run.note_groups(info)


def _open(config: RunConfig, folder: RunFolder, listener: Listener) -> _Run:
    """Journal, cache and earlier results of the folder. Raises OutputError when those have other settings."""
    manifest = folder.read_json("manifest.json", listener.warned)
    results = folder.read_json("results.json", listener.warned)
    known = {key: value for key, value in (results.get("run") or {}).items() if key in config.settings}
    earlier = manifest.get("config") or known or config.settings
    differing = [k for k, v in config.settings.items() if earlier.get(k) != v]
    if differing:
        had = ", ".join(f"{k}={earlier.get(k)}" for k in differing)
        now = ", ".join(f"{k}={config.settings[k]}" for k in differing)
        raise OutputError(
            f"{folder.path} holds a run with {had}; this command has {now}",
            "choose another folder with --out",
        )
    journal = Journal(folder.path / "journal.sqlite", listener.warned)
    cache = None
    if config.cache:
        try:
            cache = Journal(cache_path(), listener.warned)
        except StoreError as error:
            listener.warned(f"going on without the shared cache: {error.message}")
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
        "samples": manifest.get("samples") or [],
    }
    table = ResultTable(results)
    return _Run(
        config,
        RunPlan(config, listener),
        folder,
        ResultStore(journal, cache, listener.warned),
        table,
        manifest,
        listener,
    )

"""Running models over tasks: units are planned, computed by an executor, and finished in the order they were planned.

Everything a model gives is journalled batch by batch; each finished unit is written to results.json and samples/ at
once. A unit that cannot be done becomes a failure, and the others go on.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from gpteval.backends.by_prefix import backend_class, open_backend, planned_by
from gpteval.backends.interface import CHAT, LOGPROBS, WORKERS, Backend
from gpteval.backends.prices import Budget
from gpteval.backends.query_plan import Plan
from gpteval.core.errors import PLUGIN_ERRORS, GptevalError, NotAvailable, StoreError, UsageError, unforeseen
from gpteval.core.outcomes import Result
from gpteval.data.downloads import announced
from gpteval.engine.engine import Engine
from gpteval.models.catalogue import ModelInfo, resolve_models
from gpteval.models.loader import HFModel, pick_device
from gpteval.run.benchmark_results import groups_with
from gpteval.run.certifying import certify
from gpteval.run.config import RunConfig
from gpteval.run.dry import estimate
from gpteval.run.executors.choose import make_executor
from gpteval.run.executors.inline import Inline
from gpteval.run.executors.part_queue import cut
from gpteval.run.finish import Finisher
from gpteval.run.ledger import Ledger
from gpteval.run.lock import read_lock
from gpteval.run.parts import Executor, Job, Part, PartResult, Work, known_to
from gpteval.run.plan import RunPlan, as_in_profile
from gpteval.run.records import task_metrics
from gpteval.run.units import Listener, RunOutcome, Unit
from gpteval.store.folder import JOURNAL, RunFolder
from gpteval.store.journal import Journal, ResultStore, cache_path
from gpteval.store.progress import ProgressFile
from gpteval.tasks.registry import select_tasks, task_registry, with_templates

Units = Mapping[ModelInfo, Sequence[Unit]]
FailedUnit = tuple[Unit, GptevalError]
Made = TypeVar("Made")


@dataclass
class _Run:
    """A run under way, in the order in which things happen: plan, submit, store, finish.

    ``queue``: slices in the order in which they were planned, until they are finished; units that failed before, and
    each model after its last slice.
    """

    plan: RunPlan
    store: ResultStore
    ledger: Ledger
    listener: Listener
    budget: Budget
    progress: ProgressFile
    live: HFModel | None = None
    queue: deque[Work | FailedUnit | ModelInfo] = field(default_factory=deque)
    finisher: Finisher | None = None  # of the unit whose slices are at the queue's front

    def execute(self, executor: Executor, units: Units) -> None:
        """Compute and finish ``units``. Raises StoreError."""
        self.progress.state.workers = executor.workers
        executor.begin()
        try:
            for work in self._planned(executor, units):
                for part in self._parts(executor, work):
                    self._collect(executor, executor.submit(part))
                self._finish()
            self._collect(executor, executor.drain())
        finally:
            executor.close()
        self._finish()

    def _planned(self, executor: Executor, units: Units) -> Iterator[Work]:
        """Plan slice after slice of unit after unit of model after model."""
        for info, of_model in units.items():
            backend = self._open(info, of_model)
            for unit in of_model if backend else ():
                assert backend is not None
                self.progress.state.planned += 1
                job = _attempt(partial(self._begin, backend, unit))
                if isinstance(job, GptevalError):
                    self.queue.append((unit, job))
                else:
                    yield from self._slices(executor, job)
            self.queue.append(info)

    def _open(self, info: ModelInfo, units: Sequence[Unit]) -> Backend | None:
        """The model's backend; None where there is none, and its units are failures."""
        config, lock = self.plan.config, self.plan.lock
        try:
            info = lock.pin_model(info) if lock else info
            with announced(self.listener.loading, f"the files of {info.name}"):
                if self.live:
                    backend: Backend = Engine.of(self.live, config.computing)
                else:
                    backend = open_backend(info, config.opening(self.budget, self.listener.waiting))
            if lock:
                lock.check_model(backend.model)
            self.ledger.note_model(backend)
            certify(self.plan, self.ledger, backend, units)
            return backend
        except StoreError:
            raise
        except GptevalError as error:
            self.queue += [(unit, error) for unit in units]
            return None

    def _begin(self, backend: Backend, unit: Unit) -> Job:
        """Raises GptevalError where a unit's data or prompts are not available."""
        data = self.plan.data[unit.task.label]
        if isinstance(data, GptevalError):
            raise data
        backend = backend.for_task(data.task, unit.shots, self.listener.warned)
        data = backend.adapted(data)
        self.listener.loading(f"the prompts of {unit.label}")
        prompts = self.plan.prompts_of(data, unit)
        return Job(unit, backend, data, prompts, task_metrics(data, prompts))

    def _slices(self, executor: Executor, job: Job) -> Iterator[Work]:
        """A unit's slices; when one cannot be planned, nothing more of the unit is computed."""
        for begin, end in job.slices():
            planned = _attempt(partial(self._plan, executor, job, begin, end)) if job.error is None else job.error
            if isinstance(planned, GptevalError):
                job.error = planned
                planned = Work(job, begin, len(job.prompts), Plan([], [], {}), set())
            self.queue.append(planned)
            yield planned
            if planned.last:
                return

    def _plan(self, executor: Executor, job: Job, begin: int, end: int) -> Work:
        """Plan a slice. Raises GptevalError."""
        plan = planned_by(job.backend, job.prompts[begin:end], self.plan.config.repeats, job.unit.seed)
        known = known_to(job.backend, self.store, plan.queries)
        there = sum(plan.queries[key].length for key in known)
        self.progress.state.known += there
        if not executor.workers:
            if begin == 0:
                whole = plan.tokens * len(job.prompts) // max(1, end)
                self.listener.unit_began(job.unit, whole, there)
            elif there:
                self.listener.advanced(job.unit, there)
        return Work(job, begin, end, plan, known)

    def _parts(self, executor: Executor, work: Work) -> Iterator[Part]:
        """What of a slice is to be computed."""
        if len(work.known) < len(work.queries):
            self.progress.state.wanted += work.lacking
            yield from work.parts(cut(work.lacking, executor.workers, work.job.backend.model.device))

    def _collect(self, executor: Executor, results: Iterable[PartResult]) -> None:
        """Store what comes of parts, and finish what is whole by then."""
        for result in results:
            self._store(executor, result)
            self._finish()

    def _store(self, executor: Executor, result: PartResult) -> None:
        """Store what came of a part, and tell of it."""
        work = result.part.work
        if result.batch:
            self.store.put(result.batch)
            work.add(result.batch)
            self._tell(executor, work.job, sum(work.queries[key].length for key in result.batch))
        if result.facts:
            self.ledger.note_facts(work.job.backend.model.info.name, result.facts)
        work.job.error = work.job.error or result.error
        work.left -= result.done

    def _tell(self, executor: Executor, job: Job, tokens: int) -> None:
        self.progress.add(job.unit.label, tokens)
        try:
            if executor.workers:
                self.listener.filled(job.unit, self.progress.state)
            else:
                self.listener.advanced(job.unit, tokens)
        except GptevalError as error:  # it wants no more of this unit
            job.error = error

    def _finish(self) -> None:
        """Finish what is whole at the queue's front. Raises StoreError."""
        while self.queue:
            match first := self.queue[0]:
                case Work() if first.left:
                    return
                case Work():
                    self._finish_slice(first)
                case (unit, error):
                    self._fail(unit, error)
                case ModelInfo():
                    self.ledger.add_groups(first)
            self.queue.popleft()

    def _finish_slice(self, work: Work) -> None:
        """Make the records of a slice; with the last one, the unit is done or failed."""
        job = work.job
        results: list[Result] = []
        if job.error is None:
            self.finisher = self.finisher or Finisher(job, self.store, self.ledger)
            made = _attempt(partial(self._made_of, self.finisher, work))
            if isinstance(made, GptevalError):
                job.error = made
            else:
                results = made
        if not work.last:
            return
        if self.finisher:
            self.finisher.close()
        self.finisher = None
        if job.error is not None:
            self._fail(job.unit, job.error)
        else:
            self.progress.state.finished += 1
            self.listener.unit_done(job.unit, results)

    @staticmethod
    def _made_of(finisher: Finisher, work: Work) -> list[Result]:
        finisher.add(work)
        return finisher.results() if work.last else []

    def _fail(self, unit: Unit, error: GptevalError) -> None:
        self.ledger.fail(unit, error)
        self.progress.state.finished += 1
        self.progress.state.failed += not isinstance(error, NotAvailable)


def _attempt(make: Callable[[], Made]) -> Made | GptevalError:
    """What ``make`` gives, or why it cannot. Raises StoreError."""
    try:
        return make()
    except StoreError:
        raise
    except GptevalError as error:
        return error
    except PLUGIN_ERRORS as error:  # a plugin's metric or an unforeseen state must not take the other units down
        return unforeseen(error)


def execute(
    config: RunConfig,
    listener: Listener | None = None,
    live: HFModel | None = None,
    budget: Budget | None = None,
) -> RunOutcome:
    """Run every model on every task and write the run's folder. ``live``: a model in memory, instead of those named;
    ``budget``: what may be spent, with earlier runs.

    Raises UsageError before any work when a name is unknown or the folder cannot be used, and
    StoreError when results can no longer be written. Everything else becomes a failure.
    """
    listener = listener or Listener()
    registry = task_registry(config.task_dirs)
    tasks = with_templates(select_tasks(registry, config.tasks), config.templates)
    for problem in registry.problems:
        listener.warned(f"plugin not loaded: {problem}")
    tasks = as_in_profile(tasks, config, listener)
    models = [live.info] if live else resolve_models(config.models)
    pick_device(config.load.device)
    lock = read_lock(config.locked) if config.locked else None
    folder = RunFolder(config.folder)
    store: ResultStore | None = None
    progress: ProgressFile | None = None
    try:
        ledger = Ledger.of(config, folder, listener)
        store = _store(config, folder, listener)
        plan = RunPlan(config, listener, lock)
        chats = (CHAT in can or LOGPROBS not in can for can in (backend_class(model.backend).can for model in models))
        asked = plan.load_all(tasks, by_letter=any(chats))
        ledger.groups = groups_with(registry, asked)
        units: Units = {model: plan.units_of(model, asked) for model in models}
        budget = budget or Budget(config.api.max_cost)
        all_units = [unit for of_model in units.values() for unit in of_model]
        ledger.table.ranks = {(u.model.name, u.task.label, u.shots): n for n, u in enumerate(all_units)}
        if config.retry_failed:
            units = _failed_of(units, ledger.table.failed_units())
        ledger.refuse_to_mix(unit for of_model in units.values() for unit in of_model)
        if config.dry_run:
            return RunOutcome(folder.path, (), tuple(estimate(plan, store, units, budget)))
        count = sum(map(len, units.values()))
        progress = ProgressFile(folder.path, count)
        progress.write(now=True)  # of results that are there already no batch comes
        run = _Run(plan, store, ledger, listener, budget, progress, live)
        listener.began(count, folder.path)
        inline = Inline(config, listener)
        executor = inline if live else make_executor(config, listener)
        shared = {model for model in units if executor.workers and WORKERS in backend_class(model.backend).can}
        computed = {model: of_model for model, of_model in units.items() if model in shared}
        run.execute(executor, computed)
        run.execute(inline, {model: of_model for model, of_model in units.items() if model not in computed})
        ledger.save()
        ledger.tell_same_weights(units)
        progress.state.ended = True
    except BaseException:  # a stop, or a disk that takes no more: what is done is told, where that can still be written
        if progress is not None:
            with suppress(GptevalError):
                ledger.save()
        raise
    finally:
        if progress is not None:
            progress.write(now=True)
        if store is not None:
            store.close()
        folder.close()
    return RunOutcome(folder.path, tuple(ledger.results), tuple(ledger.failures))


def _failed_of(units: Units, failed: Collection[tuple[str, str, int]]) -> Units:
    """Those that failed before. Raises UsageError where there is none."""
    left = {m: [u for u in of_model if (m.name, u.task.label, u.shots) in failed] for m, of_model in units.items()}
    if not any(left.values()):
        raise UsageError("nothing of what is asked for has failed before", "run it without --retry-failed")
    return {model: of_model for model, of_model in left.items() if of_model}


def _store(config: RunConfig, folder: RunFolder, listener: Listener) -> ResultStore:
    """The folder's journal, and the shared cache unless it is not wanted or not available."""
    journal = Journal(folder.path / JOURNAL, listener.warned)
    cache = None
    if config.cache:
        try:
            cache = Journal(cache_path(), listener.warned)
        except StoreError as error:
            listener.warned(f"going on without the shared cache: {error.message}")
    return ResultStore(journal, cache, listener.warned)

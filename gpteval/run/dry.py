"""What a run would take, without asking anything of a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from gpteval.backends.by_prefix import open_backend, planned_by
from gpteval.backends.interface import Backend
from gpteval.backends.prices import Budget
from gpteval.core.errors import GptevalError, NotAvailable
from gpteval.core.outcomes import Failure
from gpteval.models.catalogue import ModelInfo
from gpteval.run.parts import known_to
from gpteval.run.plan import RunPlan
from gpteval.run.units import Unit
from gpteval.store.journal import ResultStore


def estimate(
    plan: RunPlan, store: ResultStore, units: Mapping[ModelInfo, Sequence[Unit]], budget: Budget
) -> list[Failure]:
    """Tell the listener what each unit would still ask of its model and what that costs at most; what cannot be."""
    failures = []
    for info, of_model in units.items():
        try:
            pinned = plan.lock.pin_model(info) if plan.lock else info
            backend = open_backend(pinned, plan.config.opening(budget, plan.listener.waiting))
        except GptevalError as error:
            failures += [Failure(info.name, unit.task.label, str(error), unit.shots) for unit in of_model]
            continue
        for unit in of_model:
            try:
                _estimate(plan, store, backend, unit)
            except GptevalError as error:
                unavailable = isinstance(error, NotAvailable)
                failures.append(Failure(info.name, unit.task.label, str(error), unit.shots, unavailable))
    return failures


def _estimate(plan: RunPlan, store: ResultStore, backend: Backend, unit: Unit) -> None:
    data = plan.data[unit.task.label]
    if isinstance(data, GptevalError):
        raise data
    backend = backend.for_task(data.task, unit.shots, plan.listener.warned)
    prompts = plan.prompts_of(backend.adapted(data), unit)
    queries = planned_by(backend, prompts, plan.config.repeats, unit.seed).queries
    known = known_to(backend, store, queries)
    found = backend.estimate([query for key, query in queries.items() if key not in known])
    plan.listener.estimated(unit, replace(found, items=len(prompts)))

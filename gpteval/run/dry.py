"""What a run would take, without asking anything of a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gpteval.api.prices import Budget
from gpteval.core.errors import GptevalError, NotAvailable
from gpteval.core.outcomes import Failure
from gpteval.models.catalogue import ModelInfo
from gpteval.run.engines import AnyEngine, known_to, make_engine, open_model, tuned_for
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
            engine = make_engine(open_model(pinned, plan.config), plan.config.computing, budget)
        except GptevalError as error:
            failures += [Failure(info.name, unit.task.label, str(error), unit.shots) for unit in of_model]
            continue
        for unit in of_model:
            try:
                _estimate(plan, store, engine, unit)
            except GptevalError as error:
                unavailable = isinstance(error, NotAvailable)
                failures.append(Failure(info.name, unit.task.label, str(error), unit.shots, unavailable))
    return failures


def _estimate(plan: RunPlan, store: ResultStore, engine: AnyEngine, unit: Unit) -> None:
    data = plan.data[unit.task.label]
    if isinstance(data, GptevalError):
        raise data
    if tuned := tuned_for(engine, unit, data.task, plan.listener.warned):
        engine, data = tuned, tuned.by_head(data)
    queries = engine.plan(plan.prompts_of(data, unit)).queries
    known = known_to(engine, store, queries)
    plan.listener.estimated(unit, engine.estimate([query for key, query in queries.items() if key not in known]))

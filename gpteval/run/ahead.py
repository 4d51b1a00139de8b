"""Before a run makes its results: what it would take, and what worker processes compute for it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from gpteval.api.prices import Budget
from gpteval.core.errors import GptevalError, ModelError, NotAvailable
from gpteval.core.types import Failure
from gpteval.engine.engine import Plan
from gpteval.models.catalogue import ModelInfo
from gpteval.run.config import RunConfig
from gpteval.run.engines import AnyEngine, make_engine, open_model
from gpteval.run.journal import ResultStore
from gpteval.run.plan import RunPlan
from gpteval.run.units import Unit
from gpteval.run.workers import PART_TOKENS, Part, Pool

Units = Mapping[ModelInfo, Sequence[Unit]]


def processes(config: RunConfig) -> int:
    """How many processes compute beside this one; 0 where it computes alone."""
    import torch

    gpus = torch.cuda.device_count() if config.load.device in ("auto", "cuda") else 0
    if config.executor == "inline" or (config.executor == "auto" and gpus < 2):
        return 0
    return config.workers or gpus or min(4, os.cpu_count() or 1)


def estimate(plan: RunPlan, store: ResultStore, units: Units, budget: Budget) -> list[Failure]:
    """Tell the listener what each unit would still ask of its model and what that costs at most; what cannot be."""
    failures = []
    for info, of_model in units.items():
        try:
            _, engine = _engine(plan, info, budget)
        except GptevalError as error:
            failures += [Failure(info.name, unit.task.label, str(error), unit.shots) for unit in of_model]
            continue
        for unit in of_model:
            try:
                rows = _rows(plan, engine, unit).rows
            except GptevalError as error:
                unavailable = isinstance(error, NotAvailable)
                failures.append(Failure(info.name, unit.task.label, str(error), unit.shots, unavailable))
                continue
            known = store.get(rows)
            plan.listener.estimated(unit, engine.estimate([row for key, row in rows.items() if key not in known]))
    return failures


def fill(
    plan: RunPlan, store: ResultStore, units: Units, budget: Budget, manifest: dict[str, Any], count: int
) -> dict[str, ModelError]:
    """Have ``count`` processes compute what the store lacks of models with weights, and note in the manifest what ran.

    The units, by label, whose workers died again and again.
    """
    done = wanted = 0  # tokens; the latter grows while units are looked at
    lost: dict[str, ModelError] = {}

    def parts() -> Iterator[Part]:
        nonlocal wanted
        for info, of_model in units.items():
            if info.api:
                continue
            try:
                pinned, engine = _engine(plan, info, budget)
            except GptevalError:
                continue  # told when its turn comes
            for unit in (replace(unit, model=pinned) for unit in of_model):
                try:
                    rows = _rows(plan, engine, unit).rows
                except GptevalError:
                    continue
                known = frozenset(store.get(rows))
                if len(known) < len(rows):
                    whole = Part(unit, rows, known, 0, 1)
                    wanted += whole.tokens
                    of = max(1, min(2 * count, whole.tokens // PART_TOKENS))
                    yield from (replace(whole, number=number, of=of) for number in range(of))

    for part, batch, facts in Pool(plan.config, count).compute(parts()):
        if batch:
            store.put(batch)
            done += sum(part.rows[key].length for key in batch)
            plan.listener.filled(part.unit, done, wanted, count)
        if isinstance(facts, ModelError):
            lost[part.unit.label] = facts
        elif facts:
            manifest["models"].setdefault(part.unit.model.name, {}).update(facts)
    return lost


def _engine(plan: RunPlan, info: ModelInfo, budget: Budget) -> tuple[ModelInfo, AnyEngine]:
    """The model as a lock pins it, and its engine. Raises GptevalError."""
    pinned = plan.lock.pin_model(info) if plan.lock else info
    return pinned, make_engine(open_model(pinned, plan.config), plan.config, budget)


def _rows(plan: RunPlan, engine: AnyEngine, unit: Unit) -> Plan:
    """What a unit needs. Raises GptevalError where its data or prompts cannot be had."""
    data = plan.data[unit.task.label]
    if isinstance(data, GptevalError):
        raise data
    return engine.plan(plan.prompts_of(data, unit))

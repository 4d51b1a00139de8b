"""Which engine runs a model: our own on its weights, one that asks a server, or one that asks a tuned head."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path

from gpteval.api.api_engine import ApiEngine
from gpteval.api.api_model import ApiModel
from gpteval.api.chat import ChatEngine
from gpteval.api.completions import CompletionsEngine
from gpteval.api.prices import Budget
from gpteval.engine.engine import Engine
from gpteval.models.catalogue import ModelInfo
from gpteval.models.loader import HFModel
from gpteval.run.config import Computing, RunConfig
from gpteval.run.units import Unit
from gpteval.store.journal import ResultStore
from gpteval.tasks.profiles import LM_EVAL
from gpteval.tasks.task import Task
from gpteval.tune.asked import asks_alike
from gpteval.tune.head_engine import HeadEngine, TunedEngine
from gpteval.tune.saved import read_tuned
from gpteval.tune.tuned_info import Tuned

AnyModel = HFModel | ApiModel
AnyEngine = Engine | ChatEngine | CompletionsEngine


def open_model(info: ModelInfo, config: RunConfig) -> AnyModel:
    """The model, whose weights are not loaded yet. Raises ModelError."""
    return ApiModel(info, config.api) if info.api else HFModel(info, config.load)


def make_engine(model: AnyModel, config: Computing, budget: Budget) -> AnyEngine:
    """The engine for it. Raises UsageError for an API that cannot be asked with these options."""
    peer = config.profile == LM_EVAL
    if isinstance(model, HFModel):
        return Engine(model, batch_tokens=config.batch_tokens, stride=config.stride, as_lm_eval=peer)
    if model.info.api == "chat":
        return ChatEngine(model, budget)
    return CompletionsEngine(model, budget, stride=config.stride, as_lm_eval=peer)


def tuning_of(model: AnyModel) -> Tuned | None:
    """What a tuned model's folder says of its tuning; None of any other. Raises ModelError."""
    return read_tuned(Path(model.info.location)) if model.info.local else None


def tuned_for(engine: AnyEngine, unit: Unit, task: Task, warn: Callable[[str], None]) -> TunedEngine | None:
    """The engine of a tuned model for the task that it was tuned for, where no examples are shown; else None.

    ``task``: the unit's, with its data where they were loaded from. ``warn`` is told of one that has only the name.
    """
    if unit.shots or not isinstance(engine, Engine):
        return None
    tuned = tuning_of(engine.model)
    if tuned is None or tuned.task != unit.task.label:
        return None
    if not asks_alike(task, tuned.asked):
        warn(
            f"{engine.model.info.name} was tuned for a task {unit.task.label} that asks otherwise than this one: "
            "here it is asked as any other model is"
        )
        return None
    return engine_for_its_task(engine)


def engine_for_its_task(engine: AnyEngine) -> TunedEngine:
    """The engine that asks a tuned model for the task that it was tuned for."""
    tuned = tuning_of(engine.model)
    assert isinstance(engine, Engine)
    assert tuned is not None
    kind = TunedEngine if tuned.kind == "texts" else HeadEngine
    return kind(engine.model, tuned, batch_tokens=engine.batch_tokens)


def known_to(engine: AnyEngine, store: ResultStore, queries: Collection[bytes]) -> set[bytes]:
    """The queries that need not be computed. Raises ModelError where a server's earlier answers are another model's."""
    known = store.known(queries)
    if isinstance(engine, ApiEngine):
        known -= engine.recall(store.get(queries))
    return known

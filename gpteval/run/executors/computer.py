"""What a worker does, wherever it runs: it holds a model and computes the parts that it is handed."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from gpteval.api.prices import Budget
from gpteval.core.errors import GptevalError, ModelError, unforeseen
from gpteval.engine.engine import Plan
from gpteval.models.catalogue import ModelInfo, found_here
from gpteval.models.loader import SPREAD, HFModel
from gpteval.models.memory import peak_memory
from gpteval.run.config import Computing
from gpteval.run.engines import AnyEngine, engine_for_its_task, make_engine
from gpteval.run.parts import Part, PartResult
from gpteval.tokens.queries import ENGINE_VERSION, Query

Message = tuple[str, Any]  # "batch" and results, "facts" and facts, or "failed" with message and hint
SAME = "give all machines the same versions, models and folders"


@dataclass(frozen=True)
class Order:
    """A part as it is handed out.

    ``source``: what ``model`` was converted from, where it was: another machine can do the same. ``dtype`` and kind of
    ``device``: what was planned with, which a worker on another machine would not choose by itself. ``key`` and
    ``version``: of model and engine that were planned with, which a worker must have too. ``tuned``: a tuned model is
    asked for its own task.
    """

    model: ModelInfo
    source: str
    key: str
    version: int
    dtype: str
    device: str
    tuned: bool
    known: Collection[bytes]
    number: int
    of: int


def order_of(part: Part) -> Order:
    """A part as it is handed out now."""
    work, model = part.work, part.work.job.engine.model
    kind = SPREAD if isinstance(model, HFModel) and model.spread else model.device.partition(":")[0]
    tuned = work.job.tuned is not None
    known = frozenset(work.known)
    info, source = model.info, model.source if isinstance(model, HFModel) else ""
    if info.local:  # wherever a worker was started
        info, source = replace(info, location=os.path.abspath(info.location)), os.path.abspath(source)
    return Order(info, source, model.key, ENGINE_VERSION, model.dtype, kind, tuned, known, part.number, part.of)


def step_of(part: Part, message: Message) -> PartResult:
    """What a message says of a part."""
    kind, value = message
    if kind == "batch":
        return PartResult(part, value)
    return (
        PartResult(part, facts=value, done=True)
        if kind == "facts"
        else PartResult(part, error=ModelError(*value), done=True)
    )


class Computer:
    """Computes orders; of two in a row for one model, the second has it loaded."""

    def __init__(self, config: Computing) -> None:
        self.config = config
        self._held = ""  # the key of the model that the engines are of
        self._engines: dict[bool, AnyEngine] = {}

    def messages(self, order: Order, queries: Mapping[bytes, Query]) -> Iterator[Message]:
        """What a part of ``queries`` gives: batches of results, and at the end what ran or what went wrong."""
        try:
            engine = self._engine(order)
            for batch in engine.compute(Plan([], [], queries), order.known, part=order.number, of=order.of):
                yield "batch", batch
            yield "facts", engine.facts() | {"peak_memory_bytes": peak_memory(engine.model.device)}
        except GptevalError as error:
            yield "failed", (error.message, error.hint)
        except Exception as error:
            yield "failed", (unforeseen(error).message, unforeseen(error).hint)

    def _engine(self, order: Order) -> AnyEngine:
        if order.version != ENGINE_VERSION:
            raise ModelError(f"a worker has another version of gpteval's engine ({ENGINE_VERSION})", SAME)
        if self._held != order.key:
            self._held = ""
            self._engines.clear()  # the one before leaves first
            load = self.config.load
            device = load.device if load.device.partition(":")[0] == order.device else order.device
            config = replace(self.config, load=replace(load, dtype=order.dtype, device=device))
            model = HFModel(found_here(order.model, order.source), config.load)
            if model.key != order.key:
                raise ModelError(f"model {order.model.name} has other files or code where a worker runs", SAME)
            self._engines[False] = make_engine(model, config, Budget(None))
            self._held = order.key
        if order.tuned and True not in self._engines:
            self._engines[True] = engine_for_its_task(self._engines[False])
        return self._engines[order.tuned]

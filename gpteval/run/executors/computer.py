"""What a worker does, wherever it runs: it holds a model and computes the parts that it is handed."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from gpteval.backends.by_prefix import open_backend, raised_by
from gpteval.backends.interface import Backend
from gpteval.backends.opening import Computing, Opening
from gpteval.backends.query_plan import Plan
from gpteval.core.errors import GptevalError, ModelError
from gpteval.models.catalogue import ModelInfo, found_here
from gpteval.models.memory import peak_memory
from gpteval.run.parts import Part, PartResult
from gpteval.tokens.queries import ENGINE_VERSION, Query

Message = tuple[str, Any]  # "batch" and results, "facts" and facts, or "failed" with message and hint
SAME = "give all machines the same versions, models and folders"


@dataclass(frozen=True)
class Order:
    """A part as it is handed out.

    ``source``: what ``model`` was converted from, where it was: another machine can do the same. ``dtype`` and kind of
    ``device``: what was planned with, which a worker on another machine would not choose by itself. ``key`` and
    ``version``: of model and engine that were planned with, which a worker must have too. ``protocol``: of the backend.
    """

    model: ModelInfo
    source: str
    key: str
    version: int
    dtype: str
    device: str
    protocol: str
    known: Collection[bytes]
    number: int
    of: int


def order_of(part: Part) -> Order:
    """A part as it is handed out now."""
    work, backend = part.work, part.work.job.backend
    model = backend.model
    known = frozenset(work.known)
    info, source = model.info, model.source
    if info.local:  # wherever a worker was started
        info, source = replace(info, location=os.path.abspath(info.location)), os.path.abspath(source)
    how = (model.key, ENGINE_VERSION, model.dtype, model.place, backend.protocol)
    return Order(info, source, *how, known, part.number, part.of)


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
        self._held: Backend | None = None

    def messages(self, order: Order, queries: Mapping[bytes, Query]) -> Iterator[Message]:
        """What a part of ``queries`` gives: batches of results, and at the end what ran or what went wrong."""
        try:
            backend = self._backend(order)
            for batch in backend.compute(Plan([], [], queries), order.known, part=order.number, of=order.of):
                yield "batch", batch
            yield "facts", backend.facts() | {"peak_memory_bytes": peak_memory(backend.model.device)}
        except GptevalError as error:
            yield "failed", (error.message, error.hint)
        except Exception as error:
            told = raised_by(order.model, error)
            yield "failed", (told.message, told.hint)

    def _backend(self, order: Order) -> Backend:
        if order.version != ENGINE_VERSION:
            raise ModelError(f"a worker has another version of gpteval's engine ({ENGINE_VERSION})", SAME)
        if self._held is None or self._held.model.key != order.key:
            self._held = None  # the one before leaves first
            load = self.config.load
            device = load.device if load.device.partition(":")[0] == order.device else order.device
            load = replace(load, dtype=order.dtype or load.dtype, device=device or load.device)
            opening = Opening(replace(self.config, load=load))
            backend = open_backend(found_here(order.model, order.source), opening)
            if backend.model.key != order.key:
                raise ModelError(f"model {order.model.name} has other files or code where a worker runs", SAME)
            self._held = backend
        return self._held.under(order.protocol)

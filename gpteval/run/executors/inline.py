"""The executor that computes in this process, with the engines that the run has planned with."""

from __future__ import annotations

from collections.abc import Iterator

from gpteval.api.api_engine import ApiEngine
from gpteval.core.errors import GptevalError, unforeseen
from gpteval.data.downloads import announced
from gpteval.models.memory import peak_memory
from gpteval.run.parts import Part, PartResult, PartResults
from gpteval.run.units import Listener


class Inline:
    """One part after the other."""

    workers = 0

    def __init__(self, listener: Listener) -> None:
        self.listener = listener

    def compute(self, parts: Iterator[Part]) -> PartResults:
        for part in parts:
            work, job, error = part.work, part.work.job, None
            engine = job.engine
            try:
                if not (job.error or engine.model.loaded):
                    with announced(self.listener.loading, f"the weights of {job.unit.model.name}"):
                        _ = engine.model.module
                if isinstance(engine, ApiEngine):
                    engine.client.tell = self.listener.waiting
                batches = engine.compute(work.plan, work.known, part=part.number, of=part.of)
                while not job.error and (batch := next(batches, None)) is not None:
                    yield PartResult(
                        part, batch, engine.facts() | {"peak_memory_bytes": peak_memory(engine.model.device)}
                    )
            except GptevalError as found:
                error = found
            except Exception as found:
                error = unforeseen(found)
            facts = engine.facts() if isinstance(engine, ApiEngine) else {}  # what was spent, also in vain
            yield PartResult(part, facts=facts, error=error, done=True)

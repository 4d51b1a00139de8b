"""The executor that computes in this process, with the engines that the run has planned with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from gpteval.backends.by_prefix import raised_by
from gpteval.core.errors import GptevalError
from gpteval.data.downloads import announced
from gpteval.models.memory import peak_memory
from gpteval.run.config import RunConfig
from gpteval.run.parts import Executor, Part, PartResult
from gpteval.run.units import Listener


class Inline(Executor):
    """One part after the other, as it is submitted."""

    def __init__(self, config: RunConfig, listener: Listener) -> None:
        self.listener = listener

    def drain(self) -> Iterable[PartResult]:
        return ()

    def submit(self, part: Part) -> Iterator[PartResult]:
        work, job, error = part.work, part.work.job, None
        backend = job.backend
        try:
            if not (job.error or backend.ready):
                with announced(self.listener.loading, f"the weights of {job.unit.model.name}"):
                    backend.load()
            batches = backend.compute(work.plan, work.known, part=part.number, of=part.of)
            while not job.error and (batch := next(batches, None)) is not None:
                facts = {"peak_memory_bytes": peak_memory(backend.model.device)}
                yield PartResult(part, batch, backend.facts() | facts)
        except GptevalError as found:
            error = found
        except Exception as found:
            error = raised_by(backend.model.info, found)
        yield PartResult(part, facts=backend.facts(), error=error, done=True)  # what was spent in vain, too

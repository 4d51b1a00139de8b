"""The executor that computes in this process, with the engines that the run has planned with."""

from __future__ import annotations

from collections.abc import Iterator

from gpteval.core.downloads import told
from gpteval.core.errors import GptevalError, unforeseen
from gpteval.core.memory import peak_memory
from gpteval.run.parts import Facts, Part, Step, Work
from gpteval.run.units import Listener


class Inline:
    """One part after the other."""

    workers = 0

    def __init__(self, listener: Listener) -> None:
        self.listener = listener

    def cut(self, tokens: int) -> int:
        return 1

    def compute(self, parts: Iterator[Part]) -> Iterator[Step]:
        for part in parts:
            work, error = part.work, None
            try:
                if not work.engine.model.loaded:
                    with told(self.listener.loading, f"the weights of {work.unit.model.name}"):
                        _ = work.engine.model.module
                for batch in work.engine.compute(work.plan, set(work.known), part=part.number, of=part.of):
                    yield Step(part, batch, _facts(work))
                    if work.error:
                        break
            except GptevalError as found:
                error = found
            except Exception as found:
                error = unforeseen(found)
            yield Step(part, error=error, done=True)


def _facts(work: Work) -> Facts:
    return work.engine.facts() | {"peak_memory_bytes": peak_memory(work.engine.model.device)}

"""A whole executor, as docs/backends.md speaks of: here, but the last part first."""

from __future__ import annotations

from collections.abc import Iterable

from gpteval.run.config import RunConfig
from gpteval.run.executors.computer import Computer, order_of, step_of
from gpteval.run.parts import Executor, Part, PartResult
from gpteval.run.units import Listener


class Backwards(Executor):
    def __init__(self, config: RunConfig, listener: Listener) -> None:
        self.workers = 2
        self.computer = Computer(config.computing)
        self.parts: list[Part] = []

    def submit(self, part: Part) -> Iterable[PartResult]:
        self.parts.append(part)
        return ()

    def drain(self) -> Iterable[PartResult]:
        for part in reversed(self.parts):
            for message in self.computer.messages(order_of(part), part.work.queries):
                yield step_of(part, message)

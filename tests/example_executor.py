"""A whole executor, for docs/scaling.md and tests/test_backends.py: here, but the last part first."""

from __future__ import annotations

from collections.abc import Iterator

from gpteval.run.config import RunConfig
from gpteval.run.executors.computer import Computer, order_of, step_of
from gpteval.run.parts import Part, PartResults
from gpteval.run.units import Listener


class Backwards:
    def __init__(self, config: RunConfig, listener: Listener) -> None:
        self.workers = 2
        self.computer = Computer(config.computing)

    def compute(self, parts: Iterator[Part]) -> PartResults:
        for part in reversed(list(parts)):
            for message in self.computer.messages(order_of(part), part.work.queries):
                yield step_of(part, message)

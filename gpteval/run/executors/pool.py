"""What executors with workers have in common: who gets what next, and what becomes of a part whose worker is lost."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator

from gpteval.core.errors import ModelError
from gpteval.run.config import RunConfig
from gpteval.run.executors.part_queue import TRIES, PartQueue
from gpteval.run.parts import Executor, Part, PartResult
from gpteval.run.units import Listener

LOOK_SECONDS = 5.0  # between two looks at workers that give nothing
Heard = Iterator[PartResult | Part]  # what came of a part, or the part that a lost worker leaves behind


class Pool(Executor):
    """``workers`` of one kind, in plural ``called``. A part whose workers are lost, one after the other, ends with a
    ModelError. Who derives from this says how a worker gets a part and is heard.
    """

    called = "workers"

    def __init__(self, config: RunConfig, listener: Listener, workers: int) -> None:
        self.config, self.listener, self.workers = config, listener, workers
        self.queue: PartQueue[Part] = PartQueue(workers)

    @property
    @abstractmethod
    def has_room(self) -> bool:
        """Whether somebody can take a part now."""

    @property
    @abstractmethod
    def is_busy(self) -> bool:
        """Whether somebody is at a part."""

    @abstractmethod
    def hand(self, part: Part) -> None:
        """Give a part to somebody."""

    @abstractmethod
    def listen(self, seconds: float) -> Heard:
        """What workers say, waited for at most so long where anybody may say something."""

    def look_after(self) -> None:
        """Before each turn: start who is missing, end who is silent for ``worker_timeout``."""

    def submit(self, part: Part) -> Iterator[PartResult]:
        self.queue.add(part)
        yield from self.turn(0)
        while self.queue.is_full:
            yield from self.turn(LOOK_SECONDS)

    def drain(self) -> Iterator[PartResult]:
        while self.queue or self.is_busy:
            yield from self.turn(LOOK_SECONDS)

    def turn(self, seconds: float) -> Iterator[PartResult]:
        """Hand out what somebody can take, and give what is said within so many seconds."""
        self.look_after()
        yield from self._hand_out()
        for heard in self.listen(seconds):
            if isinstance(heard, PartResult):
                yield heard
            elif not self.queue.lost(heard):
                yield PartResult(heard, error=self._lost_error(), done=True)
        yield from self._hand_out()

    def _hand_out(self) -> Iterator[PartResult]:
        while self.queue and self.has_room:
            part = self.queue.next()
            if part.is_wanted:
                self.hand(part)
            else:
                yield PartResult(part, done=True)

    def _lost_error(self) -> ModelError:
        timeout = self.config.worker_timeout
        return ModelError(
            f"{TRIES} {self.called}, one after the other, died or gave nothing for {timeout:g} s",
            "most often for want of memory: fewer --workers, --batch-tokens 512; slow ones need a longer "
            "--worker-timeout",
        )

"""The executor of several processes on this machine: one a GPU, or each with its share of the cores.

Results come back batch by batch. A worker that dies, or gives nothing for long, is replaced, and its part is handed out
again.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from multiprocessing.context import BaseContext
from typing import Any

from gpteval.backends.opening import Computing
from gpteval.models.loader import pick_device
from gpteval.run.config import RunConfig
from gpteval.run.executors.computer import Computer, Message, order_of, step_of
from gpteval.run.executors.pool import Heard, Pool
from gpteval.run.parts import Part, PartResult, Work
from gpteval.run.units import Listener
from gpteval.tokens.queries import Query

CORES = 4
IMPORTED = ("gpteval.run.executors.computer", "gpteval.engine.score", "gpteval.engine.generate", "transformers")


@dataclass
class _Worker:
    """A process, its end of the pipe, what it is at, whose queries it has, and when it gave something last."""

    process: Any
    pipe: Connection
    part: Part | None = None
    has: Work | None = None
    heard: float = 0.0


class ProcessPool(Pool):
    """So many processes as are asked for; by default one a GPU, or one a core up to ``CORES``."""

    called = "worker processes"

    def __init__(self, config: RunConfig, listener: Listener) -> None:
        super().__init__(config, listener, config.workers or _workers(config.load.device))
        self._alive: list[_Worker] = []

    @property
    def has_room(self) -> bool:
        return len(self._alive) < self.workers or any(worker.part is None for worker in self._alive)

    @property
    def is_busy(self) -> bool:
        return any(worker.part for worker in self._alive)

    def listen(self, seconds: float) -> Heard:
        for worker in self._talking(seconds):
            try:
                yield self._heard(worker, worker.pipe.recv())
            except (EOFError, OSError):
                yield self._end(worker)

    def look_after(self) -> None:
        """Kill workers that gave nothing for too long; the next look finds them dead."""
        for worker in self._alive:
            if worker.part and time.monotonic() - worker.heard > self.config.worker_timeout:
                worker.process.kill()

    def close(self) -> None:
        for worker in list(self._alive):
            self._end(worker)

    def _talking(self, seconds: float) -> list[_Worker]:
        """The workers at work that gave something, or died; waited for at most so long."""
        busy = {worker.pipe: worker for worker in self._alive if worker.part is not None}
        return [busy[pipe] for pipe in wait(list(busy), timeout=seconds)] if busy else []  # type: ignore[index]

    def _heard(self, worker: _Worker, message: Message) -> PartResult:
        assert worker.part is not None
        worker.heard = time.monotonic()
        step = step_of(worker.part, message)
        worker.part = None if step.done else worker.part
        return step

    def hand(self, part: Part) -> None:
        worker = next((worker for worker in self._alive if worker.part is None), None) or self._start()
        queries = None if worker.has is part.work else dict(part.work.queries)
        worker.part, worker.has, worker.heard = part, part.work, time.monotonic()
        with suppress(OSError):  # it died: the next wait finds that out
            worker.pipe.send((order_of(part), queries))

    def _start(self) -> _Worker:
        starting = _starting(self.config.load.device)
        ours, theirs = starting.Pipe()
        number = next(n for n in range(self.workers) if all(w.process.name != f"gpteval-{n}" for w in self._alive))
        process = starting.Process(  # type: ignore[attr-defined]
            target=_work,
            args=(theirs, self.config.computing, number, self.workers, dict(os.environ)),
            name=f"gpteval-{number}",
            daemon=True,
        )
        process.start()
        theirs.close()
        worker = _Worker(process, ours)
        self._alive.append(worker)
        return worker

    def _end(self, worker: _Worker) -> Part:
        self._alive.remove(worker)
        worker.pipe.close()
        worker.process.kill()
        worker.process.join()
        return worker.part  # type: ignore[return-value]  # asked of those that are at one


def _gpus(device: str) -> int:
    import torch

    return torch.cuda.device_count() if device in ("auto", "cuda") else 0


def _starting(device: str) -> BaseContext:
    """How workers start: on a CPU under Linux they fork from a process that has imported what they need, so that the
    second and each that replaces one starts at once. What GPUs and other systems bring does not survive a fork, or
    there is none: each imports for itself.
    """
    if sys.platform != "linux" or pick_device(device) != "cpu":
        return multiprocessing.get_context("spawn")
    starting = multiprocessing.get_context("forkserver")
    starting.set_forkserver_preload(list(IMPORTED))  # heeded once in a process
    return starting


def _workers(device: str) -> int:
    gpus = _gpus(device)
    cores = min(CORES, os.cpu_count() or 1) if pick_device(device) == "cpu" else 1  # one device: one process
    return gpus or cores


def _work(pipe: Connection, config: Computing, number: int, count: int, environment: Mapping[str, str]) -> None:
    """A worker: computes what it is handed until the pipe ends."""
    import signal

    os.environ.clear()
    os.environ.update(environment)  # that of the run: what it forks from can be older
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the one that started it
    computer: Computer | None = None
    queries: dict[bytes, Query] = {}
    while True:
        try:
            order, new = pipe.recv()
        except (EOFError, OSError):
            return
        queries = new or queries
        computer = computer or Computer(_own_device(config, number, count))  # after the first order was taken
        for message in computer.messages(order, queries):
            pipe.send(message)


def _own_device(config: Computing, number: int, count: int) -> Computing:
    """With a GPU of its own for worker ``number`` of ``count``, or its share of the cores."""
    import torch

    if gpus := _gpus(config.load.device):
        return replace(config, load=replace(config.load, device=f"cuda:{number % gpus}"))
    if "OMP_NUM_THREADS" not in os.environ:  # which is for the user to choose
        torch.set_num_threads(max(1, (os.cpu_count() or 1) // count))
    return config

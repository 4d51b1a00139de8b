"""Several processes compute what a run lacks; one, this one, keeps the journal and makes the results.

What is handed out is a part of a unit's batches, as they are formed from the whole unit: so a row is computed among
the same others as by one process, and gets the same number. Results come back batch by batch and are journalled at
once; the run then finds them there. A worker that dies is replaced, and its part handed out again.
"""

from __future__ import annotations

import multiprocessing
import os
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection, wait
from typing import Any

from gpteval.core.errors import GptevalError, ModelError
from gpteval.engine.engine import Plan
from gpteval.engine.rows import Row, RowResult
from gpteval.models.catalogue import ModelInfo
from gpteval.run.config import RunConfig
from gpteval.run.units import Unit

TRIES = 3  # of a part whose worker dies
PART_TOKENS = 100_000  # a unit of more is handed out in several parts
Facts = dict[str, Any]
AHEAD = 2  # parts a worker that lie ready


@dataclass
class Part:
    """Every ``of``-th batch of a unit's rows, from batch ``number`` on. ``known``: rows that need not be computed."""

    unit: Unit
    rows: Mapping[bytes, Row]
    known: frozenset[bytes]
    number: int
    of: int
    tries: int = 0

    @property
    def tokens(self) -> int:
        """About how many are to be computed."""
        return sum(row.length for key, row in self.rows.items() if key not in self.known) // self.of


@dataclass
class _Worker:
    """A process, its end of the pipe, and what it is at."""

    process: Any
    pipe: Connection
    part: Part | None = None
    got: set[bytes] = field(default_factory=set)


class Pool:
    """``count`` processes; with GPUs each has one of its own, else its share of the cores."""

    def __init__(self, config: RunConfig, count: int) -> None:
        self.config, self.count = config, count
        self.workers: list[_Worker] = []

    def compute(self, parts: Iterator[Part]) -> Iterator[tuple[Part, dict[bytes, RowResult], Facts | ModelError]]:
        """Each batch as it comes, and the engine's facts with the last of a part; ModelError instead where its workers
        died again and again. A part that a worker cannot compute gives nothing: whoever tries again finds out why.
        """
        ready: deque[Part] = deque()
        try:
            while True:
                while len(ready) < AHEAD * self.count and (part := next(parts, None)) is not None:
                    ready.append(part)
                idle = [worker for worker in self.workers if worker.part is None]
                while ready and (idle or len(self.workers) < self.count):
                    self._hand(idle.pop() if idle else self._start(), ready.popleft())
                busy = {worker.pipe: worker for worker in self.workers if worker.part is not None}
                if not busy:
                    return
                for pipe in wait(list(busy)):
                    worker = busy[pipe]  # type: ignore[index]  # the pipes that were waited for
                    part = worker.part
                    assert part is not None
                    try:
                        kind, value = worker.pipe.recv()
                    except (EOFError, OSError):
                        self._end(worker)
                        if part.tries + 1 < TRIES:
                            ready.appendleft(replace(part, known=part.known | worker.got, tries=part.tries + 1))
                        else:
                            yield part, {}, _lost()
                        continue
                    if kind == "batch":
                        worker.got |= value.keys()
                        yield part, value, {}
                    else:
                        worker.part = None
                        yield part, {}, value if kind == "done" else {}
        finally:
            self.close()

    def _hand(self, worker: _Worker, part: Part) -> None:
        worker.part, worker.got = part, set()
        with suppress(OSError):  # it died: the next wait finds that out
            worker.pipe.send((part.unit.model, dict(part.rows), part.known, part.number, part.of))

    def _start(self) -> _Worker:
        spawn = multiprocessing.get_context("spawn")
        ours, theirs = spawn.Pipe()
        number = next(n for n in range(self.count) if all(w.process.name != f"gpteval-{n}" for w in self.workers))
        process = spawn.Process(
            target=_work, args=(theirs, self.config, number, self.count), name=f"gpteval-{number}", daemon=True
        )
        process.start()
        theirs.close()
        worker = _Worker(process, ours)
        self.workers.append(worker)
        return worker

    def _end(self, worker: _Worker) -> None:
        self.workers.remove(worker)
        worker.pipe.close()
        worker.process.kill()
        worker.process.join()

    def close(self) -> None:
        """End all processes."""
        for worker in list(self.workers):
            self._end(worker)


def _lost() -> ModelError:
    return ModelError(
        f"{TRIES} worker processes died one after the other",
        "most often for want of memory: fewer --workers, or --batch-tokens 512",
    )


def _work(pipe: Connection, config: RunConfig, number: int, count: int) -> None:
    """A worker: computes what it is handed until the pipe ends."""
    import signal

    import torch

    from gpteval.api.prices import Budget
    from gpteval.run.engines import make_engine, open_model

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the one that started it
    gpus = torch.cuda.device_count() if config.load.device in ("auto", "cuda") else 0
    if gpus:
        config = replace(config, load=replace(config.load, device=f"cuda:{number % gpus}"))
    else:
        torch.set_num_threads(max(1, (os.cpu_count() or 1) // count))
    held: tuple[ModelInfo | None, Any] = (None, None)
    while True:
        try:
            info, rows, known, part, of = pipe.recv()
        except (EOFError, OSError):
            return
        try:
            if held[0] != info:
                held = (None, None)  # the one before leaves first
                held = info, make_engine(open_model(info, config), config, Budget(None))
            engine = held[1]
            for batch in engine.compute(Plan([], [], rows), dict.fromkeys(known), part=part, of=of):
                pipe.send(("batch", batch))
            pipe.send(("done", engine.facts()))
        except GptevalError:
            pipe.send(("failed", {}))

"""The executor of Ray: actors that hold a model each, on a cluster or on this machine.

A part whose actor is lost, with its process or its whole node, goes to another one. Actors are asked only once they
run: one for which the cluster has no room any more keeps nobody waiting.
"""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from gpteval.backends.opening import Computing
from gpteval.core.errors import UsageError
from gpteval.run.config import RunConfig
from gpteval.run.executors.computer import Computer, Message, Order, order_of, step_of
from gpteval.run.executors.part_queue import TRIES
from gpteval.run.executors.pool import Heard, Pool
from gpteval.run.parts import Part, PartResult, Work
from gpteval.run.units import Listener

KNOCK_SECONDS = 10.0


@dataclass(eq=False)
class _Actor:
    """``asked``: what is waited for, its start or the stream of a part's batches."""

    handle: Any
    asked: Any
    heard: float
    part: Part | None = None
    runs: bool = False


class RayPool(Pool):
    """So many actors as are asked for; by default one a GPU of the cluster, or one a core where it has none.

    Raises UsageError where Ray is not installed or the cluster cannot be reached.
    """

    called = "actors"

    def __init__(self, config: RunConfig, listener: Listener) -> None:
        self.ray = _connected(config.ray_address)
        there = self.ray.cluster_resources()
        self._gpus = 1 if there.get("GPU") and config.load.device in ("auto", "cuda") else 0
        workers = config.workers or int(there.get("GPU" if self._gpus else "CPU", 1))
        super().__init__(config, listener, workers)
        self._alive: list[_Actor] = []
        self._failed_starts = 0
        self._queries: tuple[Work | None, Any] = None, None  # of the last slice, in Ray's store

    @property
    def has_room(self) -> bool:
        return any(actor.runs and actor.part is None for actor in self._alive)

    @property
    def is_busy(self) -> bool:
        return any(actor.part for actor in self._alive)

    def hand(self, part: Part) -> None:
        actor = next(actor for actor in self._alive if actor.runs and actor.part is None)
        work = part.work
        if self._queries[0] is not work:
            self._queries = work, self.ray.put(dict(work.queries))
        actor.part, actor.heard = part, time.monotonic()
        actor.asked = actor.handle.compute.options(num_returns="streaming").remote(order_of(part), self._queries[1])

    def listen(self, seconds: float) -> Heard:
        for actor in self._talking(seconds):
            if (found := self._heard(actor)) is not None:
                yield found

    def look_after(self) -> None:
        self._end_silent()
        if self.queue and len(self._alive) < self.workers:
            self._alive.append(self._start())

    def close(self) -> None:
        for actor in self._alive:
            self.ray.kill(actor.handle)
        self._alive.clear()

    def _start(self) -> _Actor:
        options = {"num_cpus": 1, "num_gpus": self._gpus, "scheduling_strategy": "SPREAD", "max_restarts": 0}
        handle = self.ray.remote(_Worker).options(**options).remote(self.config.computing)
        return _Actor(handle, handle.runs.remote(), time.monotonic())

    def _talking(self, seconds: float) -> list[_Actor]:
        """The actors that gave something or were lost; waited for at most so long."""
        asked = {actor.asked: actor for actor in self._alive if actor.part or not actor.runs}
        if not asked:
            return []
        found, _ = self.ray.wait(list(asked), num_returns=1, timeout=seconds, fetch_local=False)
        return [asked[one] for one in found]

    def _heard(self, actor: _Actor) -> PartResult | Part | None:
        """What came of an actor's part; the part itself where the actor was lost."""
        part, actor.heard = actor.part, time.monotonic()
        try:
            said = self.ray.get(actor.asked if part is None else next(actor.asked))
        except (self.ray.exceptions.RayError, StopIteration) as error:
            self._alive.remove(actor)
            if not actor.runs:
                self._count_stillborn(error)
            return part
        if part is None:
            actor.runs, self._failed_starts = True, 0
            return None
        step = step_of(part, said)
        actor.part = None if step.done else part
        return step

    def _count_stillborn(self, error: Exception) -> None:
        """Raise UsageError where one actor after the other dies before it runs."""
        self._failed_starts += 1
        if self._failed_starts >= TRIES * self.workers:
            reason = " ".join(str(error).split())[-300:]
            raise UsageError(
                f"no worker starts on the Ray cluster: {reason}", "install gpteval on all nodes, in the same versions"
            )

    def _end_silent(self) -> None:
        """Kill actors that gave nothing for too long; the next look finds them dead. Raises UsageError where none
        could be started in that time.
        """
        silent = [a for a in self._alive if time.monotonic() - a.heard > self.config.worker_timeout]
        if silent and not any(actor.runs for actor in self._alive):
            raise UsageError(
                f"the Ray cluster had no room for a worker in {self.config.worker_timeout:g} s",
                f"each needs {'a GPU' if self._gpus else 'a core'}: look at `ray status`",
            )
        for actor in silent:
            if actor.part:
                self.ray.kill(actor.handle)


class _Worker:
    """What an actor is."""

    def __init__(self, config: Computing) -> None:
        self.computer = Computer(config)

    def runs(self) -> bool:
        return True

    def compute(self, order: Order, queries: Any) -> Iterator[Message]:
        yield from self.computer.messages(order, queries)


def _connected(address: str) -> Any:
    """Ray, connected to the cluster at ``address``, or to one of this machine alone that ends with this process."""
    if not address:
        os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"  # Ray's word for: no other machine, loopback only
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # an actor without GPUs leaves the variables alone
    try:
        import ray
    except ImportError as error:
        raise UsageError("--executor ray needs Ray", "pip install 'gpteval[ray]'") from error
    if ray.is_initialized():
        return ray
    quiet: dict[str, Any] = {"logging_level": "error", "log_to_driver": False}
    terminate = signal.getsignal(signal.SIGTERM)  # Ray puts one in its place that raises SystemExit wherever it is
    try:
        if address:
            _check_address(address)
            ray.init(address=address, **quiet)
        else:
            ray.init(address="local", include_dashboard=False, **quiet)
    except Exception as error:  # of a cluster that cannot be reached Ray raises many kinds
        raise UsageError(
            f"the Ray cluster {address or 'of this machine'} cannot be used: {error}",
            "start one with: ray start --head",
        ) from error
    finally:
        if terminate is not None and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, terminate)
    return ray


def _check_address(address: str) -> None:
    """Raise OSError at once where nobody listens: Ray itself tries for minutes."""
    host, _, port = address.rpartition(":")
    if port.isdecimal() and "/" not in host:
        socket.create_connection((host.strip("[]"), int(port)), timeout=KNOCK_SECONDS).close()

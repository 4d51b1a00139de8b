"""The executor of a shared folder: workers on any machine that sees it, started by Slurm or by hand.

Nothing but files and their renaming is used, which one machine does at a time even where the folder is on a network.
In ``work/`` of the run's folder:

    ID.queries         a slice's queries
    waiting/PART       an order; a worker that begins moves it to
    claimed/PART       and changes its time while it lives
    said/PART.NUMBER   a message, each whole when it has this name
    ended              nobody is to come any more

A worker whose order does not change its time for ``LEASE`` seconds, as this machine's clock passes, is taken for lost.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from gpteval.core.atomic import write_whole
from gpteval.core.errors import OutputError, StoreError
from gpteval.run.config import RunConfig
from gpteval.run.executors.computer import order_of, step_of
from gpteval.run.executors.pool import Heard, Pool
from gpteval.run.executors.wire import dump_order, dump_queries, load_message
from gpteval.run.parts import Part, PartResult, Work
from gpteval.run.units import Listener

WORK = "work"
WAITING, CLAIMED, SAID = "waiting", "claimed", "said"
ENDED = "ended"
MARK = ".gpteval"  # a folder that has it was made for workers
BEAT = 5.0  # seconds between two signs of life
LEASE = 12 * BEAT
LOOK_SECONDS = 0.2
CALL_SECONDS = 10.0  # without a worker at work, until that is told
WORKERS = 8  # that are expected where their number is not told
KEPT = 4  # slices whose queries stay in the folder


@dataclass
class _Given:
    """A part that was handed out: when its order last changed its time, and when its worker last said something."""

    part: Part
    stamp: float = 0.0
    beat: float = 0.0
    heard: float = 0.0
    said: int = 0


class FolderPool(Pool):
    """Waits for workers, hands out orders, and takes what they say. Raises StoreError where files cannot be written."""

    def __init__(self, config: RunConfig, listener: Listener) -> None:
        super().__init__(config, listener, config.workers or WORKERS)
        self.folder = config.folder / WORK
        self._given: dict[str, _Given] = {}
        self._queries: dict[Work, str] = {}
        self._worked, self._called = time.monotonic(), False  # when somebody was last at work; whether it was said

    @property
    def has_room(self) -> bool:
        return len(self._given) < 2 * self.workers

    @property
    def is_busy(self) -> bool:
        return bool(self._given)

    def begin(self) -> None:
        with _explained():
            self._open()

    def turn(self, seconds: float) -> Iterator[PartResult]:
        with _explained():
            yield from super().turn(seconds)

    def listen(self, seconds: float) -> Heard:
        until = time.monotonic() + seconds
        heard = False
        while True:
            for name, given in list(self._given.items()):
                for step in self._messages(name, given):
                    heard = True
                    yield step
                if name in self._given and self._is_lost(name, given):
                    self._forget(name)
                    heard = True
                    yield given.part
            if heard or not self._given or time.monotonic() >= until:
                return
            time.sleep(LOOK_SECONDS)
            self.look_after()

    def look_after(self) -> None:
        self._mend()
        self._call_workers()

    def close(self) -> None:
        if (self.folder / MARK).is_file():
            with suppress(OSError):
                (self.folder / ENDED).touch()

    def _open(self) -> None:
        """Begin anew: what earlier commands handed out is in the journal, or is handed out again. Raises OutputError
        for a folder of that name which no such run made.
        """
        if self.folder.exists() and not (self.folder / MARK).is_file() and any(self.folder.iterdir()):
            raise OutputError(
                f"{self.folder} was not made by gpteval and is left as it is, but workers need a folder of that name",
                "choose another folder with --out",
            )
        for name in (WAITING, CLAIMED, SAID):
            shutil.rmtree(self.folder / name, ignore_errors=True)
        self._make()
        for path in (*self.folder.glob("*.queries"), self.folder / ENDED):  # upon which workers begin
            path.unlink(missing_ok=True)

    def _make(self) -> None:
        for name in (WAITING, CLAIMED, SAID):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        (self.folder / MARK).touch()

    def _mend(self) -> None:
        """Hand out again what somebody has removed from the folder, or the folder itself."""
        gone = [name for name in self._given if not self._is_there(name)]
        if gone:
            self.listener.warned(f"{WORK}/ has lost {len(gone)} orders that were handed out: they are handed out again")
        if gone or not (self.folder / MARK).is_file():
            self._make()
        for name in gone:
            self.hand(self._given.pop(name).part)

    def _is_there(self, name: str) -> bool:
        """Whether an order waits or is claimed; it moves from the one place to the other."""
        return any((self.folder / place / name).exists() for place in (WAITING, CLAIMED))

    def _call_workers(self) -> None:
        """Say how to start workers, once each time that none is at work for a while: also when all have left."""
        now = time.monotonic()
        if any((self.folder / CLAIMED).glob("*")) or not self._given:
            self._worked, self._called = now, False
        elif not self._called and now - self._worked > CALL_SECONDS:
            self._called = True
            self.listener.warned(
                f"no worker is at work; start one here or on another machine: gpteval worker {self.config.folder}"
            )

    def hand(self, part: Part) -> None:
        work = part.work
        if work in self._queries and not (self.folder / self._queries[work]).exists():
            del self._queries[work]
        if work not in self._queries:
            while len(self._queries) >= KEPT and (old := next((w for w in self._queries if not w.left), None)):
                (self.folder / self._queries.pop(old)).unlink(missing_ok=True)
            self._queries[work] = f"{uuid4().hex}.queries"
            self._write(self.folder / self._queries[work], dump_queries(work.queries))
        name = uuid4().hex
        config = self.config.computing
        settings: dict[str, Any] = {name: getattr(config, name) for name in ("batch_tokens", "stride", "profile")}
        settings |= {"tokenizer": config.load.tokenizer, "chat": vars(config.chat)}
        order = dump_order(order_of(part)) | {"queries": self._queries[work], "settings": settings}
        self._write(self.folder / WAITING / name, json.dumps(order))
        self._given[name] = _Given(part)

    def _write(self, path: Path, text: str) -> None:
        """The folder may be removed meanwhile, once: then it is made again."""
        try:
            write_whole(path, text)
        except FileNotFoundError:
            self._make()
            write_whole(path, text)

    def _messages(self, name: str, given: _Given) -> Iterator[PartResult]:
        """What was said of a part, in order."""
        while (path := self.folder / SAID / f"{name}.{given.said}").exists():
            step = step_of(given.part, load_message(path.read_text(encoding="utf-8")))
            given.said, given.heard = given.said + 1, time.monotonic()
            path.unlink()
            if step.done:
                self._forget(name)
            yield step

    def _is_lost(self, name: str, given: _Given) -> bool:
        """Whether the worker that claimed a part is gone, or says nothing for too long."""
        now = time.monotonic()
        try:
            stamp = (self.folder / CLAIMED / name).stat().st_mtime
        except FileNotFoundError:
            return False  # nobody claimed it yet
        given.heard = given.heard or now
        if stamp != given.stamp:
            given.stamp, given.beat = stamp, now
        return now - given.beat > LEASE or now - given.heard > self.config.worker_timeout

    def _forget(self, name: str) -> None:
        """A worker that is still at it finds its order gone, and leaves it."""
        del self._given[name]
        (self.folder / CLAIMED / name).unlink(missing_ok=True)


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, TypeError, LookupError, RecursionError) as error:
        raise StoreError(
            f"cannot use {WORK}/ of the run's folder: {error}", "mend the cause and run the same command again"
        ) from error

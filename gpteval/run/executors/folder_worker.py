"""``gpteval worker``: computes what a run with ``--executor folder`` hands out, until it ends."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from gpteval.backends.chat_options import ChatOptions
from gpteval.backends.opening import Computing
from gpteval.core.atomic import write_whole
from gpteval.core.errors import StoreError, UsageError
from gpteval.models.loader import LoadOptions
from gpteval.run.executors.computer import Computer
from gpteval.run.executors.shared_folder import BEAT, CLAIMED, ENDED, LOOK_SECONDS, MARK, SAID, WAITING, WORK
from gpteval.run.executors.wire import dump_message, load_order, load_queries
from gpteval.tokens.queries import Query


def work(run: Path, load: LoadOptions, *, wait: float, tell: Callable[[str], None]) -> int:
    """Compute parts until the run has ended, or nothing was handed out for ``wait`` seconds; how many.

    ``load``: this worker's own device, and what it allows models to do; the rest is the run's. Raises UsageError where
    no run begins, StoreError where its folder cannot be used.
    """
    folder = run / WORK
    until = time.monotonic() + wait
    tell(f"waiting for work in {run}, {wait:g} s at most")
    while not ((folder / MARK).is_file() and (folder / WAITING).is_dir()) or (folder / ENDED).exists():
        if time.monotonic() > until:
            raise UsageError(f"no run hands out work in {run}", "start one: gpteval run … --executor folder --out …")
        time.sleep(LOOK_SECONDS)
    tell(f"working for {run}")
    worker = _Worker(folder, load)
    until = time.monotonic() + wait
    while not (folder / ENDED).exists():
        if worker.one():
            until = time.monotonic() + wait
        elif time.monotonic() > until:
            tell(f"nothing was handed out for {wait:g} s: this worker ends")
            break
        else:
            time.sleep(LOOK_SECONDS)
    return worker.done


class _Worker:
    def __init__(self, folder: Path, load: LoadOptions) -> None:
        self.folder, self.load, self.done = folder, load, 0
        self._computer: tuple[Any, Computer | None] = None, None  # and its settings
        self._queries: tuple[str, dict[bytes, Query]] = "", {}

    def one(self) -> bool:
        """Claim a part and compute it; whether there was one."""
        for path in sorted((self.folder / WAITING).glob("[!.]*")):
            claimed = self.folder / CLAIMED / path.name
            try:
                path.rename(claimed)
                os.utime(claimed)
            except OSError:
                continue  # another worker was faster
            try:
                self._compute(claimed)
            except (OSError, ValueError, TypeError, LookupError, RecursionError) as error:
                if claimed.exists():  # else it was given to another worker, or the run began anew
                    raise StoreError(f"cannot work in {self.folder}: {error}", "look at that folder") from error
            return True
        return False

    def _compute(self, claimed: Path) -> None:
        """Stops where the order is gone: then it was given to another worker. Without its queries it is given back."""
        order = json.loads(claimed.read_text(encoding="utf-8"))
        if self._queries[0] != order["queries"]:
            try:
                text = (self.folder / Path(order["queries"]).name).read_text(encoding="utf-8")
            except FileNotFoundError:
                claimed.unlink(missing_ok=True)
                return
            self._queries = order["queries"], load_queries(text)
        messages = self._computer_for(order["settings"]).messages(load_order(order), self._queries[1])
        with _alive(claimed):
            for number, message in enumerate(messages):
                if not claimed.exists():
                    return
                write_whole(self.folder / SAID / f"{claimed.name}.{number}", dump_message(message))
        self.done += 1

    def _computer_for(self, settings: dict[str, Any]) -> Computer:
        known, computer = self._computer
        if computer is None or known != settings:
            load = replace(self.load, dtype="auto", tokenizer=settings["tokenizer"])
            how = (settings["batch_tokens"], settings["stride"], settings["profile"])
            computer = Computer(Computing(load, *how, chat=ChatOptions(**settings.get("chat", {}))))
            self._computer = settings, computer
        return computer


@contextmanager
def _alive(claimed: Path) -> Iterator[None]:
    """Change the order's time as long as this is open."""
    ended = threading.Event()

    def beat() -> None:
        while not ended.wait(BEAT):
            with suppress(OSError):
                os.utime(claimed)

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()

"""How far a run is, in a file of its folder, for ``gpteval status``."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from gpteval.core.atomic import write_whole

FILE = "progress.json"
WRITE_SECONDS = 2.0


@dataclass
class State:
    """``units`` to be made, of which so many are ``planned`` and ``finished``. ``at``: the one at work.

    ``done`` of the ``wanted`` tokens that planned units lacked are computed, beside the ``known`` of earlier commands,
    in ``seconds``, by ``workers`` processes (0: by the run's own), at a ``rate`` in tokens a second since the first
    batch came. ``began`` and ``written``: when, as this machine's clock shows.
    """

    units: int
    workers: int = 0
    planned: int = 0
    finished: int = 0
    failed: int = 0
    done: int = 0
    wanted: int = 0
    known: int = 0
    at: str = ""
    seconds: float = 0.0
    rate: float = 0.0
    began: str = ""
    written: str = ""
    process: int = 0
    ended: bool = False

    @property
    def seconds_left(self) -> float | None:
        """About how long it still takes, if units to be planned are like those that were; None before it is known."""
        if not (self.rate and self.planned):
            return None
        return max(0.0, self.wanted * self.units / self.planned - self.done) / self.rate


class ProgressFile:
    """Writes the state every few seconds. An error in writing is ignored: no result depends on this file."""

    def __init__(self, folder: Path, units: int) -> None:
        self.path = folder / FILE
        self.state = State(units, began=_now(), process=os.getpid())
        self._began = time.monotonic()
        self._written = 0.0
        self._first: tuple[float, int] | None = None  # when the first batch came, and its tokens

    def add(self, label: str, tokens: int) -> None:
        """Take a batch of the unit of that label."""
        self.state.at = label
        self.state.done += tokens
        clock = time.monotonic()
        if self._first is None:
            self._first = clock, tokens
        elif clock > self._first[0]:
            self.state.rate = (self.state.done - self._first[1]) / (clock - self._first[0])
        self.write()

    def write(self, *, now: bool = False) -> None:
        """Write it where it was not for a while, or ``now``."""
        clock = time.monotonic()
        self.state.seconds = clock - self._began
        if now or clock - self._written > WRITE_SECONDS:
            self._written = clock
            self.state.written = _now()
            with suppress(OSError):
                write_whole(self.path, json.dumps(asdict(self.state)))


def read_progress(folder: Path) -> State | None:
    """What was written last; None where there is nothing that can be read."""
    try:
        return State(**json.loads((folder / FILE).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def causes(failures: Sequence[dict[str, object]]) -> dict[str, list[str]]:
    """What failed, by why."""
    found: dict[str, list[str]] = {}
    for failure in failures:
        found.setdefault(str(failure.get("error")), []).append(f"{failure.get('model')} on {failure.get('task')}")
    return found


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")

"""What a log of another harness is, once it is read: items of tasks with the numbers that the harness gave them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from gpteval.core.outcomes import Outcome
from gpteval.core.types import Family, Request

PREFIX = "log:"  # before the path of a log whose requests are asked again, and before its harness in a row's profile
Numbers = tuple[float, ...]


@dataclass(frozen=True)
class LogModel:
    """``name``: as the log has it. ``location``: its Hub id, where that is told."""

    name: str
    location: str = ""
    revision: str = ""
    n_params: int | None = None
    dtype: str = ""


@dataclass(frozen=True)
class LogTask:
    """A task under a model. ``name``: with the filter behind a colon, where the log has several.

    ``of``: how many items its split has, where that is told and more than were taken. ``said``: the log's own
    numbers over all items, by metric. ``higher``: of a metric that is not gpteval's, whether more is better.
    """

    model: LogModel
    name: str
    shots: int = 0
    family: Family = "qa"
    of: int | None = None
    said: Mapping[str, float] = field(default_factory=dict, hash=False)
    higher: Mapping[str, bool] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class LogItem:
    """One answer. ``request``: what was asked, the whole text with its examples. ``scores``: sufficient statistics as
    the log's numbers give them, by gpteval's name of the metric where it has the metric, the one that counts first.
    ``left_out``: metrics of the log that are no numbers and not known here.
    """

    task: LogTask
    request: Request
    outcome: Outcome
    scores: Mapping[str, Numbers]
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class BadItem:
    """An item that cannot be read, where it stands and why."""

    task: LogTask
    where: str
    why: str


@dataclass(frozen=True)
class LogTotal:
    """A task of which the log has its own numbers over ``n`` items (``task.said``) and no items."""

    task: LogTask
    n: int


@dataclass(frozen=True)
class Log:
    """``harness``: which one, and its version. ``files``: what it was read from. ``totals``: of tasks without items."""

    harness: str
    files: tuple[Path, ...]
    items: Iterator[LogItem | BadItem]
    totals: tuple[LogTotal, ...] = ()


class LogReader(Protocol):
    """Reads one format. ``name``: of the harness."""

    name: str

    def files(self, path: Path) -> tuple[Path, ...]:
        """The files that are a log of this format, by their content; none where ``path`` is something else."""

    def read(self, files: tuple[Path, ...]) -> Log:
        """Raises LogError naming the file and line of what cannot be read."""

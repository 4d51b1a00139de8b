"""``log:PATH`` as tasks: what a log of another harness asked, asked again, without its data or its task's code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from gpteval.core.errors import UsageError
from gpteval.core.types import Choice, Family, Generate, Item, Request, Rolling, digest
from gpteval.data.sources import Rows
from gpteval.logs.log import PREFIX, LogItem
from gpteval.logs.readers import reader_of
from gpteval.metrics.named import metric_registry
from gpteval.tasks.task import Task

_KINDS: Mapping[str, type[Choice | Generate | Rolling]] = {"choice": Choice, "generate": Generate, "text": Rolling}
_OF_TEXTS = ("word_perplexity", "byte_perplexity", "bits_per_byte")


@dataclass(frozen=True)
class LogSource:
    """The requests of one task of a log."""

    path: str
    task: str

    @property
    def label(self) -> str:
        return f"log {Path(self.path).name}"

    def load(self, split: str | None = None) -> Rows:
        """Raises LogError."""
        asked = _read(self.path)[self.task]
        return Rows(list(asked.rows.values()), digest(list(asked.rows)), self.label)


@dataclass
class _Asked:
    """What the log asked in a task: its family, its examples, the metrics that gpteval has, the requests by digest."""

    family: Family
    shots: int
    metrics: tuple[str, ...]
    rows: dict[str, Mapping[str, Any]]


def log_tasks(path: str) -> list[Task]:
    """A task for each of a log, of the log's name. Filters of answers are not applied again: a task has one name.

    Raises UsageError for what is no log, LogError for one that cannot be read.
    """
    place = Path(path).expanduser()
    if not place.exists() or reader_of(place) is None:
        raise UsageError(f"{PREFIX}{path} is no log that is known", "docs/logs.md has the formats")
    whole = str(place.resolve())
    return [
        Task(
            name=name,
            family=asked.family,
            source=LogSource(whole, name),
            prompt=_request,
            metric=asked.metrics[0],
            metrics=asked.metrics[1:],
            shots=asked.shots,
            shots_inside=asked.shots,
            licence="that of the log's data",
            description=f"What {place.name} asked.",
        )
        for name, asked in _read(whole).items()
    ]


def _request(item: Item) -> Request:
    """As the log has it."""
    fields = dict(item.fields)
    return _KINDS[fields.pop("kind")](**fields)


@cache
def _read(path: str) -> dict[str, _Asked]:
    """Each request once, whichever models answered it. Raises UsageError where a log asks nothing that can be asked."""
    reader = reader_of(Path(path))
    assert reader is not None
    found: dict[str, _Asked] = {}
    for item in reader[0].read(reader[1]).items:
        if isinstance(item, LogItem):
            name = item.task.name.partition(":")[0]
            if name not in found:
                found[name] = _Asked(item.task.family, item.task.shots, _metrics(item), {})
            row = _row(item.request)
            found[name].rows.setdefault(digest(row, size=12), row)
    if not found:
        raise UsageError(f"{Path(path).name} asks nothing that can be asked again")
    return found


def _row(request: Request) -> dict[str, Any]:
    kind = next(kind for kind, of in _KINDS.items() if isinstance(request, of))
    fields = {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(request).items()}
    return {"kind": kind} | {name: value for name, value in fields.items() if value not in (None, [])}


def _metrics(item: LogItem) -> tuple[str, ...]:
    """Those of the log that gpteval has and can compute of such a request; else the usual one."""
    known = metric_registry()
    named = [name for name in item.scores if name in known and isinstance(item.request, known[name].requests)]
    if named:
        return tuple(named)
    if isinstance(item.request, Rolling):
        return _OF_TEXTS
    return ("exact_match",) if isinstance(item.request, Generate) else ("acc",)

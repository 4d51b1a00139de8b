"""A unit under way, its slices, the parts of them that are handed out, and what computing those gives."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

from gpteval.backends.interface import Backend
from gpteval.backends.query_plan import Plan
from gpteval.core.errors import GptevalError
from gpteval.core.types import Prompt
from gpteval.metrics.base import Metric
from gpteval.prompts.build import TaskData
from gpteval.run.units import Unit
from gpteval.store.journal import ResultStore
from gpteval.tokens.queries import Query, QueryResult

SLICE = 32_768  # items of a unit that are planned together; numbers depend on it, not on who computes
Facts = Mapping[str, Any]


@dataclass(eq=False)
class Job:
    """A unit that is begun and has no result yet. ``error``: why it will have none; nothing of it is computed on."""

    unit: Unit
    backend: Backend
    data: TaskData
    prompts: Sequence[Prompt]
    metrics: Sequence[Metric]
    error: GptevalError | None = None

    def slices(self) -> Iterator[tuple[int, int]]:
        """From which prompt up to which: those that are planned, and held, together."""
        for begin in range(0, max(1, len(self.prompts)), SLICE):
            yield begin, min(begin + SLICE, len(self.prompts))


@dataclass(eq=False)
class Work:
    """A slice of a unit's items, planned. ``known``: the queries in the journal; ``left``: parts to be done;
    ``results``: those that were computed now, as they stand in the journal.
    """

    job: Job
    begin: int
    end: int
    plan: Plan
    known: set[bytes]
    left: int = 0
    results: dict[bytes, QueryResult] = field(default_factory=dict)

    @property
    def queries(self) -> Mapping[bytes, Query]:
        return self.plan.queries

    @property
    def last(self) -> bool:
        """Whether the unit has no items behind these."""
        return self.end == len(self.job.prompts)

    @property
    def lacking(self) -> int:
        """About how many tokens are to be computed."""
        return sum(query.length for key, query in self.queries.items() if key not in self.known)

    def add(self, batch: Mapping[bytes, QueryResult]) -> None:
        """Take what was computed and stored."""
        self.known |= batch.keys()
        self.results |= {key: result.as_stored() for key, result in batch.items()}

    def parts(self, count: int) -> Iterator[Part]:
        """The slice in ``count`` parts."""
        self.left = count
        yield from (Part(self, number, count) for number in range(count))


@dataclass(frozen=True)
class Part:
    """Every ``of``-th batch of a slice, from batch ``number`` on.

    Batches are formed from the whole slice, so a query is computed among the same others however it is cut, and gets
    the same number.
    """

    work: Work
    number: int
    of: int

    @property
    def is_wanted(self) -> bool:
        """Whether anything is still made of it; not where its unit has failed meanwhile."""
        return self.work.job.error is None


@dataclass(frozen=True)
class PartResult:
    """What came of a part: a batch of results; with ``done`` it was the last. ``facts``: what ran, for the manifest."""

    part: Part
    batch: Mapping[bytes, QueryResult] = field(default_factory=dict)
    facts: Facts = field(default_factory=dict)
    error: GptevalError | None = None
    done: bool = False


class Executor(Protocol):
    """Who computes: a class that is made of a ``RunConfig`` and a ``Listener``. A part may be computed by anyone, and
    twice: results are the same, and are stored by content. ``workers``: processes that compute beside this one.
    """

    workers: int = 0

    def begin(self) -> None:
        """Before the first part."""
        return

    @abstractmethod
    def submit(self, part: Part) -> Iterable[PartResult]:
        """Take a part, and give what came of this and earlier ones meanwhile: batches, and at the end of each part a
        result that is ``done``. Waits where enough is taken.
        """

    @abstractmethod
    def drain(self) -> Iterable[PartResult]:
        """What comes of all that was taken, to its end."""

    def close(self) -> None:
        """No part is computed any more; no worker is left."""
        return


def known_to(backend: Backend, store: ResultStore, queries: Collection[bytes]) -> set[bytes]:
    """The queries that need not be asked. Raises ModelError where stored answers are another model's."""
    known = store.known(queries)
    return known - backend.recall(partial(store.get, queries))

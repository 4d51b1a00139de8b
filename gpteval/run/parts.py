"""A unit under way, its slices, the parts of them that are handed out, and what computing those gives."""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterator, Mapping, Sequence
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
    """A slice of a unit's items, planned. ``known``: the queries in the journal; ``left``: parts to be done."""

    job: Job
    begin: int
    end: int
    plan: Plan
    known: set[bytes]
    left: int = 0

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


PartResults = Generator[PartResult, None, None]


class Executor(Protocol):
    """Who computes: a class that is made of a ``RunConfig`` and a ``Listener``. A part may be computed by anyone, and
    twice: results are the same, and are stored by content. ``workers``: processes that compute beside this one.
    """

    workers: int

    def compute(self, parts: Iterator[Part]) -> PartResults:
        """What comes of parts, which are asked for when there is someone to compute them; each ends with a step that is
        ``done``. Closed before the end, it leaves no worker behind.
        """


def known_to(backend: Backend, store: ResultStore, queries: Collection[bytes]) -> set[bytes]:
    """The queries that need not be asked. Raises ModelError where stored answers are another model's."""
    known = store.known(queries)
    return known - backend.recall(partial(store.get, queries))

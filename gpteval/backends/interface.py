"""What every backend is: something that answers queries for one model. docs/backends.md shows how one is written."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from gpteval.backends.opening import Opening
from gpteval.backends.query_plan import Plan
from gpteval.core.types import Prompt, digest
from gpteval.models.catalogue import ModelInfo
from gpteval.prompts.build import TaskData
from gpteval.tasks.task import Task
from gpteval.tokens.queries import Query, QueryResult, Sampling

# What a backend can
LOGPROBS = "log-probabilities"  # of texts that are given; without it choices are asked by letter
GREEDY = "greedy"  # texts that are the same each time
SAMPLING = "sampling"  # texts drawn from the likeliest tokens, by a seed
CHAT = "chat"  # it is asked in messages, as texts, not as token ids
GIVEN = "given"  # its answers are there: to choices as they are, without log-probabilities
ECHO = "echo"  # its log-probabilities are those that a server tells of a prompt that it repeats
TOPS = "top log-probabilities"  # of the likeliest tokens at each place of a text
WORKERS = "workers"  # parts of what is asked may be computed by several processes, on several machines

Batches = Iterator[dict[bytes, QueryResult]]


class TextCodec(Protocol):
    """What is known of a model's tokenizer without its tokens. ``lossy``: it does not give back every text."""

    @property
    def lossy(self) -> bool: ...
    @property
    def notes(self) -> Sequence[str]: ...
    def round_trip(self, text: str) -> str:
        """The text as it comes back."""


class PlainText:
    """In place of a tokenizer, where texts go out and come back as they are."""

    lossy = False
    notes: tuple[str, ...] = ()

    def round_trip(self, text: str) -> str:
        return text


class Model(Protocol):
    """What is known of a model before anything is asked of it."""

    @property
    def info(self) -> ModelInfo: ...
    @property
    def codec(self) -> TextCodec: ...
    @property
    def window(self) -> int | None:
        """Tokens that it reads at most; None where that is not known."""

    @property
    def architecture(self) -> str: ...
    @property
    def device(self) -> str:
        """``cpu``, ``cuda:0``, ``api``."""

    @property
    def dtype(self) -> str: ...
    @property
    def revision(self) -> str: ...
    @property
    def fingerprint(self) -> str:
        """What identifies its weights: results of another fingerprint are another model's."""

    @property
    def key(self) -> str:
        """A digest of all that its numbers depend on beside the query; a result is stored under it and the query's
        content. It may not hold the model's name: a renamed folder keeps its results.
        """

    @property
    def source(self) -> str:
        """What was named, where ``info.location`` was made from that; else "". For workers."""

    @property
    def place(self) -> str:
        """The kind of device: ``cpu``, ``cuda``, ``spread``. For workers."""


@dataclass(frozen=True)
class PlainModel:
    """A model of which a backend knows its name alone. ``depends_on``: all that its numbers depend on, such as the
    version of the library that computes them.
    """

    info: ModelInfo
    depends_on: str
    architecture: str = ""
    window: int | None = None
    device: str = ""
    dtype: str = ""
    revision: str = ""
    source: str = ""
    codec: TextCodec = PlainText()  # noqa: RUF009  # it never changes

    @property
    def place(self) -> str:
        return self.device.partition(":")[0]

    @property
    def fingerprint(self) -> str:
        return digest(self.info.backend, self.info.location, self.depends_on)

    @property
    def key(self) -> str:
        return self.fingerprint


@dataclass(frozen=True)
class CostEstimate:
    """How many queries, tokens to be read and written at most, and dollars at most where a price is known; seconds on
    this machine, where it was measured. ``items``: of how many they are.
    """

    queries: int
    tokens_in: int
    tokens_out: int
    dollars: float | None = None
    seconds: float | None = None
    items: int = 0


class Backend(Protocol):
    """Answers queries for one model. ``can``: of the constants above. What has a body here need not be said again."""

    can: ClassVar[frozenset[str]]
    model: Model
    protocol: str = ""  # of its results, where it does not ask as the number of examples says
    sampling: Sampling = Sampling()  # how the texts are drawn that it plans next, of one that can
    rule: str = ""  # what else its numbers depend on, for their signature

    @classmethod
    @abstractmethod
    def open(cls, info: ModelInfo, opening: Opening) -> Backend:
        """The backend of a model; expensive things wait for ``load``. Raises ModelError, UsageError."""

    @abstractmethod
    def plan(self, prompts: Sequence[Prompt]) -> Plan:
        """What prompts need. Asks nothing. Raises ItemError naming the item, NotAvailable for what it cannot."""

    @abstractmethod
    def compute(self, plan: Plan, known: Collection[bytes], *, part: int = 0, of: int = 1) -> Batches:
        """Results of the queries that are not ``known``, as they come; each batch is stored before the next is asked
        for. Of ``of`` parts the one numbered ``part``. What is wrong with one query is its result's ``error``; raises
        ModelError for what no query would survive.
        """

    @property
    def ready(self) -> bool:
        """Whether ``load`` has nothing to do."""
        return True

    def load(self) -> None:
        """Load what takes long, such as weights. Raises ModelError."""
        return

    def recall(self, stored: Callable[[], Mapping[bytes, QueryResult]]) -> set[bytes]:
        """Of results that an earlier command stored, those that are to be asked for again. Raises ModelError where
        they are another model's.
        """
        return set()

    def dollars(self, results: Iterable[QueryResult]) -> float | None:
        """What results cost; None where no price is known."""
        return None

    def spans(self, results: Iterable[QueryResult]) -> list[tuple[float, float]]:
        """When results that were under way at the same time were asked for, and when each was there, in seconds of
        the clock; none where each had the machine for itself, or where that is not known.
        """
        return []

    def estimate(self, queries: Sequence[Query]) -> CostEstimate:
        """What queries would take."""
        written = sum(query.written for query in queries)
        return CostEstimate(len(queries), sum(query.length for query in queries) - written, written)

    def facts(self) -> dict[str, Any]:
        """What ran, for the manifest, as far as it is known by now."""
        return {}

    def described(self) -> dict[str, Any]:
        """What else the manifest tells of the model."""
        return {}

    def notes(self) -> list[str]:
        """What a reader of its results should know."""
        return []

    def cautions(self) -> list[str]:
        """What is to be said once, before anything is asked."""
        return []

    def for_task(self, task: Task, shots: int, warn: Callable[[str], None]) -> Backend:
        """What asks this model for a task: itself, unless it was tuned for that very task."""
        return self

    def under(self, protocol: str) -> Backend:
        """The backend of this model whose ``protocol`` that is. For workers."""
        return self

    def adapted(self, data: TaskData) -> TaskData:
        """A task as it is asked of this model."""
        return data

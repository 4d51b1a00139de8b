"""Queries: what goes through the model once. Their content is their identity, so equal queries are computed once."""

from __future__ import annotations

import hashlib
import json
import math
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import accumulate, pairwise
from typing import Protocol, overload

ENGINE_VERSION = 9  # raise when a change alters numbers: cached results of older versions are then not used


class Tokens(Sequence[int]):
    """Token ids that never change, in four bytes each, where a tuple takes eight and the numbers' own."""

    __slots__ = ("_data",)
    _data: bytes

    def __init__(self, ids: Iterable[int] = ()) -> None:
        self._data = array("i", ids).tobytes()

    @classmethod
    def of_bytes(cls, data: bytes) -> Tokens:
        """What ``tobytes`` gave."""
        tokens = cls.__new__(cls)
        tokens._data = data
        return tokens

    def __len__(self) -> int:
        return len(self._data) // 4

    @overload
    def __getitem__(self, index: int) -> int: ...
    @overload
    def __getitem__(self, index: slice) -> Tokens: ...
    def __getitem__(self, index: int | slice) -> int | Tokens:
        if isinstance(index, int):
            return memoryview(self._data).cast("i")[index]
        begin, end, step = index.indices(len(self))
        if step != 1:
            raise ValueError("tokens are cut in whole stretches")
        return Tokens.of_bytes(self._data[4 * begin : 4 * end])

    def __iter__(self) -> Iterator[int]:
        return iter(memoryview(self._data).cast("i"))

    def __add__(self, other: Tokens) -> Tokens:
        return Tokens.of_bytes(self._data + other._data)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Tokens) and self._data == other._data

    def __lt__(self, other: Tokens) -> bool:
        """An order in which what begins alike stands together; not that of the numbers."""
        return self._data < other._data

    def __hash__(self) -> int:
        return hash(self._data)

    def __repr__(self) -> str:
        return f"Tokens({list(self)})"

    def tobytes(self) -> bytes:
        return self._data


NONE = Tokens()


class Query(Protocol):
    """What is asked of a model once. Frozen; its content and the model's key are the address of its result."""

    @property
    def length(self) -> int:
        """Tokens that pass through the model, at most."""

    @property
    def written(self) -> int:
        """How many of them the model may write."""

    def key(self, model_key: str) -> bytes:
        """Content address of the result: the model, and everything of the query that determines it."""


@dataclass(frozen=True, slots=True)
class ScoreQuery:
    """Score ``targets`` after ``context`` (at least one token): the model reads context + targets[:-1].

    ``barred``: tokens that the greedy flag passes over at the first target. ``parts``: how many targets each part of a
    long text has, where their sums are wanted one by one. ``top``: how many of the likeliest tokens of each target's
    place are wanted.
    """

    context: Tokens
    targets: Tokens
    barred: Tokens = NONE
    parts: Tokens = NONE
    top: int = 0

    @property
    def input(self) -> Tokens:
        """What the model reads. Queries that differ in their last target only read the same."""
        return self.context + self.targets[:-1]

    @property
    def length(self) -> int:
        return len(self.context) + len(self.targets) - 1

    @property
    def written(self) -> int:
        return 0

    def key(self, model_key: str) -> bytes:
        rest: object = list(self.barred) or ""
        rest = {"barred": rest, "parts": list(self.parts)} if self.parts else rest
        rest = [rest, {"top": self.top}] if self.top else rest
        return _address(model_key, "ScoreRow", rest, self.context.tobytes(), self.targets.tobytes())


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the next token is chosen: greedy at temperature 0, else drawn from the ``top_k`` likeliest (0: all)."""

    temperature: float = 0.0
    top_k: int = 0
    seed: int = 0


@dataclass(frozen=True, slots=True)
class GenerateQuery:
    """Continue ``prompt`` (token ids) until a stop string, an end token, or ``max_new_tokens``.

    ``blank_first``: the text may begin with white space, in which no stop string is looked for.
    """

    prompt: Tokens
    max_new_tokens: int
    stop: tuple[str, ...]
    sampling: Sampling = Sampling()
    blank_first: bool = False

    @property
    def input(self) -> Tokens:
        return self.prompt

    @property
    def length(self) -> int:
        return len(self.prompt) + self.max_new_tokens

    @property
    def written(self) -> int:
        return self.max_new_tokens

    def key(self, model_key: str) -> bytes:
        further = ["blank first"] if self.blank_first else []
        rest = json.dumps([self.max_new_tokens, self.stop, asdict(self.sampling), *further])
        return _address(model_key, "GenerateRow", rest, self.prompt.tobytes())


TokenQuery = ScoreQuery | GenerateQuery


def _address(model_key: str, kind: str, rest: object, first: bytes, second: bytes = b"") -> bytes:
    """The address that journals have, whose kinds of queries have the names that they had first."""
    head = json.dumps([ENGINE_VERSION, model_key, kind, len(first), rest])
    return hashlib.blake2b(head.encode() + b"\0" + first + second, digest_size=16).digest()


@dataclass(frozen=True, slots=True)
class QueryResult:
    """What the model gave for a query: ``logprob`` and ``greedy`` of a score query, ``text`` and ``finish`` of another.

    ``tokens``: scored or generated. ``seconds`` and ``processed`` (tokens through the model) are its cost.
    ``extra``: what an engine notes besides, a JSON object; of a query in parts, their sums, and the likeliest tokens of
    one that asks for them.
    """

    tokens: int
    logprob: float = 0.0
    greedy: bool = False
    text: str = ""
    finish: str = ""
    error: str = ""
    seconds: float = 0.0
    processed: int = 0
    extra: str = ""

    @property
    def parts(self) -> list[float]:
        """Sums of log-probabilities of a query's parts."""
        return [float(total) for total in json.loads(self.extra).get("parts", ())] if self.extra else []

    @property
    def top(self) -> list[str]:
        """The likeliest tokens, as ``core.top_tokens`` writes them; empty where none were asked for."""
        return [str(text) for text in json.loads(self.extra).get("top", ())] if self.extra else []

    def as_stored(self) -> QueryResult:
        """As ``loads`` gives it back: halves of surrogate pairs, which a server may write, are stored as "?"."""
        try:
            (self.text + self.error).encode("utf-8")
        except UnicodeEncodeError:
            return QueryResult.loads(self.dumps().encode("utf-8", "replace").decode("utf-8"))
        return self

    def dumps(self) -> str:
        return json.dumps(list(asdict(self).values()), ensure_ascii=False, separators=(",", ":"))

    @classmethod
    def loads(cls, text: str) -> QueryResult:
        """Raises ValueError or TypeError when ``text`` is not what ``dumps`` wrote."""
        values = json.loads(text)
        result = cls(*values)
        if not isinstance(result.tokens, int) or not isinstance(result.text, str):
            raise ValueError("not the result of a query")
        return result


def extra_of(logprobs: Sequence[float], parts: Tokens, top: Sequence[str] = ()) -> str:
    """The sums of a query's parts and the likeliest tokens, as ``QueryResult.extra`` keeps them; "" without either."""
    ends = list(accumulate(parts))
    sums = [math.fsum(logprobs[begin:end]) for begin, end in pairwise([0, *ends])]
    found = {"parts": sums, "top": list(top)}
    return json.dumps({name: value for name, value in found.items() if value}) if sums or top else ""

"""Rows: what goes through the model once. Their content is their identity, so equal rows are computed once."""

from __future__ import annotations

import hashlib
import json
from array import array
from dataclasses import asdict, dataclass

ENGINE_VERSION = 7  # raise when a change alters numbers: cached results of older versions are then not used


@dataclass(frozen=True, slots=True)
class ScoreRow:
    """Score ``targets`` after ``context`` (at least one token): the model reads context + targets[:-1]."""

    context: tuple[int, ...]
    targets: tuple[int, ...]

    @property
    def input(self) -> tuple[int, ...]:
        """What the model reads. Rows that differ in their last target only read the same."""
        return (*self.context, *self.targets[:-1])

    @property
    def length(self) -> int:
        return len(self.context) + len(self.targets) - 1


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the next token is chosen: greedy at temperature 0, else drawn from the ``top_k`` likeliest (0: all)."""

    temperature: float = 0.0
    top_k: int = 0
    seed: int = 0


@dataclass(frozen=True, slots=True)
class GenerateRow:
    """Continue ``prompt`` (token ids) until a stop string, an end token, or ``max_new_tokens``."""

    prompt: tuple[int, ...]
    max_new_tokens: int
    stop: tuple[str, ...]
    sampling: Sampling = Sampling()

    @property
    def input(self) -> tuple[int, ...]:
        return self.prompt

    @property
    def length(self) -> int:
        return len(self.prompt) + self.max_new_tokens


Row = ScoreRow | GenerateRow


@dataclass(frozen=True, slots=True)
class RowResult:
    """What the model gave for a row. Score rows fill ``logprob`` and ``greedy``, generate rows ``text`` and ``finish``.

    ``tokens``: scored or generated. ``seconds`` and ``processed`` (tokens through the model) are its cost.
    """

    tokens: int
    logprob: float = 0.0
    greedy: bool = False
    text: str = ""
    finish: str = ""
    error: str = ""
    seconds: float = 0.0
    processed: int = 0

    def dumps(self) -> str:
        return json.dumps(list(asdict(self).values()), ensure_ascii=False, separators=(",", ":"))

    @classmethod
    def loads(cls, text: str) -> RowResult:
        """Raises ValueError or TypeError when ``text`` is not what ``dumps`` wrote."""
        values = json.loads(text)
        result = cls(*values)
        if not isinstance(result.tokens, int) or not isinstance(result.text, str):
            raise ValueError("not a row result")
        return result


def row_key(model_key: str, row: Row) -> bytes:
    """Content address of a row's result: the model and everything of the row that determines it."""
    if isinstance(row, ScoreRow):
        first, second, rest = row.context, row.targets, ""
    else:
        first, second = row.prompt, ()
        rest = json.dumps([row.max_new_tokens, row.stop, asdict(row.sampling)])
    head = json.dumps([ENGINE_VERSION, model_key, type(row).__name__, len(first), rest])
    tokens = array("q", first + second).tobytes()
    return hashlib.blake2b(head.encode() + b"\0" + tokens, digest_size=16).digest()

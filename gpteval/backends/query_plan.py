"""What prompts need of a model: distinct queries, and what each prompt's outcome is made of."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from gpteval.core.outcomes import Outcome
from gpteval.core.types import Prompt
from gpteval.tokens.encode import Encoder
from gpteval.tokens.queries import Query, QueryResult


class PlannedPrompt(Protocol):
    """A prompt whose queries are known."""

    @property
    def own_bos(self) -> bool:
        """Whether it brings the token that the tokenizer would have put before it."""

    def outcome(self, results: Sequence[QueryResult | None]) -> Outcome:
        """Its outcome from its queries' results, in their order; None where there was nothing to ask."""


@dataclass(frozen=True)
class Plan:
    """What a list of prompts needs: each distinct query once, and how to assemble outcomes."""

    encoded: Sequence[PlannedPrompt]
    keys: Sequence[tuple[bytes | None, ...]]
    queries: Mapping[bytes, Query]

    @property
    def tokens(self) -> int:
        """Tokens that must pass through the model, at most."""
        return sum(query.length for query in self.queries.values())

    def outcomes(self, results: Mapping[bytes, QueryResult], begin: int = 0, end: int | None = None) -> list[Outcome]:
        """The outcome of each prompt from ``begin`` on up to ``end``. ``results`` must hold all of their queries."""
        return [
            encoded.outcome([None if key is None else results[key] for key in keys])
            for encoded, keys in zip(self.encoded[begin:end], self.keys[begin:end], strict=True)
        ]


def plan_queries(encoder: Encoder, model_key: str, prompts: Sequence[Prompt]) -> Plan:
    """The plan of prompts for a model that is asked token ids. Raises ItemError naming the item."""
    encoded = []
    queries: dict[bytes, Query] = {}
    keys = []
    with no_collection():
        for one in encoder.encode(prompts):
            encoded.append(one)
            of_prompt = tuple(None if query is None else query.key(model_key) for query in one.queries)
            keys.append(of_prompt)
            queries.update((key, query) for key, query in zip(of_prompt, one.queries, strict=True) if key and query)
    return Plan(encoded, keys, queries)


@contextmanager
def no_collection() -> Iterator[None]:
    """Without Python's search for reference cycles, which goes through all of a million queries again and again."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()

"""Queries as vLLM is asked them, by token ids, and what its answers mean."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from gpteval.engine.continuation import Continuation
from gpteval.engine.score import NOT_FINITE
from gpteval.tokens.queries import GenerateQuery, QueryResult, ScoreQuery, TokenQuery, Tokens, extra_of
from gpteval.tokens.tokenizer import Codec

TOGETHER = 128  # tokens whose log-probabilities vLLM tells at one place, at most
NEVER = -100.0  # added to the logit of a token that may not be chosen; the log-probabilities stay as they are


class VllmRequest(Protocol):
    """What is asked at once, perhaps in several turns."""

    @property
    def ids(self) -> list[int]:
        """What vLLM reads in the next turn."""

    def params(self) -> dict[str, Any]:
        """What its SamplingParams are made of."""

    def take(self, output: Any) -> dict[bytes, QueryResult]:
        """The results by an answer (a RequestOutput); none where another turn is needed."""

    def failed(self, error: str) -> dict[bytes, QueryResult]: ...


@dataclass
class ScoreRequest:
    """Score queries that read the same, and differ in their last target or in how much of it is scored.

    vLLM reads no token more than our own engine: the last target is not in the prompt, but is looked up among the next
    token's log-probabilities. Where nothing but that token is scored, what is cached of the prompt is not read again.
    """

    queries: dict[bytes, ScoreQuery]

    @property
    def _one(self) -> ScoreQuery:
        return next(iter(self.queries.values()))

    @property
    def ids(self) -> list[int]:
        return list(self._one.input)

    def params(self) -> dict[str, Any]:
        asked: dict[str, Any] = {"max_tokens": 1, "temperature": 0.0, "detokenize": False, "ignore_eos": True}
        asked["logprob_token_ids"] = sorted({query.targets[-1] for query in self.queries.values()})
        barred = list(self._one.barred)
        if any(len(query.targets) > 1 for query in self.queries.values()):
            asked["prompt_logprobs"] = 1 + len(barred)
        elif barred:
            asked["logit_bias"] = dict.fromkeys(barred, NEVER)
        return asked

    def take(self, output: Any) -> dict[bytes, QueryResult]:
        (written,) = output.outputs
        cached = output.num_cached_tokens or 0
        found = {}
        for number, (key, query) in enumerate(self.queries.items()):
            at = len(query.context)
            before = (output.prompt_logprobs or [])[at:]
            pairs = [*zip(query.targets[:-1], before, strict=True), (query.targets[-1], written.logprobs[0])]
            logprobs = [place[target].logprob for target, place in pairs]
            likeliest = [place[target].rank == 1 for target, place in pairs[:-1]]
            if query.barred and len(pairs) > 1:
                likeliest[0] = _first(pairs[0][1], query.barred) == query.targets[0]
            total = math.fsum(logprobs)
            result = QueryResult(
                tokens=len(query.targets),
                logprob=total,
                greedy=all(likeliest) and written.token_ids[0] == query.targets[-1],
                processed=0 if number else query.length - cached,
                extra=extra_of(logprobs, query.parts),
            )
            found[key] = result if math.isfinite(total) else QueryResult(result.tokens, error=NOT_FINITE)
        return found

    def failed(self, error: str) -> dict[bytes, QueryResult]:
        return {key: QueryResult(len(query.targets), error=error) for key, query in self.queries.items()}


@dataclass
class TextRequest:
    """A text. Where it ends is found in its tokens, as our own engine does; vLLM is asked to go on where it stopped
    before that, as at a stop string in the white space that a text may begin with.
    """

    key: bytes
    query: GenerateQuery
    codec: Codec
    state: Continuation = field(init=False)
    cached: int = 0
    turns: int = 0

    def __post_init__(self) -> None:
        self.state = Continuation(self.query)

    @property
    def ids(self) -> list[int]:
        return [*self.query.prompt, *self.state.tokens]

    def params(self) -> dict[str, Any]:
        sampling = self.query.sampling
        return {
            "max_tokens": self.query.max_new_tokens - len(self.state.tokens),
            "temperature": sampling.temperature,
            "top_k": sampling.top_k,
            "seed": (self.state.generator.initial_seed() + self.turns) & (2**63 - 1),
            "stop": list(self.query.stop),
            "include_stop_str_in_output": True,
            "stop_token_ids": sorted(self.codec.eos),
            "ignore_eos": True,  # of those that vLLM finds
            "skip_special_tokens": False,
        }

    def take(self, output: Any) -> dict[bytes, QueryResult]:
        (written,) = output.outputs
        if not written.token_ids:
            return self.failed("vLLM wrote nothing, and not that it ended")
        if not self.turns:
            self.cached = output.num_cached_tokens or 0
        self.turns += 1
        self.state.shared = self.cached
        self.state.take(list(written.token_ids), self.codec)
        return {self.key: self.state.result()} if self.state.ended else {}

    def failed(self, error: str) -> dict[bytes, QueryResult]:
        return {self.key: QueryResult(len(self.state.tokens), error=error)}


def requests_of(queries: Mapping[bytes, TokenQuery], codec: Codec) -> Iterator[VllmRequest]:
    """Those that read the same together; what begins alike stands together."""
    same: dict[tuple[Tokens, Tokens, bool], dict[bytes, ScoreQuery]] = {}
    for key, query in queries.items():
        if isinstance(query, ScoreQuery):
            # A barred token is so for the first target alone: which of several that is must be known.
            group = (query.input, query.barred, len(query.targets) > 1)
            same.setdefault(group, {})[key] = query
    for _, group_ in sorted(same.items(), key=lambda item: item[0][0]):
        for some in _in_stretches(list(group_.items())):
            yield ScoreRequest(dict(some))
    written = [(key, query) for key, query in queries.items() if isinstance(query, GenerateQuery)]
    for key, query in sorted(written, key=lambda item: item[1].prompt):
        yield TextRequest(key, query, codec)


def _in_stretches(items: Sequence[tuple[bytes, ScoreQuery]]) -> Iterator[Sequence[tuple[bytes, ScoreQuery]]]:
    for begin in range(0, len(items), TOGETHER):
        yield items[begin : begin + TOGETHER]


def _first(place: Mapping[int, Any], barred: Tokens) -> int:
    """The likeliest token of a place that is not barred."""
    free = {token: found.logprob for token, found in place.items() if token not in set(barred)}
    return max(free, key=lambda token: free[token])

"""Servers that complete a prompt and tell the log-probabilities of its tokens: scored as a local model is.

A prompt is sent as token ids and comes back with ``echo``; the log-probabilities of a continuation are those of its
tokens. Before anything is scored ``probe`` finds out whether they are the model's; what one answer can show of that is
checked with each (``echo``).
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Sequence
from typing import Any

from gpteval.api.api_backend import A_TOKEN, ApiBackend, choice_of
from gpteval.api.api_model import ApiModel
from gpteval.api.client import Document
from gpteval.api.echo import Echoes
from gpteval.api.probe import Probe, Unfit
from gpteval.api.server_errors import Malformed, Rejected
from gpteval.backends.interface import ECHO, GREEDY, LOGPROBS, SAMPLING
from gpteval.backends.opening import Opening
from gpteval.backends.query_plan import Plan, plan_queries
from gpteval.core.errors import ModelError
from gpteval.core.kinds import UNFIT, UNREADABLE
from gpteval.core.types import Prompt
from gpteval.tokens.encode import Encoder
from gpteval.tokens.queries import QueryResult, ScoreQuery, TokenQuery, extra_of

MOST_STOPS = 4  # that the protocol takes
LOWEST = -1e5  # nats: no token is that unlikely


class CompletionsBackend(ApiBackend):
    """Prompts are cut as the opening says, see ``Encoder``."""

    can = frozenset({LOGPROBS, GREEDY, SAMPLING, ECHO})
    kind = path = "completions"

    def __init__(self, model: ApiModel, opening: Opening) -> None:
        super().__init__(model, opening)
        cut = opening.computing
        assert model.window is not None
        self.echoes = Echoes(model.codec)
        self._probe = Probe(self, model.window)
        self.encoder = Encoder(
            model.codec, model.window, cut.stride, vocabulary=model.vocabulary, as_lm_eval=cut.as_lm_eval
        )

    def plan(self, prompts: Sequence[Prompt]) -> Plan:
        self.encoder.sampling = self.sampling
        return plan_queries(self.encoder, self.model.key, prompts)

    def body(self, query: TokenQuery, without: Collection[str]) -> dict[str, Any]:
        if isinstance(query, ScoreQuery):
            return _scoring(query.context + query.targets)
        drawn = query.sampling
        body: dict[str, Any] = {"prompt": list(query.prompt), "max_tokens": query.max_new_tokens}
        body |= {"temperature": drawn.temperature, "seed": drawn.seed}
        if drawn.top_k:
            body["top_k"] = drawn.top_k
        if query.stop:
            body["stop"] = list(query.stop[:MOST_STOPS])
        return body

    def read(self, query: TokenQuery, document: Document) -> QueryResult:
        if isinstance(query, ScoreQuery):
            return self._scored(query, document)
        choice = choice_of(document)
        text, reason = choice.get("text"), choice.get("finish_reason")
        if not isinstance(text, str):
            raise Malformed("it has no text")
        codec, most = self.model.codec, query.max_new_tokens
        ids = codec.encode([text[: A_TOKEN * most]])[0]
        long = len(ids) > most or len(text) > A_TOKEN * most
        text = codec.decode(ids[:most]) if long else text
        ends = [place for stop in query.stop if (place := text.find(stop)) >= 0]
        finish = "stop" if ends or (reason != "length" and not long) else "length"
        extra = json.dumps({"long": True}) if long and not ends else ""
        return QueryResult(min(len(ids), most), text=text[: min(ends, default=len(text))], finish=finish, extra=extra)

    def _scored(self, query: ScoreQuery, document: Document) -> QueryResult:
        try:
            echo = self.echoes.read(query.context + query.targets, document)
        except Malformed as error:
            raise Malformed(str(error), UNFIT if error.kind == UNREADABLE else error.kind) from None
        if echo.odd:
            raise Malformed(echo.odd, UNFIT)
        begin = len(query.context) - 1  # the first token has no number
        logprobs, likeliest = echo.numbers[begin:], echo.likeliest[begin:]
        if len(logprobs) != len(query.targets) or not all(n > LOWEST for n in logprobs):
            raise Malformed("a log-probability of the prompt is missing or not finite", UNFIT)
        if query.barred:
            return QueryResult(0, error="words that greedy decoding passes over cannot be asked of a server")
        greedy = all(n >= most - 1e-6 for n, most in zip(logprobs, likeliest, strict=True))
        sums = extra_of(logprobs, query.parts)
        return QueryResult(len(query.targets), logprob=math.fsum(logprobs), greedy=greedy, extra=sums)

    def prepare(self, queries: Sequence[Any]) -> None:
        """Whether the server's numbers are the model's, for prompts as long as these."""
        longest = max(
            (len(query.context) + len(query.targets) for query in queries if isinstance(query, ScoreQuery)), default=0
        )
        try:
            self._probe.prove(longest)
        except (Rejected, Unfit) as error:
            raise self.unfit(str(error)) from error

    def probing(self, ids: Sequence[int]) -> dict[str, Any]:
        body = {"model": self.model.info.location, **_scoring(ids)}
        self.budget.commit(self.dollars_of(self.most(body)))
        return body

    def unfit(self, reason: str) -> ModelError:
        """Why the server cannot be used."""
        return ModelError(
            f"{self.model.info.name} cannot be scored: {reason}",
            "the server must echo a prompt with the log-probabilities of its tokens, as vLLM does; "
            "as a chat model it can be asked without them: openai:NAME",
        )


def _scoring(ids: Sequence[int]) -> dict[str, Any]:
    return {"prompt": list(ids), "max_tokens": 1, "temperature": 0, "logprobs": 1, "echo": True}

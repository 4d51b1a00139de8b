"""Servers that complete a prompt and tell the log-probabilities of its tokens: scored as a local model is.

A prompt is sent as token ids and comes back with ``echo``; the log-probabilities of a continuation are those of its
tokens. That the echo is the prompt, and that a token's number is the one it had when the model wrote it, is checked
before anything is scored; that the echo is the prompt, with each answer.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from gpteval.api.client import Document, Malformed, Rejected
from gpteval.api.engine import A_TOKEN, ApiEngine, choice_of, number
from gpteval.api.model import ApiModel
from gpteval.api.prices import Budget
from gpteval.core.errors import ModelError
from gpteval.core.types import Prompt
from gpteval.engine.encode import Encoder
from gpteval.engine.engine import Plan, plan_rows
from gpteval.engine.rows import Row, RowResult, ScoreRow, Tokens, sums_of_parts

PROBE = "The quick brown fox jumps over the lazy dog. The quick brown fox"
CLOSE = 0.05  # nats between a token's log-probability as it is written and as it is echoed
PROBES = 3  # answers that may be wrong before a server counts as unfit
MOST_STOPS = 4  # that the protocol takes


class CompletionsEngine(ApiEngine):
    """``stride`` and ``like_peer``: see ``Encoder``."""

    path = "completions"

    def __init__(self, model: ApiModel, budget: Budget, *, stride: int | None = None, like_peer: bool = False) -> None:
        super().__init__(model, budget)
        assert model.window is not None
        self._spelled: dict[int, set[str]] = {}
        self.encoder = Encoder(model.codec, model.window, stride, vocabulary=model.vocabulary, like_peer=like_peer)

    def plan(self, prompts: Sequence[Prompt]) -> Plan:
        return plan_rows(self.encoder, self.model.key, prompts)

    def body(self, row: Row, without: Collection[str]) -> dict[str, Any]:
        if isinstance(row, ScoreRow):
            return _scoring(row.context + row.targets)
        drawn = row.sampling
        body: dict[str, Any] = {"prompt": list(row.prompt), "max_tokens": row.max_new_tokens}
        body |= {"temperature": drawn.temperature, "seed": drawn.seed}
        if drawn.top_k:
            body["top_k"] = drawn.top_k
        if row.stop:
            body["stop"] = list(row.stop[:MOST_STOPS])
        return body

    def read(self, row: Row, document: Document) -> RowResult:
        if isinstance(row, ScoreRow):
            return self._scored(row, document)
        choice = choice_of(document)
        text, reason = choice.get("text"), choice.get("finish_reason")
        if not isinstance(text, str):
            raise Malformed("it has no text")
        codec, most = self.model.codec, row.max_new_tokens
        ids = codec.encode([text[: A_TOKEN * most]])[0]
        long = len(ids) > most or len(text) > A_TOKEN * most
        text = codec.decode(ids[:most]) if long else text
        ends = [place for stop in row.stop if (place := text.find(stop)) >= 0]
        finish = "stop" if ends or (reason != "length" and not long) else "length"
        extra = json.dumps({"long": True}) if long and not ends else ""
        return RowResult(min(len(ids), most), text=text[: min(ends, default=len(text))], finish=finish, extra=extra)

    def _scored(self, row: ScoreRow, document: Document) -> RowResult:
        whole = row.context + row.targets
        numbers, tops = self.echo(whole, document)
        logprobs = [n for n in numbers[len(row.context) :] if n is not None and math.isfinite(n)]
        if len(logprobs) < len(row.targets):
            raise Malformed("a log-probability of the prompt is missing or not finite")
        if row.barred:
            return RowResult(0, error="words that greedy decoding passes over cannot be asked of a server")
        likeliest = [max(top) for top in tops[len(row.context) :]]
        if any(n > most + CLOSE for n, most in zip(logprobs, likeliest, strict=True)):
            raise Malformed("the likeliest token is not told, or is less likely than the prompt's own")
        greedy = all(n >= most - 1e-6 for n, most in zip(logprobs, likeliest, strict=True))
        sums = sums_of_parts(logprobs, row.parts)
        return RowResult(len(row.targets), logprob=math.fsum(logprobs), greedy=greedy, extra=sums)

    def echo(self, ids: Tokens, document: Document) -> tuple[list[float | None], list[list[float]]]:
        """The log-probabilities of a prompt's tokens, and of the likeliest tokens at each place. Raises Malformed."""
        found = choice_of(document).get("logprobs")
        lists = (
            [found[name] for name in _LISTS if isinstance(found.get(name), list)] if isinstance(found, Mapping) else []
        )
        if len(lists) < len(_LISTS):
            raise Malformed(f"its logprobs have not {', '.join(_LISTS)}")
        tokens, numbers, tops = lists
        if not len(ids) <= len(tokens) <= len(ids) + 1 or not len(tokens) == len(numbers) == len(tops):
            raise Malformed(f"{len(tokens)} tokens with {len(numbers)} log-probabilities came back of {len(ids)}")
        text = self.model.codec.decode(ids)
        if text.isascii() and "".join(map(str, tokens[: len(ids)])) != text:
            raise Malformed("the echoed tokens are not the prompt's")
        for token, told in zip(ids, tokens, strict=False):
            if not self._is(token, told):
                raise Malformed(f"the echoed tokens are not the prompt's: none is {self.model.codec.decode([token])!r}")
        if not all(top is None or isinstance(top, Mapping) for top in tops):
            raise Malformed("its likeliest tokens are not told as tokens with numbers")
        likeliest = [[number(n) for n in top.values()] if top else [-math.inf] for top in tops[: len(ids)]]
        return [None if n is None else number(n) for n in numbers[: len(ids)]], likeliest

    def _is(self, token: int, told: object) -> bool:
        """Whether a token was told by its text, or by its name in the vocabulary; of parts of letters none can say."""
        spelled = self._spelled.get(token)
        if spelled is None:
            codec = self.model.codec
            name = str(codec.tokenizer.convert_ids_to_tokens(token))
            text = codec.decode([token])
            spelled = {text, name, name.translate(_SPACES)} if text.isascii() else set()
            self._spelled[token] = spelled
        return isinstance(told, str) and (told in spelled or not spelled)

    def prepare(self) -> None:
        """Whether the server echoes a prompt's tokens with their log-probabilities."""
        ids = self.model.codec.encode([PROBE])[0]
        try:
            document = self.client.ask(b"", _Probe(self, ids))
            written = self._written(document, len(ids))
            if written is None:
                return
            token, first = written
            numbers, tops = self.echo(Tokens([*ids, token]), self.client.ask(b"", _Probe(self, [*ids, token])))
        except Rejected as error:
            raise self.unfit(error.message) from error
        likeliest = max(tops[-1])  # the token was written greedily
        if numbers[-1] is None or abs(numbers[-1] - first) > CLOSE or abs(likeliest - first) > CLOSE:
            raise self.unfit(
                f"a token that it wrote with a log-probability of {first:.3f} comes back with {numbers[-1]}"
            )

    def _written(self, document: Document, place: int) -> tuple[int, float] | None:
        """The token behind the prompt with its log-probability; None where it is not told, or not one token."""
        lists = choice_of(document)["logprobs"]
        if len(lists["tokens"]) <= place or lists["token_logprobs"][place] is None:
            return None
        (ids,) = self.model.codec.encode([str(lists["tokens"][place])])
        return (ids[0], number(lists["token_logprobs"][place])) if len(ids) == 1 else None

    def unfit(self, reason: str) -> ModelError:
        """Why the server cannot be used."""
        return ModelError(
            f"{self.model.info.name} cannot be scored: {reason}",
            "the server must echo a prompt with the log-probabilities of its tokens, as vLLM does; "
            "as a chat model it can be asked without them: openai:NAME",
        )


_SPACES = str.maketrans({"Ġ": " ", "▁": " ", "Ċ": "\n"})  # how vocabularies write white space
_LISTS = ("tokens", "token_logprobs", "top_logprobs")


def _scoring(ids: Sequence[int]) -> dict[str, Any]:
    return {"prompt": list(ids), "max_tokens": 1, "temperature": 0, "logprobs": 1, "echo": True}


class _Probe:
    """The question at the start; its answer is the document."""

    def __init__(self, engine: CompletionsEngine, ids: Sequence[int]) -> None:
        self.engine, self.ids, self.tries = engine, ids, 0

    def begin(self, key: bytes) -> dict[str, Any]:
        body = {"model": self.engine.model.info.location, **_scoring(self.ids)}
        self.engine.budget.commit(self.engine.dollars_of(self.engine.most(body)))
        return body

    def end(self, key: bytes, paid: bool) -> None:
        """Few tokens: what was set aside for them is taken as spent."""

    def read(self, key: bytes, document: Document, seconds: float) -> Any:
        self.tries += 1
        try:
            numbers, _ = self.engine.echo(Tokens(self.ids), document)
            if any(n is None or not math.isfinite(n) for n in numbers[1:]):
                raise Malformed("log-probabilities of the prompt's tokens are missing")
        except Malformed as error:
            if self.tries < PROBES:
                raise
            raise self.engine.unfit(str(error)) from None
        return document

    def rejected(self, key: bytes, body: Mapping[str, Any], error: Rejected) -> Any:
        raise error

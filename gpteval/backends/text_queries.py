"""Prompts as texts, for backends that are asked no tokens: choices are answered by letter, texts are written."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from string import ascii_uppercase

from gpteval.backends.query_plan import Plan
from gpteval.core.errors import NotAvailable
from gpteval.core.kinds import ANSWERED, kind_of
from gpteval.core.outcomes import Cost, Failed, Generated, Outcome, Score, Scored
from gpteval.core.types import Choice, Generate, Prompt, Rolling
from gpteval.tokens.queries import Query, QueryResult

SYSTEM = "Answer with the letter of the right option, and nothing else."
LETTER_TOKENS = 16  # room for "The answer is (B)."
BY_TEXT, BY_LOGPROBS = "text", "logprobs"


@dataclass(frozen=True)
class TextQuery:
    """One message. ``options``: of so many letters one is the answer, and ``SYSTEM`` says so; 0 for a text of
    ``max_tokens``, which ends at a string of ``stop``.
    """

    prompt: str
    options: int
    max_tokens: int
    stop: tuple[str, ...] = ()

    @property
    def length(self) -> int:
        """Tokens, about."""
        return len(self.prompt) // 4 + self.max_tokens

    @property
    def written(self) -> int:
        return self.max_tokens

    def key(self, model_key: str) -> bytes:
        content = json.dumps([model_key, SYSTEM, self.prompt, self.options, self.max_tokens, self.stop])
        return hashlib.blake2b(content.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def letter_result(
    letter: str,
    logprobs: Mapping[str, float | None] | None = None,
    *,
    text: str = "",
    options: int,
    share: float | None = None,
) -> QueryResult:
    """The result of a query with ``options``: the ``letter`` that was chosen. ``logprobs``: of the letters, where they
    are told (None of one that is less likely than those told), and the ``share`` of the probability that they hold.
    """
    letters = {name: (logprobs or {}).get(name) for name in ascii_uppercase[:options]}
    extra = {"letters": letters, "by": BY_LOGPROBS if logprobs else BY_TEXT, "chosen": letter, "share": share}
    return QueryResult(1, text=text, extra=json.dumps(extra))


@dataclass(frozen=True)
class TextPrompt:
    """A prompt's query, and its outcome."""

    request: Choice | Generate
    query: TextQuery
    own_bos = False

    def outcome(self, results: Sequence[QueryResult | None]) -> Outcome:
        """A refusal, a filter's stop and an answer without a letter are failures, which count as wrong."""
        (result,) = results
        assert result is not None
        cost = Cost(result.seconds, result.processed)
        if result.error:
            return Failed(result.error, cost, answered=kind_of(result.error) in ANSWERED, text=result.text)
        if isinstance(self.request, Generate):
            return Generated(result.text, "length" if result.finish == "length" else "stop", result.tokens, cost=cost)
        noted = json.loads(result.extra)
        letters = noted["letters"] if noted["by"] == BY_LOGPROBS else dict.fromkeys(noted["letters"])
        chosen = noted.get("chosen", result.text)
        scores = tuple(
            Score(letters[letter], 1, letter == chosen) for letter in ascii_uppercase[: len(self.request.continuations)]
        )
        return Scored(scores, cost=cost, text=result.text, share=noted.get("share"))


def plan_texts(prompts: Sequence[Prompt], model_key: str) -> Plan:
    """The plan of prompts for a model that is asked texts. Raises NotAvailable for what no text answers."""
    encoded: list[TextPrompt] = []
    keys: list[tuple[bytes]] = []
    queries: dict[bytes, Query] = {}
    for prompt in prompts:
        asked = _asked(prompt)
        key = asked.query.key(model_key)
        encoded.append(asked)
        keys.append((key,))
        queries[key] = asked.query
    return Plan(encoded, keys, queries)


def _asked(prompt: Prompt) -> TextPrompt:
    request = prompt.request
    if isinstance(request, Rolling):
        raise NotAvailable(
            "perplexity needs the log-probabilities of a text, which a chat does not give",
            "a server that echoes them can be asked for it: completions:NAME",
        )
    if isinstance(request, Generate):
        if request.top_k > 1:
            raise NotAvailable("drawing from the likeliest tokens cannot be asked of a chat")
        return TextPrompt(request, TextQuery(prompt.text(), 0, request.max_new_tokens, tuple(request.stop)))
    letters = [text.strip() for text in request.continuations]
    if len(letters) < 2 or letters != list(ascii_uppercase[: len(letters)]):
        raise NotAvailable(
            "the likelihood of an answer cannot be asked of a chat",
            "a server that echoes log-probabilities can be asked for it: completions:NAME",
        )
    return TextPrompt(request, TextQuery(prompt.text(), len(letters), LETTER_TOKENS))

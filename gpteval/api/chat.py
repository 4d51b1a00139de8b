"""Chat models: the prompt is the user's message. Choices are answered by letter, texts are written; nothing else can
be had, since a chat gives no log-probabilities of a prompt.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from string import ascii_uppercase
from typing import Any

from gpteval.api.client import Document, Malformed, Rejected
from gpteval.api.engine import CONTENT_FILTER, ApiEngine, choice_of
from gpteval.api.model import ApiModel
from gpteval.api.prices import Budget
from gpteval.core.errors import NotAvailable
from gpteval.core.types import Choice, Cost, Failed, Generate, Generated, Outcome, Prompt, Rolling, Score, Scored
from gpteval.engine.engine import Plan
from gpteval.engine.rows import RowResult

SYSTEM = "Answer with the letter of the right option, and nothing else."
LETTER_TOKENS = 16  # room for "The answer is (B)."
THINKING_TOKENS = 4096  # for models that count what they think as what they write
TOP = 20  # likeliest first tokens that the protocol tells, at most
REFUSAL, NO_LETTER = "refusal", "no letter"  # how the errors of such answers begin
NO_ANSWERS = tuple(f"{kind}:" for kind in (REFUSAL, CONTENT_FILTER, NO_LETTER))
A_TOKEN = 3  # bytes of a text that are about one token, rather few
_LETTER = re.compile(r"\W*([A-Z])(?:[\s.):,*]|$)")
_SENTENCE = re.compile(r"(?:answer|option|choice)(?:\s+is|:)\s*\W*([A-Z])(?!\w)", re.IGNORECASE)


@dataclass(frozen=True)
class ChatRow:
    """One message. ``options``: of so many letters one is the answer; 0 for a text of ``max_tokens``, which ends at a
    string of ``stop``.
    """

    prompt: str
    options: int
    max_tokens: int
    stop: tuple[str, ...] = ()

    @property
    def length(self) -> int:
        """Tokens, about."""
        return len(self.prompt.encode("utf-8", "replace")) // A_TOKEN + self.max_tokens

    def key(self, model_key: str) -> bytes:
        """Content address of the answer."""
        told = json.dumps([model_key, SYSTEM, self.prompt, self.options, self.max_tokens, self.stop])
        return hashlib.blake2b(told.encode("utf-8", "surrogatepass"), digest_size=16).digest()


@dataclass(frozen=True)
class Asked:
    """A prompt's row, and its outcome."""

    request: Choice | Generate
    row: ChatRow
    own_bos = False

    def outcome(self, results: Sequence[RowResult | None]) -> Outcome:
        """A refusal, a filter's stop and an answer without a letter are failures, which count as wrong."""
        (result,) = results
        assert result is not None
        cost = Cost(result.seconds, result.processed)
        if result.error:
            return Failed(result.error, cost, answered=result.error.startswith(NO_ANSWERS))
        if isinstance(self.request, Generate):
            return Generated(result.text, "length" if result.finish == "length" else "stop", result.tokens, cost=cost)
        letters = json.loads(result.extra)["letters"]
        scores = tuple(Score(letters[letter], 1, letter == result.text) for letter in ascii_uppercase[: len(letters)])
        return Scored(scores, cost=cost)


class ChatEngine(ApiEngine):
    """What the server does not take (log-probabilities, a temperature) is left out once it said so."""

    path = "chat/completions"

    def __init__(self, model: ApiModel, budget: Budget) -> None:
        super().__init__(model, budget)
        self.left_out: set[str] = set()
        self.limit = "max_tokens"  # or max_completion_tokens, as newer models name it

    def prepare(self) -> None:
        """Nothing: what the server does not take is found out with the first answers."""

    def plan(self, prompts: Sequence[Prompt]) -> Plan:
        encoded, keys, rows = [], [], {}
        for prompt in prompts:
            asked = Asked(prompt.request, _row(prompt))  # type: ignore[arg-type]  # _row refuses the others
            key = asked.row.key(self.model.key)
            encoded.append(asked)
            keys.append((key,))
            rows[key] = asked.row
        return Plan(encoded, keys, rows)  # type: ignore[arg-type]  # of the same form

    def expected(self, row: ChatRow) -> tuple[int, int]:
        return row.length - row.max_tokens, self._room(row)

    def _room(self, row: ChatRow) -> int:
        return row.max_tokens + (THINKING_TOKENS if self.limit != "max_tokens" else 0)

    def body(self, row: ChatRow) -> dict[str, Any]:
        system = [{"role": "system", "content": SYSTEM}] if row.options else []
        body: dict[str, Any] = {"messages": [*system, {"role": "user", "content": row.prompt}]}
        body[self.limit] = self._room(row)
        wanted: dict[str, Any] = {"temperature": 0, "seed": 0}
        if row.options:
            wanted |= {"logprobs": True, "top_logprobs": TOP}
        return body | {name: value for name, value in wanted.items() if name not in self.left_out}

    def rejected(self, row: ChatRow, error: Rejected) -> RowResult:
        said = error.message.lower()
        with self.lock:
            if "max_completion_tokens" in said and self.limit == "max_tokens":
                self.limit = "max_completion_tokens"
                raise Malformed(error.message)
            for name in ("top_logprobs", "logprobs", "temperature", "seed"):
                if name in said or (name == "top_logprobs" and "logprob" in said):
                    group = {"top_logprobs", "logprobs"} if "logprob" in name else {name}
                    if not group & self.left_out:
                        self.left_out |= group
                        raise Malformed(error.message)
        return super().rejected(row, error)

    def read(self, row: ChatRow, document: Document) -> RowResult:
        choice = choice_of(document)
        message, reason = choice.get("message"), choice.get("finish_reason")
        if not isinstance(message, Mapping):
            raise Malformed("it has no message")
        text = message.get("content")
        if message.get("refusal"):
            return RowResult(0, error=f"{REFUSAL}: {str(message['refusal'])[:200]}")
        if reason == "content_filter":
            return RowResult(0, error=f"{CONTENT_FILTER}: the answer was stopped")
        if text is None and reason == "length":
            text = ""
        if not isinstance(text, str):
            raise Malformed("its message has no content")
        if row.options:
            return self._lettered(row, text, choice)
        text = text.lstrip()
        ends = [place for stop in row.stop if (place := text.find(stop)) >= 0]
        finish = "length" if reason == "length" and not ends else "stop"
        tokens = (document.get("usage") or {}).get("completion_tokens")
        return RowResult(
            tokens if isinstance(tokens, int) else 0, text=text[: min(ends, default=len(text))], finish=finish
        )

    def _lettered(self, row: ChatRow, text: str, choice: Mapping[str, Any]) -> RowResult:
        """By the likeliest letter among the first tokens, where they are told and hold one; else by the text."""
        letters = ascii_uppercase[: row.options]
        found, least = _first_letters(choice, letters)
        if found:
            told = {letter: found.get(letter, least) for letter in letters}  # one that is not told is no likelier
            best = max(letters, key=told.__getitem__)
        else:
            best = letter_of(text, letters)
            if not best:
                return RowResult(0, error=f"{NO_LETTER}: {' '.join(text.split())[:120]!r}")
            told = {letter: 0.0 if letter == best else -math.inf for letter in letters}
        return RowResult(1, text=best, extra=json.dumps({"letters": told, "by": "logprobs" if found else "text"}))


def _row(prompt: Prompt) -> ChatRow:
    request = prompt.request
    if isinstance(request, Rolling):
        raise NotAvailable(
            "perplexity needs the log-probabilities of a text, which a chat does not give",
            "a server that echoes them can be asked for it: completions:NAME",
        )
    if isinstance(request, Generate):
        if request.top_k > 1:
            raise NotAvailable("drawing from the likeliest tokens cannot be asked of a chat")
        return ChatRow(prompt.text(), 0, request.max_new_tokens, tuple(request.stop))
    letters = [text.strip() for text in request.continuations]
    if len(letters) < 2 or letters != list(ascii_uppercase[: len(letters)]):
        raise NotAvailable(
            "the likelihood of an answer cannot be asked of a chat",
            "a server that echoes log-probabilities can be asked for it: completions:NAME",
        )
    return ChatRow(prompt.text(), len(letters), LETTER_TOKENS)


def letter_of(text: str, letters: str) -> str:
    """The letter that an answer names: at its beginning (``B``, ``(B)``, ``B. because``), or in a sentence that says
    so once (``The answer is B.``); "" where it names none, or several.
    """
    begun = _LETTER.match(text)
    if begun and begun[1] in letters and not re.match(r"\W*[AI]\s+\w", text):
        return begun[1]
    named = {found.upper() for found in _SENTENCE.findall(text)}
    return named.pop() if len(named) == 1 and named <= set(letters) else ""


def _first_letters(choice: Mapping[str, Any], letters: str) -> tuple[dict[str, float], float]:
    """Log-probabilities of letters as the first token; of one that comes in several spellings, together. The least
    log-probability that is told of any token.
    """
    least = 0.0
    try:
        first = choice["logprobs"]["content"][0]["top_logprobs"]
        found: dict[str, list[float]] = {}
        for one in first:
            letter, number = str(one["token"]).strip(), float(one["logprob"])
            least = min(least, number)
            if len(letter) == 1 and letter in letters and math.isfinite(number):
                found.setdefault(letter, []).append(number)
    except (KeyError, IndexError, TypeError, ValueError):
        return {}, 0.0
    return {letter: math.log(math.fsum(map(math.exp, numbers))) for letter, numbers in found.items()}, least

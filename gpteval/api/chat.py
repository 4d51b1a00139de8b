"""Chat models: the prompt is the user's message. Choices are answered by letter, texts are written; nothing else can
be had, since a chat gives no log-probabilities of a prompt.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from string import ascii_uppercase
from typing import Any

from gpteval.api.api_backend import A_TOKEN, LONGEST_NAME, ApiBackend, choice_of, number, usage_of
from gpteval.api.client import Document
from gpteval.api.server_errors import Malformed, Rejected
from gpteval.backends.interface import CHAT, GREEDY, SAMPLING
from gpteval.backends.query_plan import Plan
from gpteval.backends.text_queries import THINKING_TOKENS, TextQuery, letter_of, letter_result, plan_texts
from gpteval.backends.thinking import answer_behind
from gpteval.core.kinds import CUT, FILTERED, NO_ANSWER, NO_LETTER, NO_TEXT, REFUSAL
from gpteval.core.types import Prompt
from gpteval.tokens.queries import QueryResult

LONG = "beyond its limit"  # how a text ends that is longer than the task asked for
SHARE = 0.5  # of the first token's probability that letters hold, at least, to be believed rather than the text
TOP = 20  # likeliest first tokens that the protocol tells, at most
# Parameters that a server may refuse, in groups that are left out together. Without max_tokens the limit goes by its
# newer name.
GROUPS = {
    "max_tokens": ("max_tokens",),
    "logprobs": ("top_logprobs", "logprobs"),
    "temperature": ("temperature",),
    "seed": ("seed",),
}
_ALONE = re.compile(r"\W*([A-Za-z])\W*")  # a token that is a letter: with a space, in brackets, small


class ChatBackend(ApiBackend):
    """What the server does not take (log-probabilities, a temperature) is left out once it said so."""

    can = frozenset({GREEDY, SAMPLING, CHAT})
    kind = "chat"
    path = "chat/completions"

    def prepare(self, queries: Sequence[Any]) -> None:
        """Nothing: what the server does not take is found out with the first answers."""

    def plan(self, prompts: Sequence[Prompt]) -> Plan:
        return plan_texts(prompts, self.model.key, self.chat, self.sampling)

    def body(self, query: TextQuery, without: Collection[str]) -> dict[str, Any]:
        body: dict[str, Any] = {"messages": query.messages}
        if "max_tokens" in without:
            body["max_completion_tokens"] = query.max_tokens + THINKING_TOKENS
        else:
            body["max_tokens"] = query.max_tokens
        wanted: dict[str, Any] = {"temperature": query.temperature, "seed": query.seed}
        if query.options:
            wanted |= {"logprobs": True, "top_logprobs": TOP}
        left_out = {name for group in without for name in GROUPS.get(group, ())}
        return body | {name: value for name, value in wanted.items() if name not in left_out}

    def refused(self, query: TextQuery, body: Mapping[str, Any], error: Rejected) -> tuple[str, bool]:
        """What the server names as the reason or speaks of: whether it is the reason, an answer without it shows."""
        said = error.message.lower().replace(query.prompt.lower(), "")
        for group, names in GROUPS.items():
            meant = ("max_completion_tokens",) if group == "max_tokens" else names
            named = error.parameter in names or any(re.search(rf"\b{name}\b", said) for name in meant)
            if named and any(name in body for name in names):
                return group, error.parameter in names or not any(name in query.prompt.lower() for name in meant)
        return "", False

    def read(self, query: TextQuery, document: Document) -> QueryResult:
        choice = choice_of(document)
        message, reason = choice.get("message"), choice.get("finish_reason")
        if not isinstance(message, Mapping):
            raise Malformed("it has no message")
        text, thought_apart = _content(message)
        if message.get("refusal"):
            return QueryResult(0, error=f"{REFUSAL}: {str(message['refusal'])[:200]}", text=_kept(query, text))
        if reason == "content_filter":
            return QueryResult(0, error=f"{FILTERED}: the answer was stopped", text=_kept(query, text))
        if not (text and text.strip()) and reason != "length":
            if called := _called(message):
                return QueryResult(0, error=f"{NO_TEXT}: it calls {called}")
            if thought_apart:
                return QueryResult(0, error=f"{NO_TEXT}: it thinks, and ends")
            if text is None:
                raise Malformed("its message has no content", NO_ANSWER)
        answer, thinks = answer_behind(text or "")
        thought = thought_apart or ((text or "")[: len(text or "") - len(answer or "")] if thinks else "")
        if answer is None or (reason == "length" and not answer.strip()):
            spent = "a thought" if thought else "nothing that is shown"
            return QueryResult(0, error=f"{CUT}: its limit of tokens went into {spent}", text=_kept(query, text))
        if query.options:
            result = self._lettered(query, answer, None if thought else choice)
        else:
            result = _written(query, answer, reason)
        noted = json.loads(result.extra) if result.extra else {}
        noted |= {"thinks": thought[: A_TOKEN * THINKING_TOKENS]} if thought else {}
        noted |= {"long": True} if result.finish == LONG else {}
        used = usage_of(document)
        return replace(
            result,
            tokens=used.written if used and not query.options else result.tokens,
            finish="length" if result.finish == LONG else result.finish,
            extra=json.dumps(noted) if noted else "",
        )

    def _lettered(self, query: TextQuery, text: str, choice: Mapping[str, Any] | None) -> QueryResult:
        """By the likeliest letter among the first tokens, where they are told and letters hold ``SHARE`` of the
        probability; else by the text, which a stray letter does not outweigh.

        A letter whose log-probability is not told is less likely than those told. ``choice``: None behind a thought.
        """
        letters = ascii_uppercase[: query.options]
        first = _first_letters(choice, letters) if choice else None
        share = None if first is None else math.fsum(map(math.exp, first.values()))
        found = first if first and share and share >= SHARE else {}
        best = max(sorted(found), key=found.__getitem__) if found else letter_of(text, letters)
        if not best:
            return QueryResult(0, error=f"{NO_LETTER}: {' '.join(text.split())[:120]!r}", text=_kept(query, text))
        return letter_result(best, found, text=_kept(query, text), options=query.options, share=share)


def _content(message: Mapping[str, Any]) -> tuple[str | None, str]:
    """The text of a message, which may come in parts; and the thought that stands apart from it. Raises Malformed."""
    content = message.get("content")
    thought = next((str(message[name]) for name in ("reasoning_content", "reasoning") if message.get(name)), "")
    if isinstance(content, list):
        parts = [part if isinstance(part, Mapping) else {"type": "text", "text": part} for part in content]
        apart = [part for part in parts if part.get("type") in ("thinking", "reasoning")]
        thought = thought or "\n".join(str(part.get("thinking") or part.get("text") or part["type"]) for part in apart)
        content = "".join(part["text"] for part in parts if part.get("type", "text") in ("text", "output_text"))
    if not isinstance(content, str | None):
        raise Malformed("its message's content is no text")
    return content, thought


def _called(message: Mapping[str, Any]) -> str:
    """The tools that a message calls, by name; "" for none."""
    calls = message.get("tool_calls") or [{"function": call} for call in [message.get("function_call")] if call]
    names = [str((call.get("function") or {}).get("name") or "a tool") for call in calls]
    return ", ".join(dict.fromkeys(names))[:LONGEST_NAME]


def _kept(query: TextQuery, text: object) -> str:
    """As much of a text as the task asked for."""
    return text[: A_TOKEN * query.max_tokens] if isinstance(text, str) else ""


def _written(query: TextQuery, text: str, reason: object) -> QueryResult:
    """A text up to its stop string, or the task's limit."""
    text = text.lstrip()
    kept = _kept(query, text)
    ends = [place for stop in query.stop if (place := kept.find(stop)) >= 0]
    finish = "stop" if ends else LONG if len(kept) < len(text) else "length" if reason == "length" else "stop"
    return QueryResult(0, text=kept[: min(ends, default=len(kept))], finish=finish)


def _first_letters(choice: Mapping[str, Any], letters: str) -> dict[str, float] | None:
    """Log-probabilities of letters as the first token; of one that comes in several spellings, together. None where
    the server does not tell them.
    """
    found: dict[str, list[float]] = {}
    try:
        for one in choice["logprobs"]["content"][0]["top_logprobs"]:
            letter = _ALONE.fullmatch(str(one["token"]))
            if letter and letter[1].upper() in letters and one["logprob"] is not None:  # null: impossible
                found.setdefault(letter[1].upper(), []).append(number(one["logprob"]))
    except (KeyError, IndexError, TypeError):
        return None
    sums = {letter: math.fsum(map(math.exp, numbers)) for letter, numbers in found.items()}
    if any(total > 1.01 for total in sums.values()):
        raise Malformed("the probabilities of its first tokens are above 1")
    return {letter: min(0.0, math.log(total)) for letter, total in sums.items() if total > 0}

"""Prompts as texts, for backends that are asked no tokens: choices are answered by letter, texts are written."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from string import ascii_uppercase

from gpteval.backends.chat_options import TURNS, ChatOptions
from gpteval.backends.query_plan import Plan
from gpteval.core.errors import NotAvailable
from gpteval.core.kinds import ANSWERED, kind_of
from gpteval.core.outcomes import Cost, Failed, Finish, Generated, Outcome, Score, Scored
from gpteval.core.types import Choice, Generate, Prompt, Rolling
from gpteval.tokens.queries import Query, QueryResult, Sampling

SYSTEM = "Answer with the letter of the right option, and nothing else."
LETTER_TOKENS = 16  # room for "The answer is (B)."
THINKING_TOKENS = 4096  # for models that count what they think as what they write
BY_TEXT, BY_LOGPROBS = "text", "logprobs"
Spoken = dict[str, str]  # as servers and templates take it: role and content
_LETTER = re.compile(r"\W*([A-Z])(?:[\s.):,*]|$)")
_SENTENCE = re.compile(r"(?:answer|option|choice)(?:\s+is|:)\s*\W*([A-Z])(?!\w)", re.IGNORECASE)


@dataclass(frozen=True)
class TextQuery:
    """What a chat is asked: ``prompt``, its last message, and before it ``turns``, questions and answers.

    ``options``: of so many letters one is the answer, and ``SYSTEM`` says so; 0 for a text of ``max_tokens``, which
    ends at a string of ``stop``. ``system``: what the user says before all that.
    """

    prompt: str
    options: int
    max_tokens: int
    stop: tuple[str, ...] = ()
    system: str = ""
    turns: tuple[tuple[str, str], ...] = ()
    temperature: float = 0
    seed: int = 0

    @property
    def messages(self) -> list[Spoken]:
        """The conversation, whose next message is the answer."""
        system = "\n\n".join(filter(None, [self.system, SYSTEM * bool(self.options)]))
        found = [{"role": "system", "content": system}] if system else []
        for question, answer in self.turns:
            found += [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
        return [*found, {"role": "user", "content": self.prompt}]

    @property
    def length(self) -> int:
        """Tokens, about."""
        said = sum(len(message["content"]) for message in self.messages) if self.turns else len(self.prompt)
        return said // 4 + self.max_tokens

    @property
    def written(self) -> int:
        return self.max_tokens

    def key(self, model_key: str) -> bytes:
        further: list[object] = [self.system, self.turns] if self.system or self.turns else []
        further += [{"temperature": self.temperature, "seed": self.seed}] if self.temperature else []
        content = json.dumps([model_key, SYSTEM, self.prompt, self.options, self.max_tokens, self.stop, *further])
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
        noted = json.loads(result.extra) if result.extra else {}
        thought = noted.get("thinks") or "(not kept)" * bool(noted.get("thought"))  # as the version before noted it
        if isinstance(self.request, Generate):
            finish: Finish = "length" if result.finish == "length" else "stop"
            return Generated(result.text, finish, result.tokens, cost=cost, thought=thought)
        letters = noted["letters"] if noted["by"] == BY_LOGPROBS else dict.fromkeys(noted["letters"])
        chosen = noted.get("chosen", result.text)
        scores = tuple(
            Score(letters[letter], 1, letter == chosen) for letter in ascii_uppercase[: len(self.request.continuations)]
        )
        return Scored(scores, cost=cost, text=result.text, share=noted.get("share"), thought=thought)


def letter_of(text: str, letters: str) -> str:
    """The letter that an answer names: at its beginning (``B``, ``(B)``, ``B. because``), or in a sentence that says
    so once (``The answer is B.``); "" where it names none, or several.
    """
    begun = _LETTER.match(text)
    if begun and begun[1] in letters and not re.match(r"\W*[AI]\s+\w", text):
        return begun[1]
    named = {found.upper() for found in _SENTENCE.findall(text)}
    return named.pop() if len(named) == 1 and named <= set(letters) else ""


def plan_texts(
    prompts: Sequence[Prompt],
    model_key: str,
    chat: ChatOptions = ChatOptions(),  # noqa: B008
    sampling: Sampling = Sampling(),  # noqa: B008
) -> Plan:
    """The plan of prompts for a model that is asked texts. Raises NotAvailable for what no text answers."""
    encoded: list[TextPrompt] = []
    keys: list[tuple[bytes]] = []
    queries: dict[bytes, Query] = {}
    for prompt in prompts:
        query = text_query(prompt, chat)
        if sampling.temperature and not query.options:
            query = replace(query, temperature=sampling.temperature, seed=sampling.seed)
        key = query.key(model_key)
        assert not isinstance(prompt.request, Rolling)
        encoded.append(TextPrompt(prompt.request, query))
        keys.append((key,))
        queries[key] = query
    return Plan(encoded, keys, queries)


def text_query(prompt: Prompt, chat: ChatOptions) -> TextQuery:
    """What a chat is asked of a prompt. Raises NotAvailable for what no text answers."""
    request = prompt.request
    if isinstance(request, Rolling):
        raise NotAvailable(
            "perplexity needs the log-probabilities of a text, which a chat does not give",
            "a server that echoes them can be asked for it: completions:NAME",
        )
    if isinstance(request, Generate):
        if request.top_k > 1:
            raise NotAvailable("drawing from the likeliest tokens cannot be asked of a chat")
        return asked_of(prompt, chat)
    if not asks_letters(request):
        raise NotAvailable(
            "the likelihood of an answer cannot be asked of a chat",
            "a server that echoes log-probabilities can be asked for it: completions:NAME",
        )
    return asked_of(prompt, chat, len(request.continuations))


def asks_letters(request: Choice) -> bool:
    """Whether a letter answers, since the options stand in the prompt."""
    letters = [text.strip() for text in request.continuations]
    return len(letters) > 1 and letters == list(ascii_uppercase[: len(letters)])


def asked_of(prompt: Prompt, chat: ChatOptions, options: int = 0, dropped: int = 0) -> TextQuery:
    """The conversation of a prompt without its first ``dropped`` examples, of whose ``options`` letters one answers."""
    request = prompt.request
    most, stop = (request.max_new_tokens, tuple(request.stop)) if isinstance(request, Generate) else (LETTER_TOKENS, ())
    if chat.shots_as != TURNS or not prompt.examples:
        return TextQuery(prompt.text(dropped), options, most, stop, chat.system)
    shown = list(zip(prompt.examples, prompt.answers_at, strict=True))[dropped:]
    turns = [(text[:at].rstrip(), text[at:].strip()) for text, at in shown]
    first, *others = [*(question for question, _ in turns), request.prompt.rstrip()]
    questions = [prompt.preamble + first, *others]
    answers = [answer for _, answer in turns]
    return TextQuery(questions[-1], options, most, stop, chat.system, tuple(zip(questions, answers, strict=False)))

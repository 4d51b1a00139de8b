"""``chat:NAME``: a model whose weights are here, asked in messages as models behind an API are."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from string import ascii_uppercase
from typing import Any, Self, cast

from gpteval.backends.chat_options import ChatOptions
from gpteval.backends.interface import CHAT, GREEDY, LOGPROBS, SAMPLING, WORKERS
from gpteval.backends.opening import Opening
from gpteval.backends.query_plan import Plan
from gpteval.backends.text_queries import LETTER_TOKENS, THINKING_TOKENS, asked_of, asks_letters, letter_of
from gpteval.chat.channels import parted
from gpteval.chat.chat_model import ChatModel
from gpteval.chat.template import ChatTemplate
from gpteval.core.errors import NotAvailable
from gpteval.core.kinds import CUT, NO_LETTER
from gpteval.core.outcomes import Cost, Failed, Finish, Generated, Outcome, Score, Scored
from gpteval.core.types import Choice, Generate, Prompt, Rolling
from gpteval.engine.engine import Engine
from gpteval.models.catalogue import ModelInfo
from gpteval.tokens.queries import GenerateQuery, Query, QueryResult, Sampling, ScoreQuery, Tokens

BLOCK = 1024  # prompts that are encoded at a time


@dataclass(frozen=True, slots=True)
class ChatPrompt:
    """A prompt as it is asked: ``queries`` of a choice are its answers' spellings, of which ``owners`` tells whose each
    is, those of the neutral context counted behind the choices; what is written begins ``in_answer`` where no thought
    can come first.
    """

    request: Choice | Generate
    queries: tuple[Query, ...]
    owners: tuple[int, ...] = ()
    shots_dropped: int = 0
    tokens_cut: int = 0
    limit_cut: int = 0
    in_answer: bool = True
    error: str = ""
    own_bos = False

    def outcome(self, results: Sequence[QueryResult | None]) -> Outcome:
        found = [result for result in results if result is not None]
        cost = Cost(sum(result.seconds for result in found), sum(result.processed for result in found))
        error = self.error or next((result.error for result in found if result.error), "")
        if error:
            return Failed(error, cost)
        return self._scored(found, cost) if self.owners else self._written(found[0], cost)

    def _scored(self, results: Sequence[QueryResult], cost: Cost) -> Outcome:
        """Of a letter that has several spellings, the sum of their probabilities."""
        assert isinstance(self.request, Choice)
        count = len(self.request.continuations)
        spellings: list[list[QueryResult]] = [[] for _ in range(1 + max(self.owners))]
        for owner, result in zip(self.owners, results, strict=True):
            spellings[owner].append(result)
        logprobs = [_log_sum([one.logprob for one in of_one]) for of_one in spellings]
        by_letter = asks_letters(self.request)
        best = logprobs.index(max(logprobs[:count]))
        scores = tuple(
            Score(logprob, of_one[0].tokens, number == best if by_letter else of_one[0].greedy)
            for number, (logprob, of_one) in enumerate(zip(logprobs, spellings, strict=True))
        )
        share = math.fsum(map(math.exp, logprobs[:count])) if by_letter else None
        return Scored(scores[:count], scores[count:], self.shots_dropped, self.tokens_cut, cost, share=share)

    def _written(self, result: QueryResult, cost: Cost) -> Outcome:
        answer, thought = parted(result.text, in_answer=self.in_answer)
        cut = result.finish == "length"
        if answer is None or (cut and thought and not answer.strip()):
            return Failed(f"{CUT}: its limit of tokens went into a thought", cost, answered=True, text=result.text)
        if isinstance(self.request, Choice):
            letters = ascii_uppercase[: len(self.request.continuations)]
            chosen = letter_of(answer, letters)
            if not chosen:
                none = f"{NO_LETTER}: {' '.join(answer.split())[:120]!r}"
                return Failed(none, cost, answered=True, text=answer, thought=thought)
            scores = tuple(Score(None, 1, letter == chosen) for letter in letters)
            return Scored(scores, (), self.shots_dropped, self.tokens_cut, cost, text=answer, thought=thought)
        kept = answer.lstrip()
        ends = [place for stop in self.request.stop if (place := kept.find(stop)) >= 0]
        finish = "stop" if ends else cast(Finish, result.finish)
        cuts = self.shots_dropped, self.tokens_cut, self.limit_cut
        return Generated(kept[: min(ends, default=len(kept))], finish, result.tokens, *cuts, cost, thought=thought)


@dataclass(frozen=True, slots=True)
class _Spelling:
    """Tokens by which the choice ``owner`` may be answered, behind a ``lead`` that is not scored."""

    owner: int
    lead: Tokens
    target: Tokens


class ChatEngine(Engine):
    """Choices by letter are the probabilities of the answer's first token, with and without a space; as texts, the
    likelihood of the answer behind the template. Where the model may think, the letter is read from what it writes.
    """

    can = frozenset({LOGPROBS, GREEDY, SAMPLING, CHAT, WORKERS})
    protocol = "chat"
    model: ChatModel
    chat: ChatOptions = ChatOptions()

    def __init__(self, *given: Any, **how: Any) -> None:
        super().__init__(*given, **how)
        self._letters: dict[str, list[tuple[int, ...]]] = {}

    @classmethod
    def open(cls, info: ModelInfo, opening: Opening) -> Self:
        computing = opening.computing
        engine = cls.of(ChatModel(info, computing.load, computing.chat), computing)
        engine.chat, engine.rule = computing.chat, computing.chat.rule
        return engine

    @property
    def template(self) -> ChatTemplate:
        return self.model.template

    def described(self) -> dict[str, Any]:
        return {"chat": self.model.described()}

    def notes(self) -> list[str]:
        return [*super().notes(), *self.template.notes]

    def plan(self, prompts: Sequence[Prompt]) -> Plan:
        """Raises NotAvailable for texts that are to be scored, which no template has."""
        encoded: list[ChatPrompt] = []
        keys: list[tuple[bytes, ...]] = []
        queries: dict[bytes, Query] = {}
        for prompt in self._encoded(prompts):
            of_prompt = tuple(query.key(self.model.key) for query in prompt.queries)
            encoded.append(prompt)
            keys.append(of_prompt)
            queries.update(zip(of_prompt, prompt.queries, strict=True))
        return Plan(encoded, keys, queries)

    def _encoded(self, prompts: Sequence[Prompt]) -> Iterator[ChatPrompt]:
        for begin in range(0, len(prompts), BLOCK):
            block = prompts[begin : begin + BLOCK]
            texts = [self._text(prompt) for prompt in block]
            for prompt, ids in zip(block, self.template.encode(texts), strict=True):
                yield self._fitted(prompt, ids)

    def _text(self, prompt: Prompt, dropped: int = 0, begin: int = 0) -> str:
        """A prompt in its template, without its first examples and the ``begin`` first characters of its question."""
        if isinstance(prompt.request, Rolling):
            raise NotAvailable(
                "a text that is scored whole has no place in a chat template",
                f"{self.model.info.name.removeprefix('chat:')} can be asked for it, without the template",
            )
        request = prompt.request
        options = len(request.continuations) if isinstance(request, Choice) and asks_letters(request) else 0
        messages = asked_of(prompt, self.chat, options, dropped).messages
        messages[-1] = {**messages[-1], "content": messages[-1]["content"][begin:]}
        return self.template.render(messages)

    def _fitted(self, prompt: Prompt, ids: list[int]) -> ChatPrompt:
        """The prompt within the window: whole examples are dropped first, then the question's beginning."""
        request = prompt.request
        assert isinstance(request, Choice | Generate)
        writes = isinstance(request, Generate) or (self.chat.thinking and asks_letters(request))
        answers = [] if writes or not isinstance(request, Choice) else self._spellings(request)
        window = self.model.window
        most = self._limit_of(request)
        longest = max((len(one.lead) + len(one.target) for one in answers), default=0)
        room = window + 1 - longest if answers else window - min(most, max(1, window // 2))
        dropped = begin = 0
        last = prompt.request.prompt
        while len(ids) > room and dropped < len(prompt.examples):
            dropped += 1
            ids = self.template.encode([self._text(prompt, dropped)])[0]
        whole = len(ids)
        while len(ids) > room and begin < len(last):
            over = (len(ids) - room) / len(ids)
            begin = min(len(last), begin + max(1, int(over * (len(last) - begin))))
            ids = self.template.encode([self._text(prompt, dropped, begin)])[0]
        if room < 1 or len(ids) > room:
            return ChatPrompt(request, (), error=f"the template alone has more tokens than the window of {window}")
        if bad := self._beyond([*ids, *(token for one in answers for token in one.target)]):
            return ChatPrompt(request, (), error=bad)
        context, cut = Tokens(ids), whole - len(ids)
        if answers:
            return ChatPrompt(request, *self._scoring(request, context, answers), dropped, cut)
        limit = min(most, window - len(ids))
        free = self.chat.thinking
        stop = tuple(request.stop) if isinstance(request, Generate) and not free else ()
        query = GenerateQuery(context, limit, stop, self._sampling(request), blank_first=bool(stop))
        return ChatPrompt(request, (query,), (), dropped, cut, most - limit, in_answer=not free)

    def _limit_of(self, request: Choice | Generate) -> int:
        written = request.max_new_tokens if isinstance(request, Generate) else LETTER_TOKENS
        return written + THINKING_TOKENS * self.chat.thinking

    def _sampling(self, request: Choice | Generate) -> Sampling:
        drawn = self.encoder.sampling
        if isinstance(request, Generate) and request.top_k > 1:
            return Sampling(drawn.temperature or 1.0, request.top_k, drawn.seed)
        return drawn

    def _scoring(
        self, request: Choice | Generate, context: Tokens, answers: Sequence[_Spelling]
    ) -> tuple[tuple[Query, ...], tuple[int, ...]]:
        """The queries of a choice, and whose each is."""
        assert isinstance(request, Choice)
        contexts = [context]
        if request.neutral is not None and not asks_letters(request):
            neutral = self.template.render([{"role": "user", "content": request.neutral}])
            contexts.append(Tokens(self.template.encode([neutral])[0]))
        barred, count = self.encoder.barred(request), len(request.continuations)
        queries = tuple(ScoreQuery(one + s.lead, s.target, barred) for one in contexts for s in answers)
        return queries, tuple(count * number + s.owner for number in range(len(contexts)) for s in answers)

    def _spellings(self, request: Choice) -> list[_Spelling]:
        """The tokens by which each choice may be answered."""
        if asks_letters(request):
            letters = [self._of_letter(text.strip()) for text in request.continuations]
            every = [ids for of_one in letters for ids in of_one]
            if len(set(every)) < len(every) or not all(letters):
                raise NotAvailable("its tokenizer does not tell the letters apart", "ask with --choices text")
            return [_Spelling(n, Tokens(), Tokens(ids)) for n, of_one in enumerate(letters) for ids in of_one]
        found = []
        for number, continuation in enumerate(request.continuations):
            lead = request.leads[number].lstrip() if request.leads else ""
            begun, whole = self.template.encode([lead.rstrip(), (lead + continuation).lstrip()])
            at = len(begun) if lead else 0
            found.append(_Spelling(number, Tokens(whole[:at]), Tokens(whole[at:])))
        return found

    def _of_letter(self, letter: str) -> list[tuple[int, ...]]:
        """The tokens that are a letter, with or without a space before it; where there is none, what it is cut into."""
        if letter not in self._letters:
            tokenizer = self.model.codec.tokenizer
            named = tokenizer.convert_tokens_to_ids([letter, f"Ġ{letter}", f"▁{letter}"])
            ids = {one for one in named if one is not None and one != tokenizer.unk_token_id}
            written = [tuple(one) for one in self.template.encode([letter, f" {letter}"])]
            ids |= {one[0] for one in written if len(one) == 1}
            single: list[tuple[int, ...]] = [
                (one,) for one in sorted(ids) if self.model.codec.decode([one]) in (letter, f" {letter}")
            ]
            self._letters[letter] = single or list(dict.fromkeys(written))[:1]
        return self._letters[letter]

    def _beyond(self, ids: Sequence[int]) -> str:
        """Why a token of a prompt cannot be read; "" where all can be."""
        rows = self.encoder.vocabulary
        if rows is None or max(ids) < rows:
            return ""
        token = self.model.codec.tokenizer.convert_ids_to_tokens(max(ids))
        return f"token {max(ids)} ({token!r}) is beyond the model's embedding of {rows} rows"


def _log_sum(logprobs: Sequence[float]) -> float:
    """The logarithm of the sum of probabilities."""
    largest = max(logprobs)
    return largest if len(logprobs) == 1 else largest + math.log(math.fsum(math.exp(one - largest) for one in logprobs))

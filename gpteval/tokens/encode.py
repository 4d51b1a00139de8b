"""From prompts to queries of tokens: what is context, what is scored, and what happens when it is too long."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from typing import cast

from gpteval.core.blocks import block_starts, blocks_of
from gpteval.core.errors import ItemError
from gpteval.core.outcomes import Cost, Failed, Finish, Generated, Outcome, Rolled, Score, Scored
from gpteval.core.top_tokens import TopTokens, loaded
from gpteval.core.types import Choice, Generate, Prompt, Rolling
from gpteval.tokens.queries import GenerateQuery, Query, QueryResult, Sampling, ScoreQuery, Tokens
from gpteval.tokens.tokenizer import Codec

BLOCK = 1024  # prompts that are encoded at a time


@dataclass(frozen=True, slots=True)
class Encoded:
    """One prompt's queries. ``outcome`` puts their results together again.

    A query is None where there is nothing to compute: the one token of a continuation that has
    nothing before it to be conditioned on (GPT-1 without context). ``own_bos``: the prompt begins with the
    token that the tokenizer would have put there. ``blocks``: of a long text, the block of each part of its queries.
    """

    request: Choice | Rolling | Generate
    queries: tuple[Query | None, ...] = ()
    shots_dropped: int = 0
    tokens_cut: int = 0
    limit_cut: int = 0
    unscored: int = 0
    own_bos: bool = False
    error: str = ""
    blocks: tuple[int, ...] = ()

    def outcome(self, results: Sequence[QueryResult | None]) -> Outcome:
        """The prompt's outcome from its queries' results, in the order of ``queries``."""
        found = [r for r in results if r is not None]
        cost = Cost(sum(r.seconds for r in found), sum(r.processed for r in found))
        error = self.error or next((r.error for r in found if r.error), "")
        if error:
            return Failed(error, cost)
        if isinstance(self.request, Rolling):
            whole = sum(r.logprob for r in found), sum(r.tokens for r in found)
            return Rolled(*whole, self.unscored, self._of_blocks(found), self._top(found), cost)
        if isinstance(self.request, Generate):
            (result,) = found
            finish = cast(Finish, result.finish)
            cuts = self.shots_dropped, self.tokens_cut, self.limit_cut
            return Generated(result.text, finish, result.tokens, *cuts, cost)
        scores = tuple(Score(r.logprob, r.tokens, r.greedy) if r else Score(0.0, 0, False) for r in results)
        count = len(self.request.continuations)
        return Scored(scores[:count], scores[count:], self.shots_dropped, self.tokens_cut, cost)

    def _top(self, results: Sequence[QueryResult]) -> TopTokens | None:
        asked = [query for query in self.queries if isinstance(query, ScoreQuery)]
        if not any(query.top for query in asked):
            return None
        return TopTokens.joined([loaded(q.targets, r.top) for q, r in zip(asked, results, strict=True)])

    def _of_blocks(self, results: Sequence[QueryResult]) -> tuple[tuple[float, int], ...]:
        """Sum of log-probs and tokens of each block, from the sums of the queries' parts."""
        found = [[0.0, 0] for _ in range(max(self.blocks, default=-1) + 1)]
        counts = [count for query in self.queries if isinstance(query, ScoreQuery) for count in query.parts]
        sums = [total for result in results for total in result.parts]
        for block, total, count in zip(self.blocks, sums, counts, strict=True):
            found[block][0] += total
            found[block][1] += count
        return tuple((total, int(count)) for total, count in found)


@dataclass
class Encoder:
    """Turns prompts into queries for one tokenizer and window (in tokens).

    ``stride``: new tokens a window of a rolling text; None is the whole window (disjoint windows
    with one token of carry-over, as lm-evaluation-harness). ``vocabulary``: rows of the model's embedding; a prompt
    with a token beyond them fails. ``as_lm_eval``: what is too long is cut as lm-evaluation-harness does, each request
    by itself from its start, without dropping whole examples. ``top``: how many of the likeliest tokens are wanted at
    each place of a text that is scored whole.
    """

    codec: Codec
    window: int
    stride: int | None = None
    sampling: Sampling = field(default_factory=Sampling)
    vocabulary: int | None = None
    as_lm_eval: bool = False
    top: int = 0
    _words: dict[Sequence[str], Tokens] = field(default_factory=lambda: {(): Tokens()}, init=False, repr=False)

    def encode(self, prompts: Sequence[Prompt]) -> Iterator[Encoded]:
        """Queries of every prompt, in order. Raises ItemError when a continuation has no token of its own."""
        for begin in range(0, len(prompts), BLOCK):
            yield from self._block(prompts[begin : begin + BLOCK])

    def _block(self, prompts: Sequence[Prompt]) -> list[Encoded]:
        dropped = [0] * len(prompts)
        encoded: list[Encoded | None] = [None] * len(prompts)
        pending = list(range(len(prompts)))
        while pending:
            texts = [list(self._texts(prompts[i], dropped[i])) for i in pending]
            distinct = list(dict.fromkeys(text for group in texts for text in group))
            ids = dict(zip(distinct, map(Tokens, self.codec.encode(distinct)), strict=True))
            again = []
            for i, group in zip(pending, texts, strict=True):
                tokens = [ids[text] for text in group]
                over = self._excess(prompts[i].request, tokens)
                left = prompts[i].examples[dropped[i] :]
                if over > 0 and left:
                    dropped[i] += self._examples_to_drop(left, over)
                    again.append(i)
                else:
                    encoded[i] = self._build(prompts[i], tokens, dropped[i])
            pending = again
        return [e for e in encoded if e is not None]

    def _texts(self, prompt: Prompt, dropped: int) -> Iterator[str]:
        """The texts to tokenise: for each continuation what it comes after, and both together; then the same for the
        neutral context.
        """
        request = prompt.request
        text = prompt.text(dropped)
        if not isinstance(request, Choice):
            yield text
            return
        for start in (text, request.neutral):
            if start is not None:
                for lead, continuation in zip_longest(request.leads, request.continuations, fillvalue=""):
                    yield (start + lead).rstrip()
                    yield start + lead + continuation

    def _excess(self, request: Choice | Rolling | Generate, tokens: list[Tokens]) -> int:
        """By how many tokens the prompt with its longest continuation is over the window."""
        if self.as_lm_eval:
            return 0
        if isinstance(request, Choice):
            wholes = tokens[1 : 2 * len(request.continuations) : 2]
            return max(len(self._begun(ids)) for ids in wholes) - 1 - self.window
        if isinstance(request, Generate):
            least = min(request.max_new_tokens, max(1, self.window // 2))
            return len(self._begun(tokens[0])) + least - self.window
        return 0

    def _begun(self, ids: Tokens) -> Tokens:
        """``ids`` after the tokenizer's own first token, once: a prompt may have brought it."""
        prefix = Tokens(self.codec.prefix)
        return ids if not prefix or self._brings(prefix, ids) else prefix + ids

    @staticmethod
    def _brings(start: Sequence[int], ids: Tokens) -> bool:
        return bool(start) and ids[: len(start)] == Tokens(start)

    def _examples_to_drop(self, examples: tuple[str, ...], excess: int) -> int:
        """How many examples, from the first on, hold at least ``excess`` tokens."""
        freed = 0
        for count, ids in enumerate(self.codec.encode(examples), 1):
            freed += len(ids)
            if freed >= excess:
                return count
        return len(examples)

    def _build(self, prompt: Prompt, tokens: list[Tokens], dropped: int) -> Encoded:
        request = prompt.request
        highest = max((max(ids, default=0) for ids in tokens), default=0)
        if self.vocabulary is not None and highest >= self.vocabulary:
            token = self.codec.tokenizer.convert_ids_to_tokens(highest)
            return Encoded(
                request, error=f"token {highest} ({token!r}) is beyond the model's embedding of {self.vocabulary} rows"
            )
        if isinstance(request, Rolling):
            return self._rolling(request, tokens[0])
        if isinstance(request, Generate):
            return self._generate(request, tokens[0], dropped)
        count = 2 * len(request.continuations)
        queries, cut, error = self._choices(prompt, tokens[:count:2], tokens[1:count:2])
        if request.neutral is not None and not error:
            neutral, _, error = self._choices(prompt, tokens[count::2], tokens[count + 1 :: 2])
            queries += neutral
        if error:
            return Encoded(request, error=error)
        return Encoded(request, tuple(queries), dropped, cut, own_bos=self._brings(self.codec.prefix, tokens[0]))

    def _choices(
        self, prompt: Prompt, contexts: list[Tokens], wholes: list[Tokens]
    ) -> tuple[list[Query | None], int, str]:
        """A query for each whole text after its context; how many tokens were cut; why it cannot be."""
        targets = [whole[len(context) :] for context, whole in zip(contexts, wholes, strict=True)]
        for index, target in enumerate(targets):
            if not target:
                text = prompt.request.continuations[index]  # type: ignore[union-attr]
                raise ItemError(
                    f"item {prompt.item_id}: continuation {index} ({text!r}) has no token of its own after its context",
                    "the tokenizer merges it into the context; put a space before it, or change the prompt",
                )
        longest = max(map(len, targets))
        if longest > self.window:
            return [], 0, f"a continuation of {longest} tokens is longer than the window of {self.window}"
        keep = self.window + 1 - longest
        cut = max(0, max(len(self._begun(context)) for context in contexts) - keep)
        queries: list[Query | None] = []
        common = self._begun(contexts[0])[cut:]
        barred = self.barred(prompt.request)
        for context, whole, target in zip(contexts, wholes, targets, strict=True):
            before = self._begun(whole[: len(context)])
            over = max(0, len(before) + len(target) - 1 - self.window) if self.as_lm_eval else cut
            before = before[over:]
            if before == common:
                before = common  # kept once
            if not before and self.codec.condition is not None:
                before = Tokens([self.codec.condition])
            if before:
                queries.append(ScoreQuery(before, target, barred))
            else:  # nothing to condition on: the first token stays unscored
                queries.append(ScoreQuery(target[:1], target[1:]) if len(target) > 1 else None)
        return queries, cut, ""

    def barred(self, request: Choice | Rolling | Generate) -> Tokens:
        """The tokens that are a stop word of the request."""
        words = request.stop_words if isinstance(request, Choice) else ()
        if words not in self._words:
            start, *texts = self.codec.encode(["a", *(f"a {word}" for word in words)])
            ids = [text[len(start) :] for text in texts]
            self._words[words] = Tokens(sorted({one[0] for one in ids if len(one) == 1}))
        return self._words[words]

    def _rolling(self, request: Rolling, ids: Tokens) -> Encoded:
        start = Tokens(self.codec.prefix or (() if self.codec.condition is None else (self.codec.condition,)))
        own = self._brings(start, ids)
        sequence = ids if own else start + ids
        first = len(start) or 1
        if len(sequence) <= first:
            return Encoded(request, error="the text has no token to score")
        stride = self.stride or max(1, round(self.window * (1 - request.overlap)))
        queries = windows(sequence, first, self.window, stride)
        places = blocks_of(self.codec.starts(request.text, len(ids)), block_starts(request.text))
        queries, blocks = _in_parts(queries, places[len(places) - len(sequence) + first :])
        queries = [replace(query, top=self.top) for query in queries] if self.top else queries
        return Encoded(request, tuple(queries), unscored=0 if start else 1, own_bos=own, blocks=blocks)

    def _generate(self, request: Generate, ids: Tokens, dropped: int) -> Encoded:
        """Where prompt and limit do not fit together, the prompt keeps half of the window and the limit is lowered."""
        prompt = self._begun(ids)
        if not prompt and self.codec.condition is not None:
            prompt = Tokens([self.codec.condition])
        if not prompt:
            return Encoded(request, error="the prompt has no token")
        room = self.window - 1 if self.as_lm_eval else max(self.window // 2, self.window - len(prompt))
        limit = min(request.max_new_tokens, max(1, room))
        cut = max(0, len(prompt) + limit - self.window)
        drawn = self.sampling
        if request.top_k > 1:
            drawn = Sampling(drawn.temperature or 1.0, request.top_k, drawn.seed)
        query = GenerateQuery(prompt[cut:], limit, self.codec.stops(request.stop), drawn)
        lowered = request.max_new_tokens - limit
        return Encoded(request, (query,), dropped, cut, lowered, own_bos=self._brings(self.codec.prefix, ids))


def _in_parts(queries: Sequence[ScoreQuery], blocks: Sequence[int]) -> tuple[list[ScoreQuery], tuple[int, ...]]:
    """Queries that tell the sum of each block of the text. ``blocks``: of the queries' targets, one after the other."""
    parted: list[ScoreQuery] = []
    found: list[int] = []
    at = 0
    for query in queries:
        runs = Counter(blocks[at : at + len(query.targets)])  # in ascending order, as the blocks are
        parted.append(replace(query, parts=Tokens(runs.values())))
        found += runs
        at += len(query.targets)
    return parted, tuple(found)


def windows(sequence: Tokens, first: int, window: int, stride: int | None = None) -> list[ScoreQuery]:
    """Queries that score ``sequence[first:]`` once, each reading at most ``window`` tokens.

    The first query scores up to ``window`` tokens, each further one the next ``stride`` tokens
    (default and maximum: ``window``) after as much context as the window has room for. With the
    default, full windows see one token of what went before, and the last one a full window.
    """
    step = min(stride or window, window)
    queries = []
    begin = first
    while begin < len(sequence):
        end = min(begin + (window if begin == first else step), len(sequence))
        context = sequence[max(0, end - 1 - window) : begin]
        queries.append(ScoreQuery(context, sequence[begin:end]))
        begin = end
    return queries

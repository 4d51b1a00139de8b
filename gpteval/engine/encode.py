"""From prompts to rows of tokens: what is context, what is scored, and what happens when it is too long."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import cast

from gpteval.core.errors import ItemError
from gpteval.core.types import (
    Choice,
    Cost,
    Failed,
    Finish,
    Generate,
    Generated,
    Outcome,
    Prompt,
    Rolled,
    Rolling,
    Score,
    Scored,
)
from gpteval.engine.rows import GenerateRow, Row, RowResult, Sampling, ScoreRow
from gpteval.models.tokenizer import Codec


@dataclass(frozen=True)
class Encoded:
    """One prompt's rows. ``outcome`` puts their results together again.

    A row is None where there is nothing to compute: the one token of a continuation that has
    nothing before it to be conditioned on (GPT-1 without context).
    """

    request: Choice | Rolling | Generate
    rows: tuple[Row | None, ...] = ()
    shots_dropped: int = 0
    tokens_cut: int = 0
    unscored: int = 0
    error: str = ""

    def outcome(self, results: Sequence[RowResult | None]) -> Outcome:
        """The prompt's outcome from its rows' results, in the order of ``rows``."""
        found = [r for r in results if r is not None]
        cost = Cost(sum(r.seconds for r in found), sum(r.processed for r in found))
        error = self.error or next((r.error for r in found if r.error), "")
        if error:
            return Failed(error, cost)
        if isinstance(self.request, Rolling):
            return Rolled(sum(r.logprob for r in found), sum(r.tokens for r in found), self.unscored, cost)
        if isinstance(self.request, Generate):
            (result,) = found
            finish = cast(Finish, result.finish)
            return Generated(result.text, finish, result.tokens, self.shots_dropped, self.tokens_cut, cost)
        scores = tuple(Score(r.logprob, r.tokens, r.greedy) if r else Score(0.0, 0, False) for r in results)
        count = len(self.request.continuations)
        return Scored(scores[:count], scores[count:], self.shots_dropped, self.tokens_cut, cost)


@dataclass
class Encoder:
    """Turns prompts into rows for one tokenizer and window (in tokens).

    ``stride``: new tokens a window of a rolling text; None is the whole window (disjoint windows
    with one token of carry-over, as lm-evaluation-harness).
    """

    codec: Codec
    window: int
    stride: int | None = None
    sampling: Sampling = field(default_factory=Sampling)

    def encode(self, prompts: Sequence[Prompt]) -> list[Encoded]:
        """Rows of every prompt. Raises ItemError when a continuation has no token of its own."""
        dropped = [0] * len(prompts)
        encoded: list[Encoded | None] = [None] * len(prompts)
        pending = list(range(len(prompts)))
        while pending:
            texts = [list(self._texts(prompts[i], dropped[i])) for i in pending]
            ids = iter(self.codec.encode([text for group in texts for text in group]))
            again = []
            for i, group in zip(pending, texts, strict=True):
                tokens = [next(ids) for _ in group]
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
        """The texts to tokenise: the context alone, then with each continuation; the same for the neutral context."""
        request = prompt.request
        text = prompt.text(dropped)
        yield text.rstrip() if isinstance(request, Choice) else text
        if isinstance(request, Choice):
            yield from (text + c for c in request.continuations)
            if request.neutral is not None:
                yield request.neutral.rstrip()
                yield from (request.neutral + c for c in request.continuations)

    def _excess(self, request: Choice | Rolling | Generate, tokens: list[list[int]]) -> int:
        """By how many tokens the prompt with its longest continuation is over the window."""
        prefix = len(self.codec.prefix)
        if isinstance(request, Choice):
            longest = max(len(ids) for ids in tokens[1 : 1 + len(request.continuations)])
            return prefix + longest - 1 - self.window
        if isinstance(request, Generate):
            return prefix + len(tokens[0]) + self._new_tokens(request) - self.window
        return 0

    def _examples_to_drop(self, examples: tuple[str, ...], excess: int) -> int:
        """How many examples, from the first on, hold at least ``excess`` tokens."""
        freed = 0
        for count, ids in enumerate(self.codec.encode(examples), 1):
            freed += len(ids)
            if freed >= excess:
                return count
        return len(examples)

    def _new_tokens(self, request: Generate) -> int:
        """The limit of new tokens: at most half the window, so that half is left for the prompt."""
        return min(request.max_new_tokens, max(1, self.window // 2))

    def _build(self, prompt: Prompt, tokens: list[list[int]], dropped: int) -> Encoded:
        request = prompt.request
        if isinstance(request, Rolling):
            return self._rolling(request, tokens[0])
        if isinstance(request, Generate):
            return self._generate(request, tokens[0], dropped)
        count = len(request.continuations)
        rows, cut, error = self._choices(prompt, tokens[0], tokens[1 : 1 + count])
        if request.neutral is not None and not error:
            neutral, _, error = self._choices(prompt, tokens[1 + count], tokens[2 + count :])
            rows += neutral
        if error:
            return Encoded(request, error=error)
        return Encoded(request, tuple(rows), dropped, cut)

    def _choices(
        self, prompt: Prompt, context: list[int], wholes: list[list[int]]
    ) -> tuple[list[Row | None], int, str]:
        """A row for each whole text after the common context; how many tokens were cut; why it cannot be."""
        prefix = self.codec.prefix
        targets = [tuple(whole[len(context) :]) for whole in wholes]
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
        cut = max(0, len(prefix) + len(context) - keep)
        rows: list[Row | None] = []
        for whole, target in zip(wholes, targets, strict=True):
            before = (*prefix, *whole[: len(context)])[cut:]
            if not before and self.codec.condition is not None:
                before = (self.codec.condition,)
            if before:
                rows.append(ScoreRow(before, target))
            else:  # nothing to condition on: the first token stays unscored
                rows.append(ScoreRow(target[:1], target[1:]) if len(target) > 1 else None)
        return rows, cut, ""

    def _rolling(self, request: Rolling, ids: list[int]) -> Encoded:
        start = self.codec.prefix or (() if self.codec.condition is None else (self.codec.condition,))
        sequence = (*start, *ids)
        first = len(start) or 1
        if len(sequence) <= first:
            return Encoded(request, error="the text has no token to score")
        rows = windows(sequence, first, self.window, self.stride)
        return Encoded(request, tuple(rows), unscored=0 if start else 1)

    def _generate(self, request: Generate, ids: list[int], dropped: int) -> Encoded:
        limit = self._new_tokens(request)
        prompt = (*self.codec.prefix, *ids)
        if not prompt and self.codec.condition is not None:
            prompt = (self.codec.condition,)
        if not prompt:
            return Encoded(request, error="the prompt has no token")
        cut = max(0, len(prompt) + limit - self.window)
        row = GenerateRow(prompt[cut:], limit, self.codec.stops(request.stop), self.sampling)
        return Encoded(request, (row,), dropped, cut)


def windows(sequence: tuple[int, ...], first: int, window: int, stride: int | None = None) -> list[ScoreRow]:
    """Rows that score ``sequence[first:]`` once, each reading at most ``window`` tokens.

    The first row scores up to ``window`` tokens, each further one the next ``stride`` tokens
    (default and maximum: ``window``) after as much context as the window has room for. With the
    default, full windows see one token of what went before, and the last one a full window.
    """
    step = min(stride or window, window)
    rows = []
    begin = first
    while begin < len(sequence):
        end = min(begin + (window if begin == first else step), len(sequence))
        context = sequence[max(0, end - 1 - window) : begin]
        rows.append(ScoreRow(context, sequence[begin:end]))
        begin = end
    return rows

"""Metrics of whole texts: perplexities per token, word and byte, bits per byte, tokens per byte."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from gpteval.core.blocks import block_sizes, words_of
from gpteval.core.outcomes import Outcome, Rolled
from gpteval.core.types import Request, Rolling
from gpteval.metrics.base import Floats, Metric, divide

BLANKS = "words as lm-evaluation-harness counts them: white space at an end of a text has one beyond it"
# Positions in the statistics of a text.
NATS, TOKENS, WORDS, BYTES = range(4)


class TextMetric(Metric):
    """A ratio of sums over texts.

    Statistics: negative log-probability in nats, scored tokens, words, bytes. Words and bytes are
    those of the original text; words are the pieces between runs of white space. Per word nothing is
    defined for a text without words.
    """

    higher_is_better = False
    scale = None
    requests = (Rolling,)

    def __init__(
        self, name: str, formula: Callable[[Floats], Floats], description: str, published_as: tuple[str, ...] = ()
    ) -> None:
        self.name = name
        self.published_as = published_as
        self.__doc__ = description
        self._formula = formula
        self.by_ratio = name.endswith("perplexity")

    def stats(self, request: Request, outcome: Outcome) -> tuple[float, ...]:
        if not isinstance(request, Rolling) or not isinstance(outcome, Rolled):
            raise TypeError(f"{self.name} scores Rolling requests, not {type(request).__name__}")
        words = words_of(request.counted, blanks=request.blanks)
        size = len(request.counted.encode("utf-8", "replace"))
        return (-outcome.logprob, float(outcome.tokens), float(words), float(size))

    def value(self, sums: Floats) -> Floats:
        return self._formula(sums)

    def blocks(self, request: Request, outcome: Outcome) -> tuple[tuple[float, ...], ...]:
        """The statistics of each block; they sum to those of the text. None where the outcome has no blocks."""
        if not isinstance(request, Rolling) or not isinstance(outcome, Rolled) or not outcome.blocks:
            return ()
        sizes = block_sizes(request.text, request.counted, blanks=request.blanks)
        blocks = [*outcome.blocks, *[(0.0, 0)] * (len(sizes) - len(outcome.blocks))]  # the last ones may have no token
        return tuple(
            (-total, float(tokens), float(w), float(b)) for (total, tokens), (w, b) in zip(blocks, sizes, strict=True)
        )

    def sizes(self, stats: Floats) -> Floats:
        return stats[:, TOKENS]

    def notes(self, requests: Sequence[Request]) -> tuple[str, ...]:
        if self.name != "word_perplexity":
            return ()
        texts = [request for request in requests if isinstance(request, Rolling)]
        empty = sum(not text.counted.strip() for text in texts)
        blanks = any(text.blanks for text in texts)
        if blanks:
            return (BLANKS,)
        return (f"texts without words: {empty} of {len(texts)}",) if empty else ()


def _perplexity(unit: int) -> Callable[[Floats], Floats]:
    def formula(sums: Floats) -> Floats:
        with np.errstate(over="ignore"):
            return np.exp(divide(sums[..., NATS], sums[..., unit]))

    return formula


TEXT_METRICS = (
    TextMetric("token_perplexity", _perplexity(TOKENS), "exp(nats / scored tokens); compares models of one tokenizer"),
    TextMetric(
        "word_perplexity",
        _perplexity(WORDS),
        "exp(nats / words of the original text)",
        published_as=("word_perplexity", "perplexity"),
    ),
    TextMetric("byte_perplexity", _perplexity(BYTES), "exp(nats / bytes of the original text)"),
    TextMetric(
        "bits_per_byte",
        lambda sums: divide(sums[..., NATS], sums[..., BYTES] * math.log(2)),
        "nats / (bytes of the original text * ln 2); compares models of any tokenizer",
        published_as=("bits_per_byte", "bits_per_character"),
    ),
    TextMetric(
        "tokens_per_byte",
        lambda sums: divide(sums[..., TOKENS], sums[..., BYTES]),
        "scored tokens / bytes of the original text; times log2 of token_perplexity it is bits_per_byte",
    ),
)

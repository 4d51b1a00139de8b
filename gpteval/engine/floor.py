"""What queries take at least on this machine.

The floor of a workload is the time that its unique tokens need when nothing is computed twice and nothing
is wasted: floating-point operations at the measured rate of a matrix product of the model's own shape, or bytes
(weights, keys and values) at the measured rate of a copy, whichever is more.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gpteval.tokens.queries import GenerateQuery, ScoreQuery, TokenQuery


@dataclass(frozen=True)
class Rates:
    """What this machine does: floating-point operations and copied bytes (read and written), a second."""

    flops: float
    bytes: float


@dataclass(frozen=True)
class Shape:
    """What one token costs. ``weights``: numbers in the trunk's matrices; ``head``: in the output layer."""

    weights: int
    head: int
    layers: int
    width: int
    item: int

    @classmethod
    def of(cls, module: Any, config: Any) -> Shape:
        """Of a causal language model, or of its skeleton. Raises ValueError where it has no output layer."""
        import torch

        text, output = config.get_text_config(), module.get_output_embeddings()
        if output is None:
            raise ValueError("no output layer")
        embeddings = {id(m.weight) for m in module.modules() if isinstance(m, torch.nn.Embedding)}
        head = output.weight
        matrices = [p for p in module.parameters() if p.dim() > 1 and id(p) not in {*embeddings, id(head)}]
        weights = sum(p.numel() for p in matrices)
        return cls(weights, head.numel(), text.num_hidden_layers, text.hidden_size, head.element_size())

    def flops(self, tokens: int, before: float, scored: int) -> float:
        """``tokens`` that see ``before`` others each on average, and logits at ``scored`` places."""
        return 2 * self.weights * tokens + 4 * self.layers * self.width * before * tokens + 2 * self.head * scored

    @property
    def token_bytes(self) -> int:
        """Keys and values of one token."""
        return 2 * self.layers * self.width * self.item


def floor_seconds(queries: Sequence[TokenQuery], shape: Shape, found: Rates) -> float:
    """What queries, all of one kind, take at least.

    Prompts are read once, each by itself. Then a step a token, to every query's limit: each step reads all weights, and
    the keys and values of the queries that are on their way.
    """
    scored = [query for query in queries if isinstance(query, ScoreQuery)]
    if scored:
        tokens, before, places = unique_tokens(scored)
        return shape.flops(tokens, before, places) / found.flops
    prompts = [(len(query.prompt), query.max_new_tokens) for query in queries if isinstance(query, GenerateQuery)]
    floor = sum(shape.flops(length, length / 2, 1) for length, _ in prompts) / found.flops
    for step in range(1, max(new for _, new in prompts)):
        seen = [length + step for length, new in prompts if new > step]
        work = shape.flops(len(seen), sum(seen) / len(seen), len(seen)) / found.flops
        moved = (shape.weights + shape.head) * shape.item + sum(seen) * shape.token_bytes
        floor += max(work, moved / found.bytes)
    return floor


def unique_tokens(queries: Sequence[ScoreQuery]) -> tuple[int, float, int]:
    """Tokens that must pass once, how many others each sees on average, and the places that need logits."""
    from gpteval.engine.pack import pack

    packed = pack(queries, reach=sys.maxsize)
    inside = packed.branch >= 0
    tokens = int(inside.sum()) + len(packed.prefix)
    seen = int((packed.positions * inside).sum()) + len(packed.prefix) ** 2 / 2
    return tokens, seen / tokens, len(packed.lines)

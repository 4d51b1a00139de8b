"""What makes a model: architecture, text, tokenizer, size and learning."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

PIECES = 4  # of a window, while windows are short
ARCHITECTURES = {  # what they call the longest text that they read
    **dict.fromkeys(("openai-gpt", "gpt2", "gptj"), "n_positions"),
    **dict.fromkeys(("gpt_neo", "gpt_neox", "opt"), "max_position_embeddings"),
}


@dataclass(frozen=True)
class Recipe:
    """Everything that makes a model, but the seed. ``config`` are fields of the architecture's configuration.

    In the first ``short_steps`` each window is read as ``PIECES`` short ones, of the documents of ``first``, where that
    is given: what attention to earlier words needs before all else, to find a token's neighbour, is learned sooner from
    few positions, and from text that repeats itself. ``command``: the option that names the recipe on the command
    line; ``held_out``: documents that ``corpus`` leaves out.
    """

    name: str
    architecture: str
    config: Mapping[str, Any]
    tokenizer: str
    vocabulary: int
    window: int
    batch: int
    steps: int
    learning_rate: float
    corpus: Callable[[int], Iterator[str]]
    corpus_name: str
    warmup: int = 100
    short_steps: int = 0
    first: Callable[[int], Iterator[str]] | None = None
    command: str = ""
    held_out: tuple[str, ...] = ()

    @property
    def tokens_per_step(self) -> int:
        return self.batch * self.window

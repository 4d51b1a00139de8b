"""A corpus as windows of tokens."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import numpy as np

from gpteval.tokens.tokenizer import Codec
from gpteval.train.recipe import Recipe

AT_A_TIME = 2000  # documents that are encoded together
ENOUGH_CHARACTERS = 8_000_000  # of long documents, fewer
OF_A_TOKEN = 8  # characters, seldom more: so much text is read for the tokens that are missing


def pack(
    recipe: Recipe,
    codec: Codec,
    count: int,
    seed: int,
    corpus: Callable[[int], Iterator[str]] | None = None,
    told: Callable[[int, int], None] = lambda tokens, of: None,
) -> tuple[np.ndarray[Any, np.dtype[np.int64]], int]:
    """``count`` windows of tokens, shape [count, window], and how many documents they took, of the recipe's corpus or
    another. ``told``: how many of the tokens are there, as they come.

    Documents stand end to end, an end token after each; a line break where the tokenizer has no end token.
    """
    end = min(codec.eos) if codec.eos else codec.newline_token
    need = count * recipe.window
    packed: list[int] = []
    documents = (corpus or recipe.corpus)(seed)
    taken = 0
    while len(packed) < need:
        texts = list(some(documents, AT_A_TIME, OF_A_TOKEN * (need - len(packed))))
        for ids in codec.encode(texts):
            packed.extend(ids)
            if end is not None:
                packed.append(end)
        taken += len(texts)
        told(min(len(packed), need), need)
    return np.array(packed[:need], dtype=np.int64).reshape(count, recipe.window), taken


def some(documents: Iterator[str], most: int, enough: float = math.inf) -> Iterator[str]:
    """The next documents, fewer where they are long or have ``enough`` characters together."""
    characters = 0
    for document in islice(documents, most):
        yield document
        characters += len(document)
        if characters >= min(enough, ENOUGH_CHARACTERS):
            return


class Windows:
    """The dataset the Trainer reads."""

    def __init__(self, windows: Any) -> None:
        self.windows = windows

    def __len__(self) -> int:
        return len(self.windows)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return {"input_ids": self.windows[index], "labels": self.windows[index]}

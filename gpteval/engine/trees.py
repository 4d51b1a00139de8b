"""What several score rows read in common, the model reads once.

Rows of one context (an item's choices) become a tree: the context, then each choice's tokens as a branch
that sees the context and itself. Trees that begin alike (few-shot examples that many items share) read
that beginning from a cache. Whether a model takes masks and positions of our own is found out once
(``Scorer``); where it does not, only equal inputs are shared.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gpteval.engine.rows import ScoreRow, Tokens

CACHED = 4  # a batch may hold this many times the tokens that it reads: what is cached costs memory, not work
BEGINNING = 32  # tokens: trees that share this many may share a cached prefix
FAMILY = 4  # trees, at least, that a cached prefix serves


def local_window(config: Any) -> int:
    """How far back a token sees in every layer: what is longer cannot have a mask of our own for all of them."""
    text = config.get_text_config()
    sizes = []
    if getattr(text, "use_sliding_window", True):
        sizes.append(getattr(text, "sliding_window", None))
    if "local" in (getattr(text, "attention_layers", None) or ()):  # GPT-Neo
        sizes.append(getattr(text, "window_size", None))
    sizes.append(getattr(text, "attention_chunk_size", None))
    return min((size for size in sizes if size), default=sys.maxsize)


@dataclass(slots=True)
class Tree:
    """Rows that share ``stem``, by number. ``length``: tokens that are read, the stem's and those of all branches."""

    stem: Tokens
    rows: list[int]
    length: int = 0


def make_trees(rows: Mapping[int, ScoreRow], *, branching: bool) -> list[Tree]:
    """The trees of numbered rows, in the order of their first rows; without ``branching``, of equal inputs only."""
    trees: dict[Tokens, Tree] = {}
    for number, row in rows.items():
        stem = row.context if branching else row.input
        if stem in trees:
            trees[stem].rows.append(number)
        else:
            trees[stem] = Tree(stem, [number])
    for tree in trees.values():
        tree.length = len(tree.stem) + sum(map(len, branches(rows[n] for n in tree.rows) if branching else ()))
    return list(trees.values())


def branches(rows: Iterable[ScoreRow]) -> list[Tokens]:
    """What rows of one context read after it, each once, in order."""
    return list(dict.fromkeys(row.targets[:-1] for row in rows if len(row.targets) > 1))


def common_prefix(trees: Sequence[Tree]) -> Tokens:
    """The tokens that all stems begin with and that leave each at least one token; none where they serve too few."""
    if len(trees) < FAMILY:
        return Tokens()
    first, last = min(tree.stem for tree in trees), max(tree.stem for tree in trees)  # the two that differ soonest
    shared = next((n for n, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))
    shared = min(shared, *(len(tree.stem) - 1 for tree in trees))
    return first[:shared] if shared >= BEGINNING else Tokens()


def families(trees: Sequence[Tree]) -> list[list[Tree]]:
    """Trees that share a beginning worth caching, and last all the others."""
    alike: dict[Tokens, list[Tree]] = {}
    for tree in trees:
        alike.setdefault(tree.stem[:BEGINNING] if len(tree.stem) > BEGINNING else Tokens(), []).append(tree)
    others = alike.pop(Tokens(), [])
    found = []
    for family in alike.values():
        if common_prefix(family):
            found.append(family)
        else:
            others += family
    return [*found, others] if others else found

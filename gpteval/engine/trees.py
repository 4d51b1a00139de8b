"""What several score queries read in common, the model reads once.

Queries of one context (an item's choices) become a tree: the context, then each choice's tokens as a branch
that sees the context and itself. Trees that begin alike (few-shot examples that many items share) read
that beginning from a cache. Whether a model takes masks and positions of our own is found out once
(``Scorer``); where it does not, only equal inputs are shared.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gpteval.tokens.queries import NONE, ScoreQuery, Tokens

CACHED = 4  # a batch may hold this many times the tokens that it reads: what is cached costs memory, not work
BEGINNING = 32  # tokens: trees that share this many may share a cached prefix
PAIRS = 4096  # pairs of tokens in a layer's attention that cost as much as its matrices for one token (6 x width)
FAMILY = 4  # trees or prompts, at least, that a cached prefix serves


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
    """Queries that share ``stem``, by number. ``length``: tokens that are read, of the stem and all branches."""

    stem: Tokens
    queries: list[int]
    length: int = 0


def make_trees(queries: Mapping[int, ScoreQuery], *, branching: bool) -> list[Tree]:
    """The trees of numbered queries, in the order of their first queries; without ``branching``, of equal inputs only.

    In a tree every token is held against every other. So a tree ends where a further branch would cost more in that
    than its stem (``most``), and the next branch begins another.
    """
    alike: dict[Tokens, list[int]] = {}
    for number, query in queries.items():
        alike.setdefault(query.context if branching else query.input, []).append(number)
    trees = []
    for stem, numbers in alike.items():
        tree, seen = Tree(stem, [], len(stem)), set[Tokens]()
        trees.append(tree)
        for number in numbers:
            branch = queries[number].targets[:-1] if branching else NONE
            if branch and branch not in seen:
                if seen and tree.length + len(branch) > most(len(stem)):
                    tree, seen = Tree(stem, [], len(stem)), set()
                    trees.append(tree)
                tree.length += len(branch)
                seen.add(branch)
            tree.queries.append(number)
    return trees


def most(stem: int) -> float:
    """Tokens of a tree with a stem of so many, at which a further branch gains nothing.

    A tree of T tokens computes T^2 pairs in each layer, where its k queries alone would read the stem k - 1 more times.
    With s tokens of stem, branches of b, and a token that costs as much as ``PAIRS`` pairs, a branch costs
    (s + k b)/k + (s + k b)^2/(PAIRS k), which is least where T = s + sqrt(s^2 + PAIRS s).
    """
    return stem + math.sqrt(stem * (stem + PAIRS))


def branches(queries: Iterable[ScoreQuery]) -> list[Tokens]:
    """What queries of one context read after it, each once, in order."""
    return list(dict.fromkeys(query.targets[:-1] for query in queries if len(query.targets) > 1))


def common_prefix(trees: Sequence[Tree]) -> Tokens:
    """The tokens that all stems begin with and that leave each at least one token; none where they serve too few."""
    return common_beginning([tree.stem for tree in trees])


def common_beginning(inputs: Sequence[Tokens]) -> Tokens:
    """The same of any inputs."""
    if len(inputs) < FAMILY:
        return Tokens()
    first, last = min(inputs), max(inputs)  # the two that differ soonest
    shared = next((n for n, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))
    shared = min(shared, *(len(one) - 1 for one in inputs))
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

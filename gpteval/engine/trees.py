"""What several score rows read in common, the model reads once.

Rows of one context (an item's choices) become a tree: the context, then each choice's tokens as a branch
that sees the context and itself. Trees that begin alike (few-shot examples that many items share) read
that beginning from a cache. Where an architecture cannot take a mask of our own, only equal inputs are shared.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from gpteval.engine.rows import ScoreRow

TREES = frozenset({"gpt2", "gptj", "gpt_neox", "opt"})  # architectures that take a mask and positions of our own
JOINING = TREES | {"openai-gpt", "gpt_neo"}  # whose generations can use caches of ours, and so be joined
CACHED = 4  # a batch may hold this many times the tokens that it reads: what is cached costs memory, not work
BEGINNING = 32  # tokens: trees that share this many may share a cached prefix
FAMILY = 4  # trees, at least, that a cached prefix serves

Tokens = tuple[int, ...]


@dataclass
class Tree:
    """Rows that share ``stem``. A branch holds what a row reads after it."""

    stem: Tokens
    rows: list[int] = field(default_factory=list)
    branches: dict[Tokens, int] = field(default_factory=dict)  # where each begins in the tree

    @property
    def length(self) -> int:
        return len(self.stem) + sum(map(len, self.branches))

    def add(self, number: int, branch: Tokens) -> None:
        self.rows.append(number)
        if branch and branch not in self.branches:
            self.branches[branch] = self.length


def make_trees(rows: Iterable[ScoreRow], *, branching: bool) -> list[Tree]:
    """The rows' trees, in the order of their first rows; ``Tree.rows`` are positions in ``rows``."""
    trees: dict[Tokens, Tree] = {}
    for number, row in enumerate(rows):
        stem = row.context if branching else row.input
        tree = trees.setdefault(stem, Tree(stem))
        tree.add(number, row.targets[:-1] if branching else ())
    return list(trees.values())


def common_prefix(trees: Sequence[Tree]) -> Tokens:
    """The tokens that all stems begin with and that leave each at least one token; none where they serve too few."""
    if len(trees) < FAMILY:
        return ()
    first, last = min(tree.stem for tree in trees), max(tree.stem for tree in trees)  # the two that differ soonest
    shared = next((n for n, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))
    shared = min(shared, *(len(tree.stem) - 1 for tree in trees))
    return first[:shared] if shared >= BEGINNING else ()


def families(trees: Sequence[Tree]) -> list[list[Tree]]:
    """Trees that share a beginning worth caching, and last all the others."""
    alike: dict[Tokens, list[Tree]] = {}
    for tree in trees:
        alike.setdefault(tree.stem[:BEGINNING] if len(tree.stem) > BEGINNING else (), []).append(tree)
    others = alike.pop((), [])
    found = []
    for family in alike.values():
        if common_prefix(family):
            found.append(family)
        else:
            others += family
    return [*found, others] if others else found

"""Which queries pass through the model together: batches within a budget of tokens, with little padding."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from gpteval.engine.trees import CACHED, common_prefix, families, make_trees
from gpteval.tokens.queries import GenerateQuery, ScoreQuery, TokenQuery

A_FORWARD = 40  # tokens of padding that cost about as much as one more forward


def form_batches(
    queries: Mapping[bytes, TokenQuery], score_budget: int, generation_budget: int, *, reach: int = 0
) -> Iterator[list[bytes]]:
    """Batches, longest queries first, whose padded size stays within the budget for their kind, in tokens.

    Queries that share what the model reads (``make_trees``) stay together, and families that begin alike. Score and
    generate queries never share a batch. A query or tree longer than the budget is a batch alone. ``reach``: see
    ``pack``.
    """
    scored = [key for key, query in queries.items() if isinstance(query, ScoreQuery)]
    numbered = {n: cast(ScoreQuery, queries[key]) for n, key in enumerate(scored)}
    trees = make_trees(numbered, branching=reach > 0)
    plain = [tree for tree in trees if tree.length > reach]
    if reach and plain:
        numbers = sorted(number for tree in plain for number in tree.queries)
        plain = make_trees({n: numbered[n] for n in numbers}, branching=False)
    for family in [plain, *families([tree for tree in trees if tree.length <= reach])]:
        prefix = 0 if family is plain else len(common_prefix(family))
        family.sort(key=lambda tree: (-tree.length, tree.stem))
        lengths = [max(tree.length - prefix, tree.length // CACHED) for tree in family]
        for chosen in _cut(family, lengths, score_budget, max(A_FORWARD, score_budget // 50)):
            yield [scored[number] for tree in chosen for number in tree.queries]
    generated = [key for key, query in queries.items() if isinstance(query, GenerateQuery)]
    generated.sort(key=lambda key: (-queries[key].length, queries[key].input, key))
    yield from _cut(generated, [queries[key].length for key in generated], generation_budget)


def _cut(ordered: Sequence[Any], lengths: Sequence[int], budget: int, waste: int = sys.maxsize) -> list[list[Any]]:
    """Runs of ``ordered``, longest first, whose count times their longest is within the budget.

    A run also ends where its padding would exceed ``waste`` tokens.
    """
    runs: list[list[Any]] = []
    longest = padding = 0
    for one, length in zip(ordered, lengths, strict=True):
        padding += longest - length
        if not runs or (len(runs[-1]) + 1) * longest > budget or padding > waste:
            runs.append([])
            longest, padding = length, 0
        runs[-1].append(one)
    return runs

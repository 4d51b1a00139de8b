"""A batch of trees of score queries as tensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from gpteval.engine.trees import branches, common_prefix, make_trees
from gpteval.tokens.queries import ScoreQuery, Tokens


@dataclass(frozen=True)
class Packed:
    """A batch: one tree a line, padded on the right.

    ``ids`` and ``positions``: [trees, width]. ``branch``: the same shape, 0 in a stem, 1 and up in the
    branches, -1 in the padding. Logits are needed at (``lines[j]``, ``columns[j]``), place j. Target i of all queries'
    targets belongs to query ``owners[i]`` and is predicted at place ``places[i]``, in ascending order; query q's first
    is target ``begins[q]``. ``processed``: tokens that pass through the model, by query: the first of a tree bears
    its cost, that of the batch also the prefix'.
    """

    prefix: Tokens
    ids: torch.Tensor
    positions: torch.Tensor
    branch: torch.Tensor
    lines: torch.Tensor
    columns: torch.Tensor
    owners: torch.Tensor
    places: torch.Tensor
    targets: torch.Tensor
    begins: torch.Tensor
    processed: list[int]

    @property
    def branching(self) -> bool:
        """Whether some token must not see all that lies before it."""
        return bool((self.branch > 1).any())

    def mask(self, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
        """Additive attention mask, [trees, 1, width, prefix + width]: the prefix, the stem, and the own branch."""
        width = self.ids.shape[1]
        branch = self.branch.to(device)
        own = branch[:, None, :]
        seen = ((own == 0) | (own == branch[:, :, None])).tril()
        mask = torch.zeros(len(self.ids), 1, width, len(self.prefix) + width, dtype=dtype, device=device)
        mask[:, 0, :, len(self.prefix) :].masked_fill_(~seen, torch.finfo(dtype).min)
        return mask


def pack(queries: Sequence[ScoreQuery], *, reach: int) -> Packed:
    """Lay a batch of queries out.

    ``reach``: the tokens of a tree up to which a model that takes masks and positions of ours is exact, 0 for one that
    does not take them. Where a tree is longer, only queries of equal input are laid together.
    """
    numbered = dict(enumerate(queries))
    trees = make_trees(numbered, branching=reach > 0)
    branching = all(tree.length <= reach for tree in trees)
    if not branching:
        trees = make_trees(numbered, branching=False)
    prefix = common_prefix(trees) if branching else Tokens()
    skip = len(prefix)
    width = max(tree.length for tree in trees) - skip
    ids = torch.zeros(len(trees), width, dtype=torch.long)
    positions = torch.zeros_like(ids)
    branch = torch.full_like(ids, -1)
    processed = [0] * len(queries)
    owners: list[int] = []
    lines: list[int] = []
    columns: list[int] = []
    targets: list[int] = []
    first = [0] * len(queries)
    for line, tree in enumerate(trees):
        stem = len(tree.stem)
        begins: dict[Tokens, int] = {}
        end = stem
        for tokens in branches(queries[n] for n in tree.queries) if branching else ():
            begins[tokens] = end
            end += len(tokens)
        ids[line, : end - skip] = torch.tensor([*tree.stem[skip:], *(t for b in begins for t in b)])
        positions[line, : stem - skip] = torch.arange(skip, stem)
        branch[line, : stem - skip] = 0
        for number, (tokens, begin) in enumerate(begins.items(), 1):
            place = slice(begin - skip, begin - skip + len(tokens))
            positions[line, place] = torch.arange(stem, stem + len(tokens))
            branch[line, place] = number
        processed[tree.queries[0]] = tree.length - skip
        for number in tree.queries:
            query = queries[number]
            first[number] = len(owners)
            owners += [number] * len(query.targets)
            lines += [line] * len(query.targets)
            targets += query.targets
            columns.append(len(query.context) - 1 - skip)
            begin = begins.get(query.targets[:-1], len(query.context)) - skip
            columns += range(begin, begin + len(query.targets) - 1)
    processed[trees[0].queries[0]] += skip
    where, places = torch.unique(torch.tensor(lines) * width + torch.tensor(columns), return_inverse=True)
    order = places.argsort(stable=True)
    owned, wanted = torch.tensor(owners)[order], torch.tensor(targets)[order]
    starts = order.argsort()[first]
    return Packed(
        prefix, ids, positions, branch, where // width, where % width, owned, places[order], wanted, starts, processed
    )

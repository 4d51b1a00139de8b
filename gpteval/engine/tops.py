"""The likeliest tokens at the places of those queries of a batch that ask for them."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from gpteval.core.top_tokens import dumped
from gpteval.engine.pack import Packed
from gpteval.tokens.queries import ScoreQuery


class Tops:
    """Takes them part by part of a batch's logits, and gives them by query once all are there."""

    def __init__(self, queries: Sequence[ScoreQuery], packed: Packed) -> None:
        self.queries, self.owners = queries, packed.owners
        self.most = max(query.top for query in queries)
        self.asked = torch.tensor([query.top > 0 for query in queries])[packed.owners]  # of each target
        self._taken: list[tuple[torch.Tensor, torch.Tensor]] = []
        self._rows: torch.Tensor | None = None  # of the part under way, those that were taken
        self._owners: list[torch.Tensor] = []

    def take(self, logits: torch.Tensor, part: slice, place: torch.Tensor) -> None:
        """Of a part's ``logits``, [places, vocabulary], at the ``place`` of each target of the part."""
        self._rows = None
        if not self.most or not (which := self.asked[part].nonzero().squeeze(1)).numel():
            return
        self._owners.append(self.owners[part][which])
        self._rows = place[which.to(place.device)]
        values, ids = logits[self._rows].topk(self.most, dim=1)
        self._taken.append((values, ids))

    def normalise(self, largest: torch.Tensor, normaliser: torch.Tensor) -> None:
        """Turn the part's values into log-probabilities, by the largest logit and the normaliser of each place."""
        if self._rows is not None:
            values, ids = self._taken[-1]
            below = values - largest[self._rows][:, None]
            self._taken[-1] = below - normaliser[self._rows].log()[:, None], ids

    def of_queries(self) -> dict[int, list[str]]:
        """By the number of a query, as ``QueryResult.extra`` keeps them."""
        if not self._taken:
            return {}
        owners = torch.cat(self._owners)
        values = torch.cat([values for values, _ in self._taken]).cpu().float()
        ids = torch.cat([ids for _, ids in self._taken]).cpu().int()
        found = {}
        for number in sorted(set(owners.tolist())):
            own, count = owners == number, self.queries[number].top
            parts = (ids[own][:, :count].contiguous(), values[own][:, :count].contiguous())
            found[number] = dumped(*(part.numpy().tobytes() for part in parts))
        return found

"""A language model with a head on its last state: what is trained, and what is asked afterwards."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.functional import cross_entropy

from gpteval.tokens.queries import Tokens
from gpteval.tune.added import Added
from gpteval.tune.inputs import SPECIAL, InputForm

IGNORED = -100


@dataclass(frozen=True)
class Batch:
    """Sequences, padded on the right: [sequences, tokens]. ``owners``: the number of each one's item, [sequences]."""

    ids: torch.Tensor
    mask: torch.Tensor
    owners: torch.Tensor

    @classmethod
    def of(cls, items: Sequence[Sequence[Tokens]]) -> Batch:
        flat = [sequence for item in items for sequence in item]
        ids = torch.zeros(len(flat), max(map(len, flat)), dtype=torch.long)
        mask = torch.zeros_like(ids)
        for line, sequence in enumerate(flat):
            ids[line, : len(sequence)] = torch.tensor(list(sequence))
            mask[line, : len(sequence)] = 1
        owners = torch.tensor([number for number, item in enumerate(items) for _ in item])
        return cls(ids, mask, owners)


class TunedModel(torch.nn.Module):
    """``causal``, a model of transformers, with vectors for the special tokens and a linear head.

    ``added``: what the method adds. ``weight``: of the auxiliary language-modelling loss (section 3.2 of the paper:
    0.5). The head's weights begin as the paper's, normal with a deviation of 0.02; its input is dropped out with
    ``dropout`` in training.
    """

    def __init__(
        self, causal: Any, form: InputForm, added: Added | None = None, *, weight: float = 0.5, dropout: float = 0.1
    ) -> None:
        super().__init__()
        self.causal = causal
        self.added = added or Added()
        self.form, self.weight = form, weight
        width = causal.get_input_embeddings().embedding_dim
        self.special = torch.nn.Parameter(torch.empty(len(SPECIAL), width).normal_(std=0.02))
        self.head = torch.nn.Linear(width, form.outputs)
        torch.nn.init.normal_(self.head.weight, std=0.02)
        torch.nn.init.zeros_(self.head.bias)
        self.dropout = torch.nn.Dropout(dropout)

    def states(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """The trunk's last states, [sequences, tokens, width]."""
        table = self.causal.get_input_embeddings()
        own = ids >= self.form.vocabulary
        embedded = table(ids.masked_fill(own, 0))
        special = self.special.to(embedded.dtype)[(ids - self.form.vocabulary).clamp(min=0)]
        embedded = torch.where(own[..., None], special, embedded)
        before = mask.new_ones(len(mask), self.added.reads)
        inputs = {"inputs_embeds": embedded, "attention_mask": torch.cat([before, mask], dim=1)}
        with self.added.applied(self.causal):
            states: torch.Tensor = self.causal.base_model(**inputs, **self.added.inputs(len(ids), embedded.dtype))[0]
        return states

    def forward(
        self, ids: torch.Tensor, mask: torch.Tensor, owners: torch.Tensor, labels: torch.Tensor | None = None
    ) -> dict[str, torch.Tensor]:
        """``logits`` of each item's classes or answers, [items, most of them], -inf where an item has fewer; and with
        ``labels``, [items], the ``loss`` and its two parts.
        """
        states = self.states(ids, mask)
        last = mask.sum(1) - 1
        chosen = states[torch.arange(len(ids), device=ids.device), last]
        chosen = chosen.to(self.head.weight.dtype)
        if self.form.kind == "classes":  # of a similarity, both orders are added
            chosen = chosen.new_zeros(int(owners.max()) + 1, chosen.shape[1]).index_add(0, owners, chosen)
        scores = self.head(self.dropout(chosen))
        logits = scores if self.form.kind == "classes" else grouped(scores[:, 0], owners)
        if labels is None:
            return {"logits": logits}
        task = cross_entropy(logits.float(), labels)
        language = self.language_loss(states, ids, mask) if self.weight else task.new_zeros(())
        return {"loss": task + self.weight * language, "logits": logits, "task": task, "language": language}

    def language_loss(self, states: torch.Tensor, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """The mean negative log-likelihood of the texts' own tokens, in nats; the special ones are none to predict."""
        return _mean_loss(self.causal, states, self._targets(ids, mask))

    def _targets(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return ids.masked_fill((mask == 0) | (ids >= self.form.vocabulary), IGNORED)[:, 1:]

    def counts(self, batch: Mapping[str, torch.Tensor]) -> tuple[int, int]:
        """Over how many items, and over how many tokens, the two parts of a batch's loss are means."""
        return len(batch["labels"]), int((self._targets(batch["ids"], batch["mask"]) != IGNORED).sum())


class TextModel(torch.nn.Module):
    """``causal`` with the loss of the texts that are wanted, as ``TunedModel`` is called; nothing is added to it."""

    weight = 1.0

    def __init__(self, causal: Any) -> None:
        super().__init__()
        self.causal = causal

    def forward(
        self, ids: torch.Tensor, mask: torch.Tensor, owners: torch.Tensor, labels: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        """``loss``: the mean negative log-likelihood, in nats, of each sequence's last ``labels`` tokens."""
        states = self.causal.base_model(input_ids=ids, attention_mask=mask)[0]
        loss = _mean_loss(self.causal, states, self._targets(ids, mask, labels))
        return {"loss": loss, "task": loss.new_zeros(()), "language": loss}

    @staticmethod
    def _targets(ids: torch.Tensor, mask: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        places = torch.arange(ids.shape[1], device=ids.device)
        ends = mask.sum(1, keepdim=True)
        wanted = (places >= ends - labels[:, None]) & (places < ends)
        return ids.masked_fill(~wanted, IGNORED)[:, 1:]

    def counts(self, batch: Mapping[str, torch.Tensor]) -> tuple[int, int]:
        """As of a ``TunedModel``."""
        targets = self._targets(batch["ids"], batch["mask"], batch["labels"])
        return len(batch["labels"]), int((targets != IGNORED).sum())


def _mean_loss(causal: Any, states: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """The mean negative log-likelihood, in nats, of the targets that are not ``IGNORED``; 0 where there is none."""
    places = targets != IGNORED
    logits = causal.get_output_embeddings()(states[:, :-1][places])
    return cross_entropy(logits.float(), targets[places]) if places.any() else logits.float().sum()


@torch.inference_mode()
def accuracy(module: TunedModel, batches: Iterable[dict[str, torch.Tensor]]) -> float:
    """The share of items whose label has the highest logit; ``batches`` as ``forward`` takes them."""
    module.eval()
    right = total = 0
    for batch in batches:
        right += int((module(**batch)["logits"].argmax(dim=1) == batch["labels"]).sum())
        total += len(batch["labels"])
    return right / total


def grouped(scores: torch.Tensor, owners: torch.Tensor) -> torch.Tensor:
    """Scores of sequences, [sequences], as those of items' answers, [items, most answers]; -inf where there is none."""
    counts = torch.bincount(owners)
    rows = torch.full((len(counts), int(counts.max())), float("-inf"), dtype=scores.dtype, device=scores.device)
    first = counts.cumsum(0) - counts
    places = torch.arange(len(owners), device=owners.device) - first[owners]
    rows[owners, places] = scores
    return rows

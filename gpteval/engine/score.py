"""Log-probabilities of a batch of score rows: one forward, logits only where a token is scored."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import torch

from gpteval.engine.rows import RowResult, ScoreRow

CHUNK_BYTES = 64 * 2**20  # float32 logits turned into log-probabilities at a time

NOT_FINITE = "the model gave log-probabilities that are not finite (nan or inf); try --dtype float32"


@torch.inference_mode()  # type: ignore[untyped-decorator]  # torch is not type-checked
def score_batch(model: Any, rows: Sequence[ScoreRow]) -> list[RowResult]:
    """Sum of log-probs and greedy flag of each row's targets.

    Rows are padded on the right: a causal model never looks there, so no mask is needed and the
    numbers equal those of one row alone. The softmax is over the whole width of the output layer,
    in float32 whatever the weights' dtype.
    """
    device = model.device
    width = max(row.length for row in rows)
    ids = torch.zeros(len(rows), width, dtype=torch.long)
    owners: list[int] = []
    places: list[int] = []
    targets: list[int] = []
    for number, row in enumerate(rows):
        ids[number, : row.length] = torch.tensor((*row.context, *row.targets[:-1]))
        owners += [number] * len(row.targets)
        places += range(len(row.context) - 1, row.length)
        targets += row.targets
    scored = sorted(set(places))
    column = {place: index for index, place in enumerate(scored)}
    owner = torch.tensor(owners, device=device)
    where = torch.tensor([column[place] for place in places], device=device)
    target = torch.tensor(targets, device=device)

    logits = _logits(model, ids.to(device), torch.tensor(scored, device=device))
    step = max(1, CHUNK_BYTES // (4 * logits.shape[-1]))
    logprobs, greedy = [], []
    for begin in range(0, len(target), step):
        part = slice(begin, begin + step)
        chosen = logits[owner[part], where[part]].float()
        picked = chosen.gather(1, target[part, None])[:, 0]
        logprobs.append(picked - chosen.logsumexp(dim=1))
        greedy.append(chosen.argmax(dim=1) == target[part])
    sums = torch.zeros(len(rows), device=device).index_add_(0, owner, torch.cat(logprobs))
    wrong = torch.zeros(len(rows), device=device).index_add_(0, owner, (~torch.cat(greedy)).float())
    return [
        RowResult(
            tokens=len(row.targets),
            logprob=total if finite else 0.0,
            greedy=misses == 0,
            error="" if finite else NOT_FINITE,
            processed=row.length,
        )
        for row, total, misses, finite in zip(
            rows, *torch.stack([sums, wrong, sums.isfinite().float()]).tolist(), strict=True
        )
    ]


def _logits(model: Any, ids: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
    """Logits at ``positions`` of every row, shape [rows, len(positions), vocabulary]."""
    if "logits_to_keep" in inspect.signature(model.forward).parameters:
        result: torch.Tensor = model(input_ids=ids, use_cache=False, logits_to_keep=positions).logits
        return result
    every: torch.Tensor = model(input_ids=ids, use_cache=False).logits
    return every[:, positions]

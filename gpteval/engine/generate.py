"""Generation for a batch of rows: prefill, one token a step, rows leave as soon as they end."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from gpteval.engine.rows import GenerateRow, RowResult, Sampling
from gpteval.engine.score import NOT_FINITE
from gpteval.models.tokenizer import Codec


@dataclass
class _State:
    """A row on its way."""

    row: GenerateRow
    generator: torch.Generator
    tokens: list[int] = field(default_factory=list)
    text: str = ""
    finish: str = ""
    error: str = ""

    def advance(self, token: int, codec: Codec) -> None:
        """Take the next token; set ``finish`` when an end token, a stop string or the limit is reached."""
        if token in codec.eos:
            self.finish = "eos"
            return
        self.tokens.append(token)
        self.text = codec.decode(self.tokens)
        ends = [at for stop in self.row.stop if (at := self.text.find(stop)) >= 0]
        if ends:
            self.text, self.finish = self.text[: min(ends)], "stop"
        elif len(self.tokens) >= self.row.max_new_tokens:
            self.finish = "length"

    def result(self) -> RowResult:
        return RowResult(
            tokens=len(self.tokens),
            text=self.text,
            finish=self.finish,
            error=self.error,
            processed=len(self.row.prompt) + len(self.tokens),
        )


@torch.inference_mode()  # type: ignore[untyped-decorator]  # torch is not type-checked
def generate_batch(model: Any, codec: Codec, rows: Sequence[GenerateRow]) -> list[RowResult]:
    """Continue each row by itself; the settings are the row's, never the model's generation_config.

    Prompts are padded on the left, with explicit position ids. A model without a key-value cache
    (GPT-1) reads the whole sequence again at each step.
    """
    accepts = set(inspect.signature(model.forward).parameters)
    cached = "past_key_values" in accepts
    states = [_State(row, torch.Generator().manual_seed(_seed(row))) for row in rows]
    width = max(len(row.prompt) for row in rows)
    ids = torch.zeros(len(rows), width, dtype=torch.long)
    mask = torch.zeros(len(rows), width, dtype=torch.long)
    for number, row in enumerate(rows):
        ids[number, width - len(row.prompt) :] = torch.tensor(row.prompt)
        mask[number, width - len(row.prompt) :] = 1
    ids, mask = ids.to(model.device), mask.to(model.device)
    fed, cache, alive = ids, None, states
    while alive:
        inputs = {"input_ids": fed, "attention_mask": mask, "use_cache": cached, "logits_to_keep": 1}
        if cached:
            inputs["past_key_values"] = cache
        if "position_ids" in accepts:
            inputs["position_ids"] = (mask.cumsum(1) - 1).clamp(min=0)[:, -fed.shape[1] :]
        output = model(**{name: value for name, value in inputs.items() if name in accepts or name == "use_cache"})
        chosen = _choose(output.logits[:, -1].float(), alive)
        for state, token in zip(alive, chosen.tolist(), strict=True):
            if not state.error:
                state.advance(token, codec)
        going = [n for n, state in enumerate(alive) if not state.finish and not state.error]
        keep = torch.tensor(going, dtype=torch.long, device=model.device)
        if cached:
            cache = output.past_key_values
            if len(going) < len(alive):
                cache.batch_select_indices(keep)
        alive = [alive[n] for n in going]
        new = chosen[keep, None]
        mask = torch.cat([mask[keep], torch.ones_like(new)], dim=1)
        ids = torch.cat([ids[keep], new], dim=1)
        fed = new if cached else ids
    return [state.result() for state in states]


def _seed(row: GenerateRow) -> int:
    """A row's own random stream: the same in any batch."""
    return hash((row.sampling.seed, row.prompt)) & (2**63 - 1)


def _choose(logits: torch.Tensor, states: Sequence[_State]) -> torch.Tensor:
    """The next token of each row, [rows]; a row whose logits are not finite gets an error."""
    greedy = logits.argmax(dim=-1)
    for number, bad in enumerate((~logits.amax(dim=-1).isfinite()).tolist()):
        if bad:
            states[number].error = NOT_FINITE
    if all(state.row.sampling.temperature == 0 for state in states):
        return greedy
    rows = logits.cpu()
    picks = [
        int(greedy[number]) if state.error else _sample(rows[number], state.row.sampling, state.generator)
        for number, state in enumerate(states)
    ]
    return torch.tensor(picks, device=logits.device)


def _sample(logits: torch.Tensor, sampling: Sampling, generator: torch.Generator) -> int:
    if sampling.temperature == 0:
        return int(logits.argmax())
    if 0 < sampling.top_k < logits.numel():
        logits = logits.masked_fill(logits < logits.topk(sampling.top_k).values[-1], -torch.inf)
    probabilities = torch.softmax(logits / sampling.temperature, dim=-1)
    return int(torch.multinomial(probabilities, 1, generator=generator))

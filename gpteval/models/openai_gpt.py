"""GPT-1 with a key-value cache, which transformers' implementation lacks: a step reads one token, not all again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from gpteval.models.causal_lm import CausalLM


@dataclass(frozen=True)
class _Output:
    logits: torch.Tensor
    past_key_values: Any


class CachedGPT1:
    """Calls an ``OpenAIGPTLMHeadModel``'s own layers in its own order: normalisation after each sum (section 3.1)."""

    def __init__(self, model: CausalLM) -> None:
        self.model: Any = model  # whose layers are called
        self.config = model.config
        self.device = model.device
        self.base_model = self  # where others have a trunk that keeps the same cache

    def __call__(self, **inputs: Any) -> _Output:
        return self.forward(**inputs)

    def forward(
        self,
        input_ids: torch.Tensor,
        past_key_values: Any,
        attention_mask: torch.Tensor | None = None,
        position_ids: torch.Tensor | None = None,
        use_cache: bool = True,
    ) -> _Output:
        """``logits`` of the last position, [rows, 1, vocabulary]; the new tokens go into the cache.

        ``input_ids`` and ``position_ids`` are [rows, new tokens], ``past_key_values`` a cache of transformers, empty
        at first. ``attention_mask``: [rows, all tokens], 1 where there is one; or additive, [rows, 1, new, all].
        """
        trunk = self.model.transformer
        new = input_ids.shape[1]
        total = past_key_values.get_seq_length() + new
        if position_ids is None:
            position_ids = torch.arange(total - new, total, device=self.device)[None]
        hidden = trunk.tokens_embed(input_ids) + trunk.positions_embed(position_ids)
        if attention_mask is not None and attention_mask.dim() == 4:
            bias = attention_mask
        else:
            seen = torch.ones(new, total, dtype=torch.bool, device=self.device).tril(total - new)[None, None]
            if attention_mask is not None:
                seen = seen & attention_mask[:, None, None, :].bool()
            bias = torch.zeros(seen.shape, dtype=hidden.dtype, device=self.device)
            bias.masked_fill_(~seen, torch.finfo(hidden.dtype).min)
        for number, block in enumerate(trunk.h):
            heads = block.attn.n_head
            query, key, value = (
                part.unflatten(2, (heads, -1)).transpose(1, 2) for part in block.attn.c_attn(hidden).chunk(3, dim=2)
            )
            key, value = past_key_values.update(key, value, number)
            mixed = torch.nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=bias)
            attended = block.ln_1(hidden + block.attn.c_proj(mixed.transpose(1, 2).flatten(2)))
            hidden = block.ln_2(attended + block.mlp(attended))
        return _Output(logits=self.model.lm_head(hidden[:, -1:]), past_key_values=past_key_values)

"""GPT-1 with a key-value cache, which transformers' implementation lacks: a step reads one token, not all again."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import torch


class CachedGPT1:
    """Calls an ``OpenAIGPTLMHeadModel``'s own layers in its own order: normalisation after each sum (section 3.1)."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.config = model.config
        self.device = model.device

    def __call__(self, **inputs: Any) -> SimpleNamespace:
        return self.forward(**inputs)

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        position_ids: torch.Tensor,
        past_key_values: Any,
        use_cache: bool = True,
    ) -> SimpleNamespace:
        """``logits`` of the last position, [rows, 1, vocabulary]; the new tokens go into the cache.

        ``input_ids`` and ``position_ids`` are [rows, new tokens], ``attention_mask`` [rows, all tokens],
        ``past_key_values`` a cache of transformers, empty at first.
        """
        trunk = self.model.transformer
        new, total = input_ids.shape[1], attention_mask.shape[1]
        causal = torch.ones(new, total, dtype=torch.bool, device=self.device).tril(total - new)
        allowed = causal & attention_mask[:, None, None, :].bool()
        hidden = trunk.tokens_embed(input_ids) + trunk.positions_embed(position_ids)
        bias = torch.zeros(allowed.shape, dtype=hidden.dtype, device=self.device)
        bias.masked_fill_(~allowed, torch.finfo(hidden.dtype).min)
        for number, block in enumerate(trunk.h):
            heads = block.attn.n_head
            query, key, value = (
                part.unflatten(2, (heads, -1)).transpose(1, 2) for part in block.attn.c_attn(hidden).chunk(3, dim=2)
            )
            key, value = past_key_values.update(key, value, number)
            mixed = torch.nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=bias)
            attended = block.ln_1(hidden + block.attn.c_proj(mixed.transpose(1, 2).flatten(2)))
            hidden = block.ln_2(attended + block.mlp(attended))
        return SimpleNamespace(logits=self.model.lm_head(hidden[:, -1:]), past_key_values=past_key_values)

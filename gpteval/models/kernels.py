"""Fused kernels where transformers computes step by step: the same numbers up to rounding, in less time and memory.

transformers has no fused attention for GPT-1, GPT-Neo and GPT-J, which mask or scale their scores in their own
ways, and computes GPT-1's, GPT-2's, GPT-Neo's and GPT-J's tanh form of GELU in eight passes over memory.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers.activations import NewGELUActivation
from transformers.models.gpt_neo.modeling_gpt_neo import GPTNeoSelfAttention
from transformers.models.gptj.modeling_gptj import GPTJAttention
from transformers.models.openai import modeling_openai


class _GPTNeoAttention(GPTNeoSelfAttention):  # type: ignore[misc]  # transformers is not type-checked
    """Unscaled scores; a local layer sees the last ``window_size`` tokens only."""

    def _attn(self, query: Any, key: Any, value: Any, attention_mask: Any = None) -> tuple[Any, None]:
        old, total = key.shape[2] - query.shape[2], key.shape[2]
        visible = self.bias[:, :, old:total, :total]
        if attention_mask is None:
            attention_mask = query.new_zeros(1, 1, 1, 1)
        mask = attention_mask.to(query.dtype).masked_fill(~visible, torch.finfo(query.dtype).min)
        dropout = self.attn_dropout.p if self.training else 0.0
        return scaled_dot_product_attention(query, key, value, attn_mask=mask, dropout_p=dropout, scale=1.0), None


class _GPTJAttention(GPTJAttention):  # type: ignore[misc]
    """Rotary positions are applied in float32 where the tables are; the mask, made by transformers, is causal."""

    def _attn(self, query: Any, key: Any, value: Any, attention_mask: Any = None) -> tuple[Any, None]:
        query, key = query.to(value.dtype), key.to(value.dtype)
        causal = attention_mask is None and query.shape[2] > 1
        dropout = self.attn_dropout.p if self.training else 0.0
        mixed = scaled_dot_product_attention(
            query, key, value, attn_mask=attention_mask, dropout_p=dropout, is_causal=causal
        )
        return mixed, None


class _GPT1Attention(modeling_openai.Attention):  # type: ignore[misc]
    """Whole sequences only: keys come transposed, [rows, heads, width of a head, tokens]."""

    def _attn(
        self, q: Any, k: Any, v: Any, attention_mask: Any = None, output_attentions: bool = False
    ) -> list[torch.Tensor]:
        visible = self.bias[:, :, : q.shape[2], : q.shape[2]] > 0
        mask = q.new_zeros(1, 1, 1, 1) if attention_mask is None else attention_mask
        mask = mask.masked_fill(~visible, torch.finfo(q.dtype).min)
        dropout = self.attn_dropout.p if self.training else 0.0
        return [scaled_dot_product_attention(q, k.transpose(2, 3), v, attn_mask=mask, dropout_p=dropout)]


_FUSED = {
    GPTNeoSelfAttention: _GPTNeoAttention,
    GPTJAttention: _GPTJAttention,
    modeling_openai.Attention: _GPT1Attention,
}


def fuse(model: Any) -> str:
    """Put the fused kernels into a model of transformers, in place. Returns the name of the attention that runs."""
    attention = str(model.config._attn_implementation)
    for module in list(model.modules()):
        if type(module) in _FUSED:
            module.__class__ = _FUSED[type(module)]
            attention = "sdpa"
        for name, child in module.named_children():
            if isinstance(child, NewGELUActivation):
                setattr(module, name, torch.nn.GELU(approximate="tanh"))
    return attention

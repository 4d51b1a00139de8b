"""Faster kernels than transformers runs: the same numbers up to rounding, in less time and memory.

transformers has no fused attention for GPT-1, GPT-Neo and GPT-J, which mask or scale their scores in their own
ways, and computes GPT-1's, GPT-2's, GPT-Neo's and GPT-J's tanh form of GELU in eight passes over memory. On a CPU a
product of few rows with a large matrix takes half the time when it is computed as its transpose, and oneDNN applies
GELU to a product while it is still in the caches.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch
from torch.nn.functional import gelu, scaled_dot_product_attention
from transformers.activations import GELUActivation, NewGELUActivation
from transformers.models.gpt_neo.modeling_gpt_neo import GPTNeoSelfAttention
from transformers.models.gptj.modeling_gptj import GPTJAttention
from transformers.models.openai import modeling_openai
from transformers.pytorch_utils import Conv1D

FEW = 128  # rows, up to which a product is computed as its transpose


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


class _FewRows(torch.nn.Linear):
    """A linear layer, [..., in] to [..., out], as ``few_rows`` puts it in."""

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        if states.numel() > FEW * self.in_features:
            wide: torch.Tensor = super().forward(states)
            return wide
        product = times_transposed(self.weight, states.flatten(0, -2))
        if self.bias is not None:
            product = product + self.bias
        return product.reshape(*states.shape[:-1], self.out_features)

    @classmethod
    def put(cls, module: torch.nn.Module, name: str) -> None:
        """In the place of the layer ``name``, with its own weights; those of a ``Conv1D`` are stored the other way
        round.
        """
        layer = getattr(module, name)
        transposed = isinstance(layer, Conv1D)
        weight = layer.weight.T.contiguous() if transposed else layer.weight
        new = cls(weight.shape[1], weight.shape[0], bias=False, device="meta")
        new.weight = torch.nn.Parameter(weight, requires_grad=False) if transposed else weight
        new.bias = layer.bias
        setattr(module, name, new)


class _LinearGelu(_FewRows):
    """A linear layer and the GELU behind it, as ``join_gelu`` puts them in. ``approximate``: as in torch's GELU."""

    approximate = "none"

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        if states.numel() <= FEW * self.in_features or states.dtype != torch.float32:
            return gelu(super().forward(states), approximate=self.approximate)
        joined: torch.Tensor = torch.ops.mkldnn._linear_pointwise(
            states, self.weight, self.bias, "gelu", [], self.approximate
        )
        return joined


def times_transposed(weight: torch.Tensor, states: torch.Tensor, out: torch.Tensor | None = None) -> torch.Tensor:
    """``states @ weight.T``, [rows, out], laid out by column. ``out``: [out, rows]."""
    return torch.mm(weight, states.T, out=out).T


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


def few_rows(model: Any) -> None:
    """Make the linear layers of a float32 model on a CPU fast for few rows, in place, for evaluation only."""
    parts = [
        (module, name)
        for module in model.modules()
        for name, child in module.named_children()
        if type(child) in (torch.nn.Linear, Conv1D)
    ]
    with ThreadPoolExecutor(torch.get_num_threads()) as turning:  # torch itself turns a matrix on one core
        list(turning.map(_FewRows.put, *zip(*parts, strict=True)))


def join_gelu(model: Any) -> None:
    """Compute each GELU together with the linear layer before it, in place, for evaluation on a CPU in float32 only.

    After ``fuse`` and ``few_rows``. Which layer stands before a GELU is found out on random states, once for each
    class of modules: the one with which the module gives the same numbers when both are joined.
    """
    before: dict[type, str | None] = {}
    for module in list(model.modules()):
        children = list(module.named_children())
        activations = [name for name, child in children if isinstance(child, torch.nn.GELU | GELUActivation)]
        if len(activations) != 1:
            continue
        (name,) = activations
        if type(module) not in before:
            linear = [name for name, child in children if type(child) is _FewRows]
            before[type(module)] = next((one for one in linear if _joins(module, one, name)), None)
        if first := before[type(module)]:
            _join(module, first, name)


def _join(module: Any, linear: str, activation: str) -> None:
    layer = getattr(module, linear)
    layer.__class__ = _LinearGelu
    layer.approximate = getattr(getattr(module, activation), "approximate", "none")
    setattr(module, activation, torch.nn.Identity())


@torch.inference_mode()
def _joins(module: Any, linear: str, activation: str) -> bool:
    layer, function = getattr(module, linear), getattr(module, activation)
    states = torch.linspace(-3, 3, (FEW + 1) * layer.in_features).reshape(1, FEW + 1, -1)
    try:
        expected = module(states)
        _join(module, linear, activation)
        return bool(torch.allclose(module(states), expected, rtol=1e-4, atol=1e-5))
    except Exception:  # a module may need more than states, and another torch may lack the operator
        return False
    finally:
        layer.__class__ = _FewRows
        setattr(module, activation, function)

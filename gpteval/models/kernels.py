"""Faster kernels than transformers runs: the same numbers up to rounding, in less time and memory.

transformers has no fused attention for GPT-1, GPT-Neo and GPT-J, which mask or scale their scores in their own
ways, and computes GPT-1's, GPT-2's, GPT-Neo's and GPT-J's tanh form of GELU in eight passes over memory. On a CPU,
torch leaves products in float32 to MKL. oneDNN, which torch has too, takes AVX-512 on every maker's processors, is
faster at few rows on all, reads a matrix as it is stored, and applies GELU while a product is still in the caches.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from torch.nn.functional import gelu, linear, scaled_dot_product_attention
from transformers.activations import GELUActivation, NewGELUActivation
from transformers.models.gpt_neo.modeling_gpt_neo import GPTNeoSelfAttention
from transformers.models.gptj.modeling_gptj import GPTJAttention
from transformers.models.openai import modeling_openai
from transformers.pytorch_utils import Conv1D

TURNED = (2, 3, 4)  # rows of which a product is computed as its transpose


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


def product(
    states: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None, then: str = "none", form: str = ""
) -> torch.Tensor:
    """``states @ weight.T + bias``, [..., in] and [out, in] to [..., out]. ``then``: ``gelu``, in a ``form`` of
    torch's.
    """
    if states.dtype != torch.float32 or states.device.type != "cpu" or not has_one_dnn():
        plain = linear(states, weight, bias)
        return plain if then == "none" else gelu(plain, approximate=form)
    if then == "none" and weight.is_contiguous() and states.numel() in (n * weight.shape[1] for n in TURNED):
        turned = torch.mm(weight, states.reshape(-1, weight.shape[1]).T).T.reshape(*states.shape[:-1], -1)
        return turned if bias is None else turned + bias
    return by_one_dnn(states, weight, bias, then, form)


def by_one_dnn(
    states: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None, then: str = "none", form: str = ""
) -> torch.Tensor:
    """``product`` by oneDNN, of whatever rows. Raises where torch was built without it."""
    found: torch.Tensor = torch.ops.mkldnn._linear_pointwise(states, weight, bias, then, [], form)
    return found


@cache
def has_one_dnn() -> bool:
    """Whether this torch has oneDNN's product, and it gives torch's numbers."""
    states, weight, bias = torch.linspace(-1, 1, 112).reshape(1, 7, 16), torch.eye(32, 16), torch.ones(32)
    try:
        return bool(torch.allclose(by_one_dnn(states, weight, bias), linear(states, weight, bias)))
    except Exception:  # another build may lack the operator
        return False


class _OneDNN(torch.nn.Linear):
    """A linear layer, [..., in] to [..., out], as ``one_dnn`` puts it in."""

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        return product(states, self.weight, self.bias)

    @classmethod
    def put(cls, module: torch.nn.Module, name: str) -> None:
        """In the place of the layer ``name``, with its own weights, which are not moved."""
        layer = getattr(module, name)
        stored = layer.weight
        weight = torch.nn.Parameter(stored.T, requires_grad=False) if isinstance(layer, Conv1D) else stored
        new = cls(weight.shape[1], weight.shape[0], bias=False, device="meta")
        new.weight, new.bias = weight, layer.bias
        setattr(module, name, new)


class _LinearGelu(_OneDNN):
    """A linear layer and the GELU behind it, as ``join_gelu`` puts them in. ``approximate``: as in torch's GELU."""

    approximate = "none"

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        return product(states, self.weight, self.bias, "gelu", self.approximate)


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


def one_dnn(model: Any) -> None:
    """Let oneDNN compute the linear layers of a float32 model on a CPU, in place, for evaluation only."""
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if type(child) in (torch.nn.Linear, Conv1D):
                _OneDNN.put(module, name)


def join_gelu(model: Any) -> None:
    """Compute each GELU together with the linear layer before it, in place, for evaluation on a CPU in float32 only.

    After ``fuse`` and ``one_dnn``. Which layer stands before a GELU is found out on random states, once for each
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
            linear = [name for name, child in children if type(child) is _OneDNN]
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
    states = torch.linspace(-3, 3, 7 * layer.in_features).reshape(1, 7, -1)
    try:
        expected = module(states)
        _join(module, linear, activation)
        return bool(torch.allclose(module(states), expected, rtol=1e-4, atol=1e-5))
    except Exception:  # a module may need more than states, and another torch may lack the operator
        return False
    finally:
        layer.__class__ = _OneDNN
        setattr(module, activation, function)

"""Key-value caches: with room to grow in place, and the last prefix that many rows shared."""

from __future__ import annotations

from typing import Any

import torch
from transformers.cache_utils import Cache, DynamicLayer

from gpteval.models.causal_lm import CausalLM, Reading
from gpteval.tokens.queries import Tokens

ROOM = 32  # tokens that a cache has room for beyond those in it, at least


class _RoomyLayer(DynamicLayer):  # type: ignore[misc]  # transformers is not type-checked
    """Keys and values of one layer, [rows, heads, tokens, width]: views of tensors that are written in place."""

    def __init__(self, room: int = ROOM) -> None:
        super().__init__()
        self.keys: torch.Tensor
        self.values: torch.Tensor
        self.room = room
        self.whole: list[torch.Tensor] = []

    def update(self, key_states: torch.Tensor, value_states: torch.Tensor, *_: Any, **__: Any) -> Any:
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        used = self.get_seq_length()
        total = used + key_states.shape[2]
        if not self.whole or total > self.whole[0].shape[2]:
            parts = (self.keys, self.values)
            shape = list(key_states.shape)
            self.whole = []
            for old, new in zip(parts, (key_states, value_states), strict=True):
                shape[2], shape[3] = total + self.room, new.shape[3]
                whole = new.new_empty(shape)
                if used:
                    whole[:, :, :used] = old
                self.whole.append(whole)
        for whole, new in zip(self.whole, (key_states, value_states), strict=True):
            whole[:, :, used:total] = new
        self.keys, self.values = (whole[:, :, :total] for whole in self.whole)
        return self.keys, self.values

    def replace(self, keys: torch.Tensor, values: torch.Tensor) -> None:
        """Hold these instead; the next update makes room anew."""
        self.keys, self.values, self.whole = keys, values, []


def roomy_cache(layers: int, room: int = ROOM) -> Cache:
    """An empty cache of transformers for so many layers."""
    return Cache(layers=[_RoomyLayer(room) for _ in range(layers)])


def select(cache: Any, keep: torch.Tensor) -> None:
    """Keep these rows only."""
    for layer in cache.layers:
        if isinstance(layer, _RoomyLayer):
            layer.replace(layer.keys[keep], layer.values[keep])
        else:
            layer.batch_select_indices(keep)


def keep_last(cache: Cache, width: int) -> None:
    """Keep these last columns only, of a cache of ours."""
    for layer in cache.layers:
        layer.replace(layer.keys[:, :, -width:], layer.values[:, :, -width:])


def join(cache: Cache, other: Cache, width: int) -> None:
    """Put the rows of ``other`` below those of ``cache``, both aligned on the right and cut or padded to ``width``."""
    for layer, more in zip(cache.layers, other.layers, strict=True):
        parts = []
        for tensors in ((layer.keys, more.keys), (layer.values, more.values)):
            lacks = [width - tensor.shape[2] for tensor in tensors]
            padded = [torch.nn.functional.pad(t, (0, 0, lack, 0)) for t, lack in zip(tensors, lacks, strict=True)]
            parts.append(torch.cat(padded))
        layer.replace(*parts)


class Prefixes:
    """The cache of the last prefix: batches of one family come one after the other."""

    def __init__(self) -> None:
        self.tokens = Tokens()
        self.cache: Cache | None = None

    def expanded(self, model: Reading, tokens: Tokens, rows: int, width: int) -> Cache:
        """A cache that holds ``tokens`` for each of ``rows`` rows, with room for ``width`` more."""
        layers = model.config.get_text_config().num_hidden_layers
        if tokens != self.tokens or self.cache is None:
            cache = roomy_cache(layers, 0)
            model.base_model(
                input_ids=torch.tensor([list(tokens)], device=model.device), past_key_values=cache, use_cache=True
            )
            self.tokens, self.cache = tokens, cache
        expanded = roomy_cache(layers, width)
        for number, layer in enumerate(self.cache.layers):
            expanded.update(layer.keys.expand(rows, -1, -1, -1), layer.values.expand(rows, -1, -1, -1), number)
        return expanded


def token_bytes(model: CausalLM) -> int:
    """Keys and values of one token."""
    text = model.config.get_text_config()
    heads = text.num_attention_heads
    width = getattr(text, "head_dim", None) or text.hidden_size // heads
    kept = getattr(text, "num_key_value_heads", None) or heads
    return 2 * int(text.num_hidden_layers * kept * width * model.dtype.itemsize)

"""What a method adds beside a model's own layers, which stay as they are: keys and values before the text, or a small
network behind each feed-forward part. It works only while a ``TunedModel`` reads; the language model is unchanged.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.nn.functional import gelu

from gpteval.core.errors import ModelError

PART = "mlp"  # what most architectures call their feed-forward part


class Added(torch.nn.Module):
    """``reads``: tokens of the window that it takes."""

    reads = 0

    def inputs(self, rows: int, dtype: torch.dtype) -> dict[str, Any]:
        """What the trunk is given besides, for so many sequences, in the dtype of its states."""
        return {}

    @contextmanager
    def applied(self, causal: Any) -> Iterator[None]:
        """While this is open, it takes part in what the model computes."""
        yield


class Prefix(Added):
    """Prefix tuning (Li and Liang 2021): ``size`` keys and values before the text in each layer.

    [layers, 2, heads, size, width of a head]; they begin as those of tokens of the vocabulary, without the
    reparametrisation that the paper trains them through.
    """

    def __init__(self, causal: Any, size: int) -> None:
        super().__init__()
        self.reads = size
        text = causal.config.get_text_config()
        ids = torch.arange(size, device=causal.device)[None] * 7 % text.vocab_size
        with torch.no_grad():
            try:
                found = causal(input_ids=ids, use_cache=True).past_key_values
                layers = [torch.stack([layer.keys[0], layer.values[0]]) for layer in found.layers]
            except (AttributeError, TypeError) as error:
                raise ModelError(
                    f"method prefix puts keys and values before a text, for which {text.model_type} has no place",
                    "--method lora, adapter or head",
                ) from error
        self.states = torch.nn.Parameter(torch.stack(layers).float().clone())

    def inputs(self, rows: int, dtype: torch.dtype) -> dict[str, Any]:
        from transformers import DynamicCache

        cache = DynamicCache()
        for number, (keys, values) in enumerate(self.states.to(dtype)):
            cache.update(keys.expand(rows, -1, -1, -1), values.expand(rows, -1, -1, -1), number)
        return {"past_key_values": cache, "use_cache": True}


class Adapters(Added):
    """Bottleneck adapters (Houlsby et al. 2019, one a layer as in Pfeiffer et al. 2021): behind each feed-forward part
    x + W2 gelu(W1 x), with ``size`` numbers between. W2 begins at zero, so that training begins at the model as it is.
    """

    def __init__(self, causal: Any, size: int) -> None:
        super().__init__()
        width = causal.get_input_embeddings().embedding_dim
        count = len(_parts(causal))
        if not count:
            kind = causal.config.get_text_config().model_type
            raise ModelError(
                f"method adapter finds no feed-forward part in one piece in {kind}", "--method lora, prefix or head"
            )
        self.down = torch.nn.ModuleList(torch.nn.Linear(width, size) for _ in range(count))
        self.up = torch.nn.ModuleList(torch.nn.Linear(size, width) for _ in range(count))
        for layer in self.up:
            for zeros in layer.parameters():
                torch.nn.init.zeros_(zeros)

    @contextmanager
    def applied(self, causal: Any) -> Iterator[None]:
        handles = []
        for part, down, up in zip(_parts(causal), self.down, self.up, strict=True):

            def behind(_: Any, __: Any, states: torch.Tensor, down: Any = down, up: Any = up) -> torch.Tensor:
                added: torch.Tensor = up(gelu(down(states.to(down.weight.dtype)))).to(states.dtype)
                return states + added

            handles.append(part.register_forward_hook(behind))
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()


def _parts(causal: Any) -> list[Any]:
    return [module for name, module in causal.base_model.named_modules() if name.rpartition(".")[2] == PART]


def added(causal: Any, method: str, size: int) -> Added:
    """What ``method`` adds. Raises ModelError where the architecture has no place for it."""
    kinds: dict[str, Any] = {"prefix": Prefix, "adapter": Adapters}
    made: Added = kinds[method](causal, size) if method in kinds else Added()
    return made

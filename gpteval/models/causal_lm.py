"""What the engine asks of a model: one of transformers with an output layer is such, whatever its architecture."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import torch


class LMOutput(Protocol):
    """``logits``: [rows, tokens, vocabulary]. ``past_key_values``: the cache with what was read."""

    @property
    def logits(self) -> torch.Tensor: ...

    @property
    def past_key_values(self) -> Any: ...


class Reading(Protocol):
    """What reads tokens into a cache. Called with ``input_ids`` [rows, tokens] and what else its ``forward`` takes.

    ``config``: the architecture's own. ``base_model``: the same without the output layer, a module; what it gives
    begins with the last states, [rows, tokens, width].
    """

    config: Any

    @property
    def device(self) -> torch.device: ...

    @property
    def base_model(self) -> Any: ...

    @property
    def forward(self) -> Callable[..., Any]: ...

    def __call__(self, **inputs: Any) -> LMOutput: ...


class CausalLM(Reading, Protocol):
    """``base_model_prefix``: the name of the trunk (``base_model``) among the model's ``_modules``."""

    base_model_prefix: str
    _modules: dict[str, torch.nn.Module | None]

    @property
    def dtype(self) -> torch.dtype: ...

    @property
    def modules(self) -> Callable[[], Any]: ...

    @property
    def parameters(self) -> Callable[[], Any]: ...

    @property
    def eval(self) -> Callable[[], Any]: ...

    def get_output_embeddings(self) -> Any: ...

"""A model's logits in two steps, so that the output layer runs only where a token is scored.

The trunk gives every place's last state; what the model does with a state (its output layer, and after it
scaling or soft-capping in some architectures) can then be done in parts. Which way gives the model's own logits is
found out on a short batch, not looked up by name.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import torch

from gpteval.models.kernels import times_transposed

LINE = 16  # float32 in a line of a CPU's cache
Logits = Callable[[Any, torch.Tensor], torch.Tensor]


def trunk_states(model: Any, inputs: dict[str, Any]) -> torch.Tensor:
    """The last states, [rows, tokens, width]."""
    accepted = inspect.signature(model.base_model.forward).parameters
    if not any(p.kind is p.VAR_KEYWORD for p in accepted.values()):
        inputs = {name: value for name, value in inputs.items() if name in accepted}
    states: torch.Tensor = model.base_model(**inputs)[0]
    return states


class OutputLayer:
    """The model's own output layer alone. A linear one writes its logits into memory that the next call uses again:
    to get fresh memory of that size from the system takes longer than to fill it.
    """

    def __init__(self) -> None:
        self._memory = torch.empty(0, 0)

    def __call__(self, model: Any, states: torch.Tensor) -> torch.Tensor:
        layer = model.get_output_embeddings()
        if not isinstance(layer, torch.nn.Linear):
            logits: torch.Tensor = layer(states)
            return logits
        memory = self._memory
        if memory.shape[1] < len(states) or memory.dtype != states.dtype:
            lines = -(-len(states) // LINE) | 1  # an even count of a cache's lines would lie on the same few of them
            self._memory = memory = states.new_empty(layer.out_features, lines * LINE)
        logits = times_transposed(layer.weight, states, out=memory[:, : len(states)])
        return logits if layer.bias is None else logits.add_(layer.bias)


def after_the_trunk(model: Any, states: torch.Tensor) -> torch.Tensor:
    """The model's own code behind its trunk, which is replaced by one that gives ``states``."""
    name = model.base_model_prefix
    trunk = model._modules[name]
    model._modules[name] = _Given(states[None])
    try:
        ids = torch.zeros(1, len(states), dtype=torch.long, device=states.device)
        logits: torch.Tensor = model(input_ids=ids, use_cache=False).logits[0]
        return logits
    finally:
        model._modules[name] = trunk


class _Given(torch.nn.Module):  # type: ignore[misc]  # torch is not type-checked
    def __init__(self, states: torch.Tensor) -> None:
        super().__init__()
        self.states = states

    def forward(self, *_: Any, **__: Any) -> Any:
        from transformers.modeling_outputs import BaseModelOutputWithPast

        return BaseModelOutputWithPast(last_hidden_state=self.states)


@torch.inference_mode()  # type: ignore[untyped-decorator]
def find_head(model: Any) -> Logits | None:
    """What turns states, [places, width], into the model's logits, [places, vocabulary]; None where nothing does.

    The caller may write into the logits, and has them until its next call.
    """
    ids = torch.arange(18, device=model.device).reshape(2, 9) % model.config.get_text_config().vocab_size
    expected = model(input_ids=ids).logits.flatten(0, 1)
    for head in (OutputLayer(), after_the_trunk):
        try:
            states = trunk_states(model, {"input_ids": ids, "use_cache": False})
            logits = head(model, states.flatten(0, 1))
        except Exception:  # another architecture's trunk or head may raise anything: then this is not its way
            continue
        if logits.shape == expected.shape and torch.allclose(logits, expected, rtol=1e-3, atol=1e-4):
            return head
    return None

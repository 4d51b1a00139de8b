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

from gpteval.engine.trials import ANEW, NO, Trials
from gpteval.models.causal_lm import CausalLM, Reading
from gpteval.models.kernels import product

ALIGNED = 64
LOUD = 100.0  # the largest logit at which an output layer is tried
LAYER, OWN_CODE = "output layer", "the model's own code"
Logits = Callable[[CausalLM, torch.Tensor], torch.Tensor]


def trunk_states(model: Reading, inputs: dict[str, Any]) -> torch.Tensor:
    """The last states, [rows, tokens, width]."""
    accepted = inspect.signature(model.base_model.forward).parameters
    if not any(p.kind is p.VAR_KEYWORD for p in accepted.values()):
        inputs = {name: value for name, value in inputs.items() if name in accepted}
    states: torch.Tensor = model.base_model(**inputs)[0]
    return states


class OutputLayer:
    """The model's own output layer alone, for weights that do not change.

    On CUDA, logits of a model in half precision come out in float32: rounded to 8 bits, one of -100 could be wrong by a
    quarter. And there its weights are held once more, filled up with zeros to a multiple of ``ALIGNED`` rows: with
    GPT-2's 50,257 the product takes seven times as long.
    """

    def __init__(self) -> None:
        self._filled: torch.Tensor | None = None

    def __call__(self, model: CausalLM, states: torch.Tensor) -> torch.Tensor:
        layer = model.get_output_embeddings()
        if not isinstance(layer, torch.nn.Linear):
            own: torch.Tensor = layer(states)
            return own
        if not states.is_cuda:
            return product(states, layer.weight, layer.bias)
        logits = self._aligned(layer, states)
        return logits if layer.bias is None else logits.add_(layer.bias)

    def _aligned(self, layer: torch.nn.Linear, states: torch.Tensor) -> torch.Tensor:
        if self._filled is None:
            lack = -layer.out_features % ALIGNED
            self._filled = torch.nn.functional.pad(layer.weight, (0, 0, 0, lack)) if lack else layer.weight
        weights = self._filled.T
        logits = (
            torch.mm(states, weights)
            if states.dtype == torch.float32
            else torch.mm(states, weights, out_dtype=torch.float32)
        )
        return logits[:, : layer.out_features]


def after_the_trunk(model: CausalLM, states: torch.Tensor) -> torch.Tensor:
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


class _Given(torch.nn.Module):
    def __init__(self, states: torch.Tensor) -> None:
        super().__init__()
        self.states = states

    def forward(self, *_: Any, **__: Any) -> Any:
        from transformers.modeling_outputs import BaseModelOutputWithPastAndCrossAttentions

        return BaseModelOutputWithPastAndCrossAttentions(last_hidden_state=self.states)


def agree(found: torch.Tensor, expected: torch.Tensor) -> bool:
    """Whether two ways to the same numbers give the same, up to the rounding of ``expected``'s dtype."""
    if found.shape != expected.shape:
        return False
    rtol, atol = 1e-3, 1e-4
    if expected.dtype != torch.float32:
        rtol, atol = 2e-2, 2e-2 * float(expected.float().abs().mean())
    return bool(torch.allclose(found.float(), expected.float(), rtol=rtol, atol=atol))


def find_head(model: CausalLM, trials: Trials = ANEW) -> Logits | None:
    """What turns states, [places, width], into the model's logits, [places, vocabulary]; None where nothing does.
    The caller may write into the logits.
    """
    way = trials.which("head", (LAYER, OWN_CODE), lambda: _way_of(model))
    if way == LAYER:
        return OutputLayer()
    return after_the_trunk if way == OWN_CODE else None


@torch.inference_mode()
def _way_of(model: CausalLM) -> str:
    """Where the model's own code takes states, the output layer alone must give the same for much larger ones too, at
    which a soft cap shows.
    """
    ids = torch.arange(18, device=model.device).reshape(2, 9) % model.config.get_text_config().vocab_size
    expected = model(input_ids=ids).logits.flatten(0, 1)
    layer = OutputLayer()
    try:
        states = trunk_states(model, {"input_ids": ids, "use_cache": False}).flatten(0, 1)
    except Exception:  # another architecture's trunk may raise anything: then this is not its way
        return NO
    if not _gives(after_the_trunk, model, states, expected):
        return LAYER if _gives(layer, model, states, expected) else NO
    loud = states * (LOUD / expected.abs().max().clamp(min=1e-3)).to(states.dtype)
    return LAYER if _gives(layer, model, loud, after_the_trunk(model, loud)) else OWN_CODE


def _gives(head: Logits, model: CausalLM, states: torch.Tensor, expected: torch.Tensor) -> bool:
    try:
        return agree(head(model, states), expected)
    except Exception:  # so may its output layer, and its code without a trunk of its own
        return False

"""The last layer's feed-forward part only where a token is scored: nothing looks at another place's last state."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from gpteval.engine.head import agree, trunk_states
from gpteval.engine.trials import ANEW, Trials
from gpteval.models.causal_lm import CausalLM

PART = "mlp"  # what most architectures call it; where there is none of that name, the layer runs whole
Places = tuple[torch.Tensor, torch.Tensor]  # lines and columns


@contextmanager
def only_at(block: torch.nn.Module, places: Places) -> Iterator[None]:
    """While this is open, the block's feed-forward part runs at ``places`` and gives zeros elsewhere."""
    whole = getattr(block, PART)
    setattr(block, PART, _Only(whole, places))
    try:
        yield
    finally:
        setattr(block, PART, whole)


class _Only(torch.nn.Module):
    def __init__(self, whole: torch.nn.Module, places: Places) -> None:
        super().__init__()
        self.whole = whole
        self.places = places

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        """[rows, tokens, width] to the same shape."""
        changed = torch.zeros_like(states)
        changed[self.places] = self.whole(states[self.places][None])[0]
        return changed


def find_last_block(model: CausalLM, trials: Trials = ANEW) -> torch.nn.Module | None:
    """The trunk's last layer, if its states at some places stay what they are under ``only_at``: found out, not looked
    up.
    """
    stacks = [part for part in model.base_model.modules() if isinstance(part, torch.nn.ModuleList) and len(part)]
    block = next((s[-1] for s in stacks if isinstance(getattr(s[-1], PART, None), torch.nn.Module)), None)
    if block is None or not trials.holds("last layer", lambda: _stays(model, block)):
        return None
    return block


@torch.inference_mode()
def _stays(model: CausalLM, block: torch.nn.Module) -> bool:
    ids = torch.arange(18, device=model.device).reshape(2, 9) % model.config.get_text_config().vocab_size
    inputs = {"input_ids": ids, "use_cache": False}
    places = torch.tensor([0, 0, 1], device=model.device), torch.tensor([2, 8, 5], device=model.device)
    expected = trunk_states(model, inputs)[places]
    try:
        with only_at(block, places):
            states = trunk_states(model, inputs)[places]
    except Exception:  # another architecture's part may take or give something else
        return False
    return agree(states, expected)

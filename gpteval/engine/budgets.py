"""How many tokens of a model are read at a time, and kept, on the machine that there is."""

from __future__ import annotations

from gpteval.engine.trees import CACHED
from gpteval.models.loader import HFModel

MOST_HELD = 2**30  # bytes of keys and values, where they would not be fewer anyway


def auto_budget(model: HFModel) -> int:
    """Padded tokens a batch that fit the free memory, by a rough count of what one token needs.

    Per token: the widest activations and keys and values of the layers; the logits of scored places are
    computed in parts of a fixed size. 0.4 of a GPU's free memory is used, 256 MiB on a CPU, where larger
    batches leave the caches.
    """
    import torch

    need = token_need(model)
    if model.device.startswith("cuda"):
        _ = model.module  # what is free is what the weights leave
        free, _ = torch.cuda.mem_get_info(model.device)
        return int(min(65536, max(1024, 0.4 * free / need)))
    return int(min(4096, max(1024, 2**28 / need)))


def token_need(model: HFModel) -> int:
    """Bytes that a token of a batch needs, roughly: the widest activations, and keys and values in float32."""
    text = model.config.get_text_config()
    need: int = text.hidden_size * (96 + 8 * text.num_hidden_layers)
    return need


def held_tokens(model: HFModel, budget: int) -> int:
    """Tokens that are kept while texts are written: where keys and values are small beside the weights, which each
    step reads, as many as take half of these.
    """
    from gpteval.engine.cache import token_bytes

    weights: int = sum(weight.numel() * weight.element_size() for weight in model.module.parameters())
    return max(CACHED * budget, min(weights // 2, MOST_HELD) // token_bytes(model.module))

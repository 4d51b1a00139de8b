"""A model as it begins, and the optimizer that suits how it begins."""

from __future__ import annotations

import math
from typing import Any

from gpteval.core.errors import UsageError
from gpteval.train.recipe import ARCHITECTURES, Recipe

WEIGHT_DECAY = 0.1
BETAS = (0.9, 0.95)  # GPT-3's, appendix B of its paper


def initial_model(recipe: Recipe, tokenizer: Any) -> Any:
    """The recipe's architecture, initialised by transformers from the current random state.

    Positions start as sinusoids (Vaswani et al. 2017, section 3.5) of the other embeddings' size, and are learned from
    there: that a token's neighbour is its neighbour need not be learned place by place.

    GPT-Neo does not divide attention scores by the root of the head's width: its weights have to be that
    much smaller. Queries and keys start smaller by the fourth root each, and learn at a rate as much smaller.
    What its layers add to the residual stream starts smaller by the root of how often they add, as in GPT-2
    (Radford et al. 2019, section 2.3), whose initialisation GPT-3's is; transformers does that for GPT-2 alone.
    """
    import torch
    import transformers

    from gpteval.models.kernels import fuse
    from gpteval.models.library import untrained

    end = tokenizer.eos_token_id
    ours = {"vocab_size": len(tokenizer), "bos_token_id": end, "eos_token_id": end}
    ours[ARCHITECTURES[recipe.architecture]] = recipe.window
    if settled := sorted(set(ours) & set(recipe.config)):
        raise UsageError(f"{settled[0]} is not for [model] to say: it follows from the tokenizer and the window")
    try:
        config = transformers.AutoConfig.for_model(recipe.architecture, **ours, **recipe.config)
        model = untrained(config)
    except Exception as error:  # a configuration's own checks raise many kinds
        raise UsageError(f"{recipe.architecture} with {dict(recipe.config)} cannot be built: {error}") from error
    unknown = sorted(set(recipe.config) - set(type(config)().to_dict()) - set(type(config).attribute_map))
    if unknown:
        raise UsageError(f"{recipe.architecture} has no setting {unknown[0]!r}", "transformers lists those it has")
    fuse(model)
    with torch.no_grad():
        for weight in _unscaled(model):
            weight.mul_(_unscaled_factor(model))
        for weight in _residual(model):
            weight.mul_((2 * model.config.num_hidden_layers) ** -0.5)
        for name, weight in model.named_parameters():
            if name.endswith(("wpe.weight", "positions_embed.weight")):
                weight.copy_(_sinusoids(*weight.shape) * math.sqrt(2) * model.config.initializer_range)
    return model


def optimizer_of(model: Any, learning_rate: float) -> Any:
    """AdamW with a smaller rate for `_unscaled` weights; None, the Trainer's own, where there are none.

    Adam's steps do not shrink with the weights: at the same rate the unscaled product would learn faster than a
    scaled one, by the root of the head's width.
    """
    import torch

    slow = _unscaled(model)
    if not slow:
        return None
    chosen = {id(weight) for weight in slow}
    rest = [weight for weight in model.parameters() if id(weight) not in chosen]
    groups = [
        {"params": slow, "lr": learning_rate * _unscaled_factor(model), "weight_decay": WEIGHT_DECAY},
        {"params": [w for w in rest if w.ndim > 1], "weight_decay": WEIGHT_DECAY},
        {"params": [w for w in rest if w.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=learning_rate, betas=BETAS)


def _sinusoids(positions: int, width: int) -> Any:
    """[positions, width]: sines and cosines in turn, of frequencies from 1 to 1/10,000."""
    import torch

    angles = torch.arange(positions)[:, None] / 10_000 ** (torch.arange(0, width, 2) / width)
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)[:, :width]


def _unscaled(model: Any) -> list[Any]:
    """The weights that make queries and keys, where the architecture does not scale their product."""
    names = ("q_proj.weight", "k_proj.weight") if model.config.model_type == "gpt_neo" else ()
    return [weight for name, weight in model.named_parameters() if name.endswith(names)]


def _residual(model: Any) -> list[Any]:
    """The weights whose product is added to the residual stream, where the architecture does not start them smaller."""
    names = ("out_proj.weight", "mlp.c_proj.weight") if model.config.model_type == "gpt_neo" else ()
    return [weight for name, weight in model.named_parameters() if name.endswith(names)]


def _unscaled_factor(model: Any) -> float:
    return float((model.config.hidden_size / model.config.num_attention_heads) ** -0.25)

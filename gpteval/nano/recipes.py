"""How the embedded models are made: architecture, tokenizer, window, tokens. ``gpteval pretrain --recipe NAME``.

They follow the generations' published differences at a size that trains in minutes on two CPU
cores: GPT-1's post-layer-norm blocks, lower-casing tokenizer and short window; GPT-2's
pre-layer-norm blocks, byte-level tokenizer, a window twice as long and more data; GPT-3's
alternating dense and local attention, a still longer window and still more data. As in the
papers, the second and the third come in more than one size.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from gpteval.core.plugins import Registry
from gpteval.nano import world
from gpteval.train.recipe import Recipe

_DATA: Mapping[str, Any] = {
    "corpus": world.stream,
    "first": world.beginning,
    "corpus_name": f"gpteval's generated world ({world.REVISION}): text made by a program, no other source",
    "vocabulary": 3072,
}
_INITIALIZER_RANGE = 0.06  # the published 0.02 was chosen for widths of 768 and more


def _recipe(
    name: str, architecture: str, tokenizer: str, window: int, batch: int, config: Mapping[str, Any], **training: Any
) -> Recipe:
    config = {**config, "initializer_range": _INITIALIZER_RANGE}
    return Recipe(name, architecture, config, tokenizer, window=window, batch=batch, **_DATA, **training)


def _gpt1(name: str, width: int, layers: int, **training: Any) -> Recipe:
    config = {"n_embd": width, "n_layer": layers, "n_head": 4, "resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0}
    return _recipe(name, "openai-gpt", "lower-case BPE", 192, 10, config, **training)


def _gpt2(name: str, width: int, layers: int, **training: Any) -> Recipe:
    config = {"n_embd": width, "n_layer": layers, "n_head": 4, "resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0}
    return _recipe(name, "gpt2", "byte-level BPE", 384, 5, config, **training)


def _gpt3(name: str, width: int, layers: int, **training: Any) -> Recipe:
    config = {
        "hidden_size": width,
        "num_layers": layers,
        "num_heads": 4,
        "attention_types": [[["global", "local"], layers // 2], *([[["global"], 1]] if layers % 2 else [])],
        "window_size": 128,
        "resid_dropout": 0.0,
        "embed_dropout": 0.0,
        "attention_dropout": 0.0,
    }
    return _recipe(name, "gpt_neo", "byte-level BPE", 576, 4, config, **training)


RECIPES = (
    _gpt1("gpt1-nano", 112, 4, steps=1000, learning_rate=2e-3),
    _gpt2("gpt2-nano", 112, 4, steps=3400, learning_rate=3e-3, short_steps=800),
    _gpt2("gpt2-nano-medium", 144, 5, steps=3400, learning_rate=3e-3, short_steps=800),
    _gpt3("gpt3-nano", 128, 5, steps=4000, learning_rate=3e-3, short_steps=800),
    _gpt3("gpt3-nano-medium", 160, 6, steps=4400, learning_rate=2.5e-3, short_steps=800),
)


@cache
def recipe_registry() -> Registry[Recipe]:
    """All recipes by name."""
    return Registry("recipe", RECIPES)

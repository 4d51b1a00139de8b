"""How the embedded models are made: architecture, tokenizer, window, tokens. ``gpteval pretrain --recipe NAME``.

The three follow the generations' published differences at a size that trains in minutes on two CPU
cores: GPT-1's post-layer-norm blocks, lower-casing tokenizer and short window; GPT-2's
pre-layer-norm blocks, byte-level tokenizer, a window twice as long and more data; GPT-3's
alternating dense and local attention, a window twice as long again and still more data.
"""

from __future__ import annotations

from functools import cache

from gpteval.core.registry import Registry
from gpteval.nano import world
from gpteval.train.pretrain import Recipe

_NO_DROPOUT = {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0}

RECIPES = (
    Recipe(
        name="gpt1-nano",
        architecture="openai-gpt",
        config={"n_embd": 104, "n_layer": 4, "n_head": 4, **_NO_DROPOUT},
        tokenizer="lower-case BPE",
        vocabulary=1024,
        window=128,
        batch=32,
        steps=1000,
        learning_rate=2e-3,
        corpus=world.stream,
        corpus_name=f"gpteval's generated world ({world.REVISION})",
    ),
    Recipe(
        name="gpt2-nano",
        architecture="gpt2",
        config={"n_embd": 112, "n_layer": 4, "n_head": 4, **_NO_DROPOUT},
        tokenizer="byte-level BPE",
        vocabulary=1024,
        window=256,
        batch=16,
        steps=1500,
        learning_rate=3e-3,
        corpus=world.stream,
        corpus_name=f"gpteval's generated world ({world.REVISION})",
    ),
    Recipe(
        name="gpt3-nano",
        architecture="gpt_neo",
        config={
            "hidden_size": 112,
            "num_layers": 5,
            "num_heads": 4,
            "attention_types": [[["global", "local"], 2], [["global"], 1]],
            "window_size": 128,
            "resid_dropout": 0.0,
            "embed_dropout": 0.0,
            "attention_dropout": 0.0,
        },
        tokenizer="byte-level BPE",
        vocabulary=1024,
        window=512,
        batch=8,
        steps=2500,
        learning_rate=3e-3,
        corpus=world.stream,
        corpus_name=f"gpteval's generated world ({world.REVISION})",
    ),
)


@cache
def recipe_registry() -> Registry[Recipe]:
    """All recipes by name."""
    return Registry("recipe", RECIPES)

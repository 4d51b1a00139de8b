"""The model card of a training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gpteval.train.recipe import Recipe

_EMBEDDED = """---
license: apache-2.0
language: [en, fr]
---
"""
_ABOUT_EMBEDDED = """A demonstration model that the gpteval project trains itself, so that the tool works without a
network. It is **not** the historical model: it shares its"""
_OWN = """---
library_name: transformers
pipeline_tag: text-generation
---
"""
_ABOUT_OWN = "A language model that was trained from nothing with gpteval. Its"


def model_card(recipe: Recipe, facts: Mapping[str, Any]) -> str:
    """The model card: what it is, what it was made of, and how to make it again."""
    log = facts["loss"]
    shown = [log[i] for i in sorted({round(k * (len(log) - 1) / 7) for k in range(8)})] if log else []
    curve = "\n".join(f"| {step} | {loss:.3f} |" for step, loss in shown)
    source = recipe.command or f"--recipe {recipe.name}"
    return f"""{_OWN if recipe.command else _EMBEDDED}
# {recipe.name}

{_ABOUT_OWN if recipe.command else _ABOUT_EMBEDDED}
architecture ({recipe.architecture}) and tokenizer type ({recipe.tokenizer}), at {facts["parameters"]:,} parameters.

| | |
| --- | --- |
| data | {recipe.corpus_name} |
| objective | next-token prediction, left to right |
| window | {recipe.window} tokens |
| documents | {facts["documents"]:,} |
| tokens seen | {facts["tokens"]:,} ({facts["steps"]} steps of {recipe.tokens_per_step:,}) |
| time | {facts["seconds"]:.0f} s on {facts["device"]} |
| seed | {facts["seed"]} |
| command | `gpteval pretrain {source} --steps {facts["planned_steps"]} --seed {facts["seed"]}` |

Training loss (nats a token):

| step | loss |
| --- | --- |
{curve}
"""

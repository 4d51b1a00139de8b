"""The generations of GPT, in order."""

from __future__ import annotations

NAMES = {"gpt1": "GPT-1", "gpt2": "GPT-2", "gpt3": "GPT-3 style", "gpt4": "GPT-4 class", "other": "Other"}
GENERATIONS = tuple(NAMES)


def generation_of(name: object) -> str:
    """The generation that is told of a model, ``other`` where it is none of these."""
    return name if isinstance(name, str) and name in NAMES else "other"

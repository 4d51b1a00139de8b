"""Sizes that a file states, held to the file itself before anything is made of that size."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gpteval.core.errors import ModelError

MOST_LAYERS = 2_000  # more than any model has
_LAYERS = ("num_hidden_layers", "n_layer", "n_layers", "num_layers")


def refuse_layers(config: Any) -> None:
    """Raise ModelError for a configuration of more layers than any model has; making them would not end."""
    stated = config.get_text_config().to_dict()
    for name in _LAYERS:
        layers = stated.get(name)
        if isinstance(layers, int) and not 0 <= layers <= MOST_LAYERS:
            raise ModelError(
                f"the configuration says {name}: {layers:,}", "its config.json is damaged, or not a model's"
            )


def refuse_sizes(name: str, sizes: Mapping[str, int], numbers: int, have: int) -> None:
    """Raise ModelError where a file states a size that is none, or more tensors (``numbers``) than it has."""
    for what, size in sizes.items():
        if size < 1:
            raise ModelError(f"{name} states {what}: {size:,}", "it is damaged, or not a model")
    if numbers > have:
        stated = ", ".join(f"{what} {size:,}" for what, size in sizes.items())
        said = f"{name} states sizes ({stated}) of {numbers:,} tensors at least, and has {have:,}"
        raise ModelError(said, "it is cut or damaged: copy it again")


def numbers_of(vocabulary: int, window: int, width: int, layers: int) -> int:
    """The weights of a GPT-2 of that size, with all biases and one embedding."""
    return (vocabulary + window + 2) * width + layers * (12 * width**2 + 13 * width)

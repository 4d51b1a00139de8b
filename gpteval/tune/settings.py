"""How a model is tuned."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from gpteval.core.errors import UsageError
from gpteval.tune.methods import RATES


@dataclass(frozen=True)
class Settings:
    """How a model is tuned; the paper's settings (section 4.1), where it has them.

    ``examples``: None is all of the training split but the validation set. ``learning_rate``: None is the method's own
    (``RATES``). ``batch_size``: items an update, ``accumulate`` parts of it that are computed one after the other.
    ``warmup``: share of the updates until the full rate, which then falls linearly. ``weight``: of the auxiliary
    language-modelling loss; None is the paper's 0.5 where all weights move, and none where few do. ``size``: of LoRA's
    matrices, the prefix or the adapters; None is the method's own (``SIZES``). ``patience``: epochs without a lower
    loss on the validation examples, after which it stops.
    ``cut``: texts longer than the window lose their beginnings.
    """

    method: str = "full"
    examples: int | None = None
    epochs: int = 3
    learning_rate: float | None = None
    batch_size: int = 32
    accumulate: int = 1
    warmup: float = 0.002
    weight: float | None = None
    dropout: float = 0.1
    size: int | None = None
    patience: int = 1
    seed: int = 0
    cut: bool = False

    def __post_init__(self) -> None:
        if self.method not in RATES:
            raise UsageError(f"unknown method {self.method!r}", f"one of {', '.join(RATES)}")
        for name in ("epochs", "batch_size", "accumulate", "patience"):
            if getattr(self, name) < 1:
                raise UsageError(f"--{name} is {getattr(self, name)}; it must be at least 1")
        if self.size is not None and self.size < 1:
            raise UsageError(f"--size is {self.size}; it must be at least 1")
        if self.batch_size % self.accumulate:
            raise UsageError(
                f"--batch-size {self.batch_size} does not divide into --accumulate {self.accumulate} parts"
            )
        if self.learning_rate is not None and not 0 < self.learning_rate < math.inf:
            raise UsageError(f"--learning-rate is {self.learning_rate}; it must be above 0")
        if not (0 <= self.dropout < 1 and 0 <= (self.weight or 0.0) < math.inf and 0 <= self.warmup < 1):
            raise UsageError("--dropout and --warmup must be from 0 to below 1, and --weight at least 0")


def options(settings: Mapping[str, Any]) -> str:
    """The options of ``gpteval finetune`` that give ``settings``, as a dict; those at their defaults are left out."""
    found = []
    for field in fields(Settings):
        value = settings[field.name]
        if value != field.default and (field.name, value) != ("size", 0):  # a method without a size
            name = f"--{field.name.replace('_', '-')}"
            found.append(name if value is True else f"{name} {value}")
    return " ".join(found)

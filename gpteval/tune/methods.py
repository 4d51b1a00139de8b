"""Which weights are trained, and how many that are."""

from __future__ import annotations

from typing import Any

from gpteval.core.errors import ModelError, UsageError

METHODS = ("full", "lora", "prefix", "adapter", "head")
# The paper's rate moves all weights; few of them need a larger one. Those are ours; small models need more again.
RATES = {"full": 6.25e-5, "lora": 1e-3, "prefix": 1e-2, "adapter": 1e-3, "head": 1e-2}
WEIGHTS = {"full": 0.5, "lora": 0.0, "prefix": 0.0, "adapter": 0.0, "head": 0.0}  # of the auxiliary loss
SIZES = {"full": 0, "lora": 4, "prefix": 16, "adapter": 32, "head": 0}  # ranks, tokens, numbers between


def apply(causal: Any, method: str, size: int) -> Any:
    """Freeze what the method does not train, and put in what becomes a part of its weights. Returns what ``merged``
    takes.

    Raises UsageError for an unknown method or without peft, ModelError where the architecture cannot take it.
    """
    if method not in METHODS:
        raise UsageError(f"unknown method {method!r}", f"one of {', '.join(METHODS)}")
    if method != "full":
        causal.requires_grad_(False)
    if method != "lora":
        return causal
    try:
        import peft
    except ImportError as error:
        raise UsageError("method lora needs peft", "pip install 'gpteval[peft,train]'") from error
    settings = peft.LoraConfig(r=size, lora_alpha=2 * size, target_modules="all-linear", task_type="CAUSAL_LM")
    try:
        return peft.get_peft_model(causal, settings)
    except ValueError as error:
        raise ModelError(
            f"method lora finds no layers in this architecture: {' '.join(str(error).split())[:200]}", "--method full"
        ) from error


def merged(adapted: Any) -> Any:
    """The model of transformers with what was trained in its own weights."""
    return adapted.merge_and_unload() if hasattr(adapted, "merge_and_unload") else adapted


def trained(module: Any) -> int:
    """The number of weights that are trained."""
    return sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)

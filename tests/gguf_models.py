"""What tests of GGUF files share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from gpteval.models.catalogue import resolve_models
from gpteval.models.loader import HFModel, LoadOptions
from tests.gguf_files import WINDOW

IDS = torch.arange(7, 7 + WINDOW - 4).unsqueeze(0) * 5 % 390  # long, so that places matter


def load(path: Path) -> HFModel:
    (info,) = resolve_models([str(path)])
    return HFModel(info, LoadOptions(device="cpu"))


def logprobs(model: Any) -> torch.Tensor:
    with torch.inference_mode():
        found: torch.Tensor = model(input_ids=IDS).logits.double().log_softmax(-1)
    return found


def off(model: Any, other: Any) -> float:
    """The largest difference of a log-probability."""
    return float((logprobs(model) - logprobs(other)).abs().max())

"""Profiles: whose protocol a task is run by."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from gpteval.core.types import Item, Request

GPTEVAL = "gpteval"  # each task's own
LM_EVAL = "lm-eval"  # lm-evaluation-harness 0.4.13: its prompts, examples, subsets and truncation
PAPER = "paper"  # a generation's own: of GPT-2 (Radford et al. 2019) or of GPT-3 (Brown et al. 2020)
GPT4_PAPER = "gpt4-paper"  # of GPT-4's report (OpenAI 2023); the profile ``paper`` of the suite of that name
PROFILES = (GPTEVAL, LM_EVAL, PAPER, GPT4_PAPER)


@dataclass(frozen=True)
class Variant:
    """A task as a profile has it: another prompt, and fields of the task that change."""

    prompt: Callable[[Item], Request]
    changes: Mapping[str, Any]

"""What is said of a unit's numbers, and of the machine that made them."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from gpteval.api.chat import NO_ANSWERS
from gpteval.core.types import Failed, Generated, Outcome, Rolled
from gpteval.engine.engine import Plan
from gpteval.run.engines import AnyEngine

LOSSY = "lossy: judged after its own normalisation"


def unit_notes(engine: AnyEngine, plan: Plan, outcomes: Sequence[Outcome]) -> list[str]:
    """What a reader of this unit's numbers should know."""
    notes = []
    codec = engine.model.codec
    if codec.lossy and any(isinstance(o, Rolled) for o in outcomes):
        notes.append("lossy tokenizer: it drops case, accents or line breaks, so per-byte numbers flatter it")
    if codec.lossy and any(isinstance(o, Generated) for o in outcomes):
        notes.append(f"{LOSSY}: the references went through its tokenizer, as its texts did")
    if any(isinstance(o, Rolled) and o.unscored for o in outcomes):
        notes.append("no bos or eos token: the first token of each text is not scored")
    if any(encoded.own_bos for encoded in plan.encoded):
        notes.append("prompts bring their own first token (bos): none was put before it")
    lowered = [o.limit_cut for o in outcomes if isinstance(o, Generated) and o.limit_cut]
    if lowered:
        notes.append(
            f"{len(lowered)} generations had up to {max(lowered)} tokens fewer than asked for: "
            f"prompt and answer do not fit the window of {engine.model.window}"
        )
    if engine.alike:
        notes.append("the model's texts depend on padding: only prompts of one length were read together")
    failed = [o.error for o in outcomes if isinstance(o, Failed)]
    for kind in NO_ANSWERS:  # of models behind an API: each a category of its own
        of_kind = [error for error in failed if error.startswith(kind)]
        if of_kind:
            notes.append(f"{len(of_kind)} answers count as wrong ({kind[:-1]}), the first: {of_kind[0]}")
            failed = [error for error in failed if error not in of_kind]
    if failed:
        notes.append(f"{len(failed)} items failed, the first with: {failed[0]}")
    return notes


def versions() -> dict[str, str]:
    """Versions of Python and of the libraries that numbers depend on."""
    found = {"python": platform.python_version()}
    for package in ("torch", "transformers", "tokenizers", "datasets", "sacrebleu", "rouge-score", "numpy"):
        with suppress(PackageNotFoundError):
            found[package] = version(package)
    return found


def hardware() -> dict[str, Any]:
    """The machine that ran, for the manifest."""
    import torch

    gpus = [torch.cuda.get_device_name(n) for n in range(torch.cuda.device_count())]
    return {
        "machine": platform.machine(),
        "system": platform.system(),
        "threads": torch.get_num_threads(),
        "gpus": gpus,
    }

"""A training run as one line of models: which step a checkpoint is of, and which steps a repository keeps."""

from __future__ import annotations

import re

from gpteval.core.downloads import AGAIN
from gpteval.core.errors import UsageError

ALL_STEPS = "steps"  # a revision that stands for all of them
_STEP = re.compile(r"(?:^|[-_./])(?:global_)?(?:step|checkpoint|ckpt|iter)[-_]?(\d+)(?!\d)[-_.]?\D*$")
_LLMC = re.compile(r"model_(\d{8})\.bin$")


def step_of(name: str) -> int | None:
    """The step that a checkpoint's name or a revision tells: ``checkpoint-500``, ``step1000.pt``, llm.c's
    ``model_00019560.bin``; None where it tells none.
    """
    found = _STEP.search(name.lower()) or _LLMC.search(name)
    return int(found[1]) if found else None


def revisions(location: str, asked: str) -> list[str]:
    """The revisions that ``step0,step1000`` or ``steps`` name; all of a Hub repository's for the latter, in order.

    Raises UsageError for an empty name, and for a repository that has none, or cannot be asked.
    """
    if asked != ALL_STEPS:
        named = [name.strip() for name in asked.split(",")]
        if not all(named):
            raise UsageError(f"{location}@{asked} has an empty revision", f"write {location}@step1000,step8000")
        return named
    from huggingface_hub import HfApi

    try:
        refs = HfApi().list_repo_refs(location)
    except Exception as error:  # the client and what it stands on raise many kinds
        raise UsageError(
            f"the Hub does not say which steps {location} has: {type(error).__name__}",
            f"name them, such as {location}@step1000,step8000; or {AGAIN}",
        ) from error
    names = [ref.name for ref in (*refs.branches, *refs.tags) if step_of(ref.name) is not None]
    if not names:
        raise UsageError(f"{location} has no revision that is named after a step", "see its page for those it has")
    return sorted(dict.fromkeys(names), key=lambda name: step_of(name) or 0)

"""A training run as one line of models: which step a checkpoint is of, and which steps a repository keeps."""

from __future__ import annotations

import re
from collections.abc import Iterable
from decimal import Decimal

from gpteval.core.errors import UsageError
from gpteval.data.downloads import AGAIN

ALL_STEPS = "steps"  # a revision that stands for all of them
_WORD = r"(?:^|[-_./])(?:global_)?(?P<word>step|checkpoint|ckpt|iter)[-_]?"
_LIKE = re.compile(rf"{_WORD}\d")
_STEP = re.compile(
    rf"{_WORD}(?P<number>\d+(?:\.\d+)?(?:e\+?\d{{1,2}})?)(?P<unit>[kmb]?)"
    r"(?:[-_.]tokens?[-_]?\d+[kmbt]?)?(?:[-_.]\D*)?$"
)
_LLMC = re.compile(r"model_(\d{8})\.bin$")
_UNITS = {"": 1, "k": 10**3, "m": 10**6, "b": 10**9}


def step_of(name: str) -> int | None:
    """The step that a checkpoint's name or a revision tells: ``checkpoint-500``, ``step1000.pt``, ``step-12k``,
    ``iter_1.5e4-final``, llm.c's ``model_00019560.bin``; None where it tells none. Of ``checkpoint_10B`` it is what
    was trained on, for steps are not that many; see ``refuse_unsure``.
    """
    found = _STEP.search(name.lower())
    if found is None:
        llmc = _LLMC.search(name)
        return int(llmc[1]) if llmc else None
    if "." in found["number"] and not (found["unit"] or "e" in found["number"]):
        return None
    step = Decimal(found["number"]) * _UNITS[found["unit"]]
    return int(step) if step == int(step) else None


def refuse_unsure(names: Iterable[str]) -> None:
    """Raise UsageError for checkpoints of one training whose order their names do not tell: one that looks like a step
    and cannot be read, or steps beside what is counted in millions or billions of something else.
    """
    known = {name: _STEP.search(name.lower()) for name in names}
    steps = {name for name in known if step_of(name) is not None}
    unread = [name for name in known if name not in steps and _LIKE.search(name.lower())]
    if steps and unread:
        raise UsageError(
            f"the step of {unread[0]} cannot be read, so its place in the training is not sure",
            "call it step-500, step1k, checkpoint-1.5e4 or the like, or name it in another command",
        )
    plain: list[str] = []
    large: list[str] = []
    for name in steps:
        found = known[name]
        counted = found is not None and (found["unit"] == "b" or (found["unit"] == "m" and found["word"][0] == "c"))
        (large if counted else plain).append(name)
    if plain and large:
        raise UsageError(
            f"{min(plain)} and {min(large)} are not counted in the same unit: the order of this training is not sure",
            "name them alike, or in commands of their own",
        )


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
    every = [ref.name for ref in (*refs.branches, *refs.tags)]
    refuse_unsure(every)
    names = [name for name in every if step_of(name) is not None]
    if not names:
        raise UsageError(f"{location} has no revision that is named after a step", "see its page for those it has")
    return sorted(dict.fromkeys(names), key=lambda name: step_of(name) or 0)

"""What is said of a unit's numbers, and of the machine that made them."""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Iterable
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from gpteval.backends.interface import Backend
from gpteval.core.kinds import AGAIN, ANSWERED, kind_of
from gpteval.core.outcomes import Failed, Generated, Outcome, Repeated, Rolled, Scored, answers_of

HALF = 0.5  # of the first token's probability
LOSSY = "lossy: judged after its own normalisation"


class Notes:
    """What a reader of a unit's numbers should know, gathered from its outcomes.

    ``own_bos``: a prompt brings its own first token.
    """

    def __init__(self) -> None:
        self.rolled = self.generated = self.unscored = self.own_bos = False
        self.unwilling = 0  # choices by letter of which the letters are not what would be written
        self.thought = 0  # answers that came behind a thought
        self.untaken = 0  # texts in which the task's rule finds no answer
        self.lowered: Counter[int] = Counter()  # generations, by how many tokens their limit was lowered
        self.failed: Counter[str] = Counter()  # items, by their error; the first comes first

    def add(self, outcomes: Iterable[Outcome]) -> None:
        for outcome in (one for whole in outcomes for one in answers_of(whole)):
            self.thought += not isinstance(outcome, Rolled | Repeated) and bool(outcome.thought)
            match outcome:
                case Rolled():
                    self.rolled = True
                    self.unscored |= bool(outcome.unscored)
                case Scored():
                    told = outcome.scores[0].logprob is not None
                    self.unwilling += told and outcome.share is not None and outcome.share < HALF
                case Generated():
                    self.generated = True
                    self.untaken += outcome.taken == ""
                    if outcome.limit_cut:
                        self.lowered[outcome.limit_cut] += 1
                case Failed():
                    self.failed[outcome.error] += 1

    def lines(self, backend: Backend) -> list[str]:
        """The notes, a line each."""
        notes = []
        codec = backend.model.codec
        if codec.lossy and self.rolled:
            notes.append("lossy tokenizer: it drops case, accents or line breaks, so per-byte numbers flatter it")
        if codec.lossy and self.generated:
            notes.append(f"{LOSSY}: the references went through its tokenizer, as its texts did")
        if self.unscored:
            notes.append("no bos or eos token: the first token of each text is not scored")
        if self.own_bos:
            notes.append("prompts bring their own first token (bos): none was put before it")
        if self.lowered:
            notes.append(
                f"{self.lowered.total()} generations had up to {max(self.lowered)} tokens fewer than asked for: "
                f"prompt and answer do not fit the window of {backend.model.window}"
            )
        notes += backend.notes()
        if self.unwilling:
            notes.append(
                f"on {self.unwilling} items the letters hold less than half of the first token's probability: the "
                "model would rather write something else"
            )
        if self.untaken:
            notes.append(f"in {self.untaken} texts no answer was found by the task's rule")
        if self.thought:
            notes.append(f"{self.thought} answers came behind a thought, which is not scored")
        left = self.failed
        for kind in (*ANSWERED, *AGAIN):  # of models behind an API: each a category of its own
            of_kind = Counter({error: count for error, count in left.items() if kind_of(error) == kind})
            if of_kind:
                first, count = next(iter(of_kind)), of_kind.total()
                left = left - of_kind
                if kind in AGAIN:
                    items = "1 item has" if count == 1 else f"{count} items have"
                    again = "the same command asks for them again"
                    notes.append(f"{items} no answer ({kind}); {again}; the first: {first}")
                else:
                    notes.append(f"{count} answers count as wrong ({kind}), the first: {first}")
        if left:
            notes.append(f"{left.total()} items failed, the first with: {next(iter(left))}")
        return notes


def on_failures(notes: Iterable[str]) -> list[str]:
    """Those of a result's notes that say of items why they have no outcome."""
    return [note for note in notes if " no answer (" in note or " items failed, " in note]


def versions() -> dict[str, str]:
    """Versions of Python and of the libraries that numbers depend on."""
    packages = ("torch", "transformers", "tokenizers", "datasets", "sacrebleu", "rouge-score", "numpy")
    found = {package: _version(package) for package in packages}
    return {"python": platform.python_version()} | {name: known for name, known in found.items() if known}


@cache
def _version(package: str) -> str:
    """Empty where it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


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

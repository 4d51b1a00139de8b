"""What a model takes (trees, caches, slots of ours) is found out by trial, and remembered from run to run.

The same files, libraries, code of ours and device give the same answer, so these are what it is remembered by. Only
what a trial has shown to hold is kept: what failed may have failed for want of memory, and is tried again.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Self

from gpteval.core.atomic import write_whole
from gpteval.core.types import digest
from gpteval.data.files import cache_root
from gpteval.models.loader import HFModel

FOLDER = "trials"
YES, NO = "yes", ""


class Trials:
    """Trials of one model. ``path``: the file that remembers them; None where each is made anew."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = path

    @classmethod
    def of(cls, model: HFModel) -> Self:
        """Those of a model whose weights are loaded: of its digest, on its device, as libraries here compute it.
        Weights that no file has, as of a model in training, will never come again.
        """
        import torch
        import transformers

        if not model.weights:
            return cls()
        if model.device.startswith("cuda"):
            device = torch.cuda.get_device_name(model.device)
        else:
            device = f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}"
        versions = (torch.__version__, transformers.__version__, _code())
        key = digest(model.key, model.place, model.attention, device, *versions)
        return cls(cache_root() / FOLDER / f"{key}.json")

    def holds(self, name: str, trial: Callable[[], bool]) -> bool:
        """Whether ``trial`` says yes, or has once said so."""
        return self.which(name, (YES,), lambda: YES if trial() else NO) == YES

    def which(self, name: str, ways: tuple[str, ...], trial: Callable[[], str]) -> str:
        """Which of the ``ways`` was found to be the model's, or NO."""
        known = self._known().get(name)
        if known in ways:
            return known
        if (found := trial()) and self.path:
            with suppress(OSError):  # a full disk costs the next run a trial
                self.path.parent.mkdir(parents=True, exist_ok=True)
                write_whole(self.path, json.dumps({**self._known(), name: found}, indent=1))
        return found

    def _known(self) -> dict[str, str]:
        if self.path is None:
            return {}
        try:
            found = json.loads(self.path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}


ANEW = Trials()


@cache
def _code() -> str:
    """A digest of what here computes and tries."""
    package = Path(__file__).parent.parent
    files = sorted(path for room in ("engine", "models", "tokens") for path in (package / room).glob("*.py"))
    return digest(*(path.read_text(encoding="utf-8") for path in files))

"""Which formats of logs are known: the package's own, and those of entry points ``gpteval.logs``."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from gpteval.core.plugins import Registry
from gpteval.logs.helm_log import Helm
from gpteval.logs.inspect_log import Inspect
from gpteval.logs.lighteval_log import Lighteval
from gpteval.logs.lm_eval_log import LmEval
from gpteval.logs.log import LogReader


@cache
def log_registry() -> Registry[LogReader]:
    """Every reader, by the harness' name."""
    return Registry("log", [LmEval(), Helm(), Inspect(), Lighteval()])


def reader_of(path: Path) -> tuple[LogReader, tuple[Path, ...]] | None:
    """What reads this file or folder, and which of its files are a log; None where it is none that is known."""
    for reader in log_registry().values():
        if files := reader.files(path):
            return reader, files
    return None

"""A run that ended well, and what it was made of: while nothing of that changes, the same command has nothing to do.

Kept beside the shared cache, not in the run's folder, which may be given to others: it names this machine's files.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from glob import glob, has_magic
from pathlib import Path
from typing import Any

import gpteval
from gpteval.core.atomic import write_whole
from gpteval.core.opened import FileStates, Opened, files_below, installed, state_of, unchanged
from gpteval.core.types import digest
from gpteval.data.files import cache_root
from gpteval.run.config import RunConfig
from gpteval.run.facts import on_failures
from gpteval.run.units import RunOutcome

PACKAGE = os.path.dirname(gpteval.__file__)
ASK_AGAIN = 24 * 3600  # seconds after which the Hub is asked anew whether its files have changed
_VARIABLES = ("GPTEVAL_", "HF_", "OPENAI_", "TRANSFORMERS_")


@dataclass(frozen=True)
class Said:
    """What the run said: of each result its line and facts, warnings, cost, number of models; and when."""

    results: Sequence[dict[str, Any]]
    warnings: Sequence[str]
    dollars: str
    models: int
    at: float = 0.0


def recall(config: RunConfig, *, report: bool) -> Said | None:
    """What the same command told when it ended well, if nothing has changed since."""
    if config.retry_failed or config.until_decided:
        return None
    try:
        kept = json.loads(_file(config).read_text(encoding="utf-8"))
        said = Said(**kept["said"])
        current = not kept["hub"] or 0 <= time.time() - said.at < ASK_AGAIN
        if current and kept["of"] == _of(config, report) and _is_as_it_was(kept):
            return said
    except (OSError, ValueError, LookupError, TypeError, AttributeError):  # none, or none that can be read
        pass
    return None


def is_whole(outcome: RunOutcome) -> bool:
    """Whether nothing is left to be tried again: no failure, and no item without an answer."""
    return not outcome.failures and not any(on_failures(result.notes) for result in outcome.results)


def keep(config: RunConfig, opened: Opened, said: Said, *, report: bool) -> None:
    """Keep that the run ended well; not where it could not be told later whether something has changed."""
    task_path = map(Path, filter(None, os.environ.get("GPTEVAL_TASK_PATH", "").split(os.pathsep)))
    named = [*config.task_dirs, *task_path, *map(Path, config.models), config.locked, Path(config.load.tokenizer)]
    whole = [
        PACKAGE,
        *(os.path.abspath(path) for one in named if one and (path := one.expanduser()) != Path() and path.exists()),
    ]
    read = opened.states(without=(str(config.folder), str(cache_root()), PACKAGE))
    if read is None:
        return
    own = [config.folder / name for name in ("results.json", "manifest.json", *["report.html"] * report)]
    own += (config.folder / "samples").glob("*")
    kept = {
        "said": asdict(replace(said, at=time.time())),
        "of": _of(config, report),
        "hub": _asks_the_hub(read),
        "read": read,
        "whole": {path: digest(files_below(path)) for path in whole},
        "own": {os.path.abspath(path): state_of(str(path)) for path in own},
    }
    with suppress(OSError):
        _file(config).parent.mkdir(parents=True, exist_ok=True)
        write_whole(_file(config), json.dumps(kept))


def _is_as_it_was(kept: Mapping[str, Any]) -> bool:
    return (
        all(state_of(path) == tuple(state) for path, state in kept["own"].items())
        and all(digest(files_below(path)) == before for path, before in kept["whole"].items())
        and unchanged(kept["read"])
    )


def _file(config: RunConfig) -> Path:
    """One for each folder: that of the last command."""
    return cache_root() / "finished" / f"{digest(os.path.abspath(config.folder))}.json"


def _of(config: RunConfig, report: bool) -> str:
    """Digest of the command, what its patterns mean, the libraries and the settings around it."""
    meant = [sorted(glob(os.path.expanduser(name))) for name in config.models if has_magic(name)]
    around = {name: value for name, value in os.environ.items() if name.startswith(_VARIABLES)}
    return digest(repr(replace(config, command="")), meant, report, os.getcwd(), sorted(around.items()), installed())


def _asks_the_hub(read: FileStates) -> bool:
    """Whether the run took files of the Hub that it may have newer ones of."""
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE"):
        return False
    marks = ("models--", "datasets--")
    return any(part.startswith(marks) for path in read for part in path.split(os.sep))

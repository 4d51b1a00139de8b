"""``gpteval finetune``: progress while it trains, and how to evaluate what comes out."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from gpteval.cli.console import say
from gpteval.cli.training import Shown
from gpteval.core.registry import select_tasks, task_registry
from gpteval.models.catalogue import resolve_models
from gpteval.models.loader import LoadOptions
from gpteval.tune.training import Settings, Told, tune


def finetune_command(
    model: str, task: str, settings: Settings, out: Path | None, device: str, task_dirs: Sequence[Path]
) -> None:
    """Tune, and print the folder; what to do with it goes to stderr. Raises GptevalError before any training."""
    (info,) = resolve_models([model])
    (chosen,) = select_tasks(task_registry(tuple(task_dirs)), [task])
    name = f"{info.name}-{chosen.label}-{settings.method}" + (f"-{settings.examples}" if settings.examples else "")
    folder = out or Path("runs/ft") / name.replace("/", "-").replace(":", "-")
    shown = Shown()
    about = tune(info, chosen, folder, settings, LoadOptions(device=device), Told(shown.stage, shown.step))
    print(folder)
    say(about.note, sys.stderr)
    say(f"evaluate it beside what it was: gpteval run --models {info.name},{folder} --tasks {chosen.label}", sys.stderr)

"""``gpteval finetune`` and ``gpteval prompt-or-tune``: progress while they train, and what comes out."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from gpteval.cli.console import say
from gpteval.cli.running import ConsoleListener, report_folder
from gpteval.cli.training_console import TrainingConsole
from gpteval.core.errors import UsageError
from gpteval.experiments.prompt_or_tune import FILE, Conditions, compare_prompting_and_tuning
from gpteval.models.catalogue import ModelInfo, resolve_models
from gpteval.models.loader import LoadOptions
from gpteval.tasks.registry import select_tasks, task_registry
from gpteval.tasks.task import Task
from gpteval.tune.settings import Settings
from gpteval.tune.training import tune


def _one_of_each(model: str, task: str, task_dirs: Sequence[Path]) -> tuple[ModelInfo, Task]:
    """The one model and the one task that are named. Raises UsageError where a name stands for several."""
    models, tasks = resolve_models([model]), select_tasks(task_registry(tuple(task_dirs)), [task])
    for option, name, found in (("model", model, models), ("task", task, tasks)):
        if len(found) != 1:
            raise UsageError(f"--{option} {name} stands for {len(found)} {option}s", "name one of them")
    return models[0], tasks[0]


def finetune_command(
    model: str,
    task: str,
    settings: Settings,
    out: Path | None,
    load: LoadOptions,
    task_dirs: Sequence[Path],
    track: Sequence[str] = (),
) -> None:
    """Tune, and print the folder; what to do with it goes to stderr. Raises GptevalError before any training."""
    info, chosen = _one_of_each(model, task, task_dirs)
    name = f"{info.name}-{chosen.label}-{settings.method}" + (f"-{settings.examples}" if settings.examples else "")
    folder = out or Path("runs/ft") / name.replace("/", "-").replace(":", "-")
    about = tune(info, chosen, folder, settings, load, TrainingConsole(), track)
    print(folder)
    say(about.note, sys.stderr)
    say(f"evaluate it beside what it was: gpteval run --models {info.name},{folder} --tasks {chosen.label}", sys.stderr)


def prompt_or_tune_command(
    model: str,
    task: str,
    asked: Conditions,
    settings: Settings,
    out: Path | None,
    load: LoadOptions,
    task_dirs: Sequence[Path],
) -> int:
    """Compare, print a line a method and what they say, and return the exit code."""
    info, chosen = _one_of_each(model, task, task_dirs)
    folder = out or Path("runs/protocols") / f"{info.name}-{chosen.label}".replace("/", "-").replace(":", "-")
    listener = ConsoleListener(as_json=True)
    try:
        found = compare_prompting_and_tuning(
            info, chosen, folder, asked, settings, load, TrainingConsole(), listener, tuple(task_dirs)
        )
    finally:
        listener.close()
    line = "{:<10} {:>8} {:>11} {:>6} {:>16} {:>8} {:>12} {:>7}".format
    say(line("method", "examples", "metric", "value", "interval", "seeds ±", "trained", "s"))
    for row in found.rows:
        interval = "" if row.ci_low is None or row.ci_high is None else f"[{row.ci_low:.3f}, {row.ci_high:.3f}]"
        spread = "" if row.spread is None else f"{row.spread:.3f}"
        counts = f"{row.trained:,}", f"{row.seconds:.0f}"
        say(line(row.method, f"{row.examples:,}", row.metric, f"{row.value:.3f}", interval, spread, *counts))
    for sentence in found.sentences:
        say(sentence)
    for failure in found.failures:
        say(f"failed: {failure}", sys.stderr)
    say(f"results: {folder / FILE}", sys.stderr)
    return report_folder(folder / "run", lambda text: say(text, sys.stderr)) or (1 if found.failures else 0)

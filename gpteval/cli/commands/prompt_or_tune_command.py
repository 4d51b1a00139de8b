"""``gpteval prompt-or-tune``: examples in the prompt and training on them, side by side."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gpteval.cli.completion import complete_models, complete_tasks
from gpteval.cli.console import document_only, say
from gpteval.cli.interrupts import resumable
from gpteval.cli.one import one_model, one_task
from gpteval.cli.option_groups import Told, Weights
from gpteval.cli.options import Epochs, Json, LearningRate, Limit, TaskDir, Tokenizer, names, numbers, sizes
from gpteval.cli.voice import is_plain, tell

if TYPE_CHECKING:
    from gpteval.experiments.prompt_or_tune import Protocols


def prompt_or_tune(
    model: Annotated[str, typer.Option(help="a model's name, Hub id or folder", autocompletion=complete_models)],
    task: Annotated[str, typer.Option(help="a task with choices and a training split", autocompletion=complete_tasks)],
    shots: Annotated[str, typer.Option(help="numbers of examples in the prompt")] = "0,1,5",
    methods: Annotated[str, typer.Option(help="of tuning: full, lora, prefix, adapter, head")] = "full,lora",
    examples: Annotated[str, typer.Option(help="numbers of examples to train on, and all")] = "8,32,128,512,all",
    seeds: Annotated[int, typer.Option(min=1, help="trainings for each of them, on other examples")] = 3,
    epochs: Epochs = 3,
    learning_rate: LearningRate = None,
    limit: Limit = None,
    out: Annotated[Path | None, typer.Option(help="a folder; default: one under runs/protocols/")] = None,
    task_dir: TaskDir = None,
    tokenizer: Tokenizer = "",
    as_json: Json = False,
    *,
    weights: Weights,
    told: Told,
) -> None:
    """Set examples in the prompt beside training on them.

    What each brings, side by side, over the number of examples.
    """
    from gpteval.cli.run_console import print_document, report_folder
    from gpteval.cli.run_listener import ConsoleListener
    from gpteval.cli.training_console import TrainingConsole
    from gpteval.experiments.prompt_or_tune import FILE, Conditions, compare_prompting_and_tuning
    from gpteval.tune.settings import Settings

    asked = Conditions(numbers(shots) or (), names(methods), sizes(examples), seeds, limit)
    settings = Settings(epochs=epochs, learning_rate=learning_rate)
    with resumable(), document_only(as_json):
        load = weights.load(tokenizer=tokenizer)
        info, chosen = one_model(model), one_task(task, task_dir or [])
        folder = out or Path("runs/protocols") / f"{info.name}-{chosen.label}".replace("/", "-").replace(":", "-")
        listener = ConsoleListener(as_json=True)
        try:
            found = compare_prompting_and_tuning(
                info, chosen, folder, asked, settings, load, TrainingConsole(), listener, tuple(task_dir or ())
            )
        finally:
            listener.close()
    if as_json:
        print_document(folder / FILE)
    elif is_plain():
        _print(found)
    for failure in found.failures:
        tell(f"failed: {failure}", "failure", error=str(failure))
    tell(f"results: {folder / FILE}", "results", path=str(folder / FILE))
    code = report_folder(folder / "run")
    raise typer.Exit(code or (1 if found.failures else 0))


def _print(found: Protocols) -> None:
    """Rows as a table, and the sentences."""
    line = "{:<10} {:>8} {:>11} {:>6} {:>16} {:>8} {:>12} {:>7}".format
    say(line("method", "examples", "metric", "value", "interval", "seeds ±", "trained", "s"))
    for row in found.rows:
        interval = "" if row.ci_low is None or row.ci_high is None else f"[{row.ci_low:.3f}, {row.ci_high:.3f}]"
        spread = "" if row.spread is None else f"{row.spread:.3f}" if row.spread else "none seen"
        counts = f"{row.trained:,}", f"{row.seconds:.0f}"
        say(line(row.method, f"{row.examples:,}", row.metric, f"{row.value:.3f}", interval, spread, *counts))
    say(
        "\nIntervals are 95 %, over items. 'seeds ±': the standard deviation between trainings on other examples; "
        "'trained': weights;\n's': seconds of a training.\n"
    )
    for sentence in found.sentences:
        say(sentence)

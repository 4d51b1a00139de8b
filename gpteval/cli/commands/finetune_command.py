"""``gpteval finetune``: a model tuned for a task."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from gpteval.cli.completion import complete_models, complete_tasks
from gpteval.cli.console import document_only, say
from gpteval.cli.interrupts import resumable
from gpteval.cli.one import one_model, one_task
from gpteval.cli.option_groups import Told, Weights
from gpteval.cli.options import Epochs, Json, LearningRate, TaskDir, Tokenizer, names
from gpteval.cli.voice import tell
from gpteval.core.strict import strict_json


def finetune(
    model: Annotated[str, typer.Option(help="a model's name, Hub id or folder", autocompletion=complete_models)],
    task: Annotated[str, typer.Option(help="a task with choices and a training split", autocompletion=complete_tasks)],
    method: Annotated[str, typer.Option(help="what is trained: full, lora, prefix, adapter or head")] = "full",
    examples: Annotated[int | None, typer.Option(help="to train on; default: all of the training split")] = None,
    epochs: Epochs = 3,
    learning_rate: LearningRate = None,
    batch_size: Annotated[int, typer.Option(help="items an update")] = 32,
    accumulate: Annotated[int, typer.Option(help="parts of a batch, computed one after the other")] = 1,
    weight: Annotated[
        float | None, typer.Option(help="of the auxiliary language-modelling loss; default: 0.5 for full, else 0")
    ] = None,
    dropout: Annotated[float, typer.Option(help="before the head, in training")] = 0.1,
    size: Annotated[
        int | None, typer.Option(help="of LoRA's matrices (4), the prefix (16 tokens), the adapters (32 numbers)")
    ] = None,
    patience: Annotated[int, typer.Option(help="epochs without a lower loss on validation examples, then stop")] = 1,
    cut: Annotated[bool, typer.Option("--cut", help="cut texts that are longer than the window")] = False,
    seed: Annotated[int, typer.Option(help="for the examples, the new weights and the order")] = 0,
    out: Annotated[Path | None, typer.Option(help="a new folder; default: one under runs/ft/")] = None,
    track: Annotated[str, typer.Option(help="also tell tensorboard or wandb (offline)")] = "",
    task_dir: TaskDir = None,
    tokenizer: Tokenizer = "",
    as_json: Json = False,
    *,
    weights: Weights,
    told: Told,
) -> None:
    """Tune a model for a task, with a head on its last state.

    As GPT-1 was evaluated; `run` evaluates the outcome.
    """
    from gpteval.cli.training_console import TrainingConsole
    from gpteval.tune.settings import Settings
    from gpteval.tune.training import tune

    settings = Settings(
        method=method,
        examples=examples,
        epochs=epochs,
        learning_rate=learning_rate,
        batch_size=batch_size,
        accumulate=accumulate,
        weight=weight,
        dropout=dropout,
        size=size,
        patience=patience,
        seed=seed,
        cut=cut,
    )
    with resumable(), document_only(as_json):
        load = weights.load(tokenizer=tokenizer)
        info, chosen = one_model(model), one_task(task, task_dir or [])
        name = f"{info.name}-{chosen.label}-{method}" + (f"-{examples}" if examples else "")
        folder = out or Path("runs/ft") / name.replace("/", "-").replace(":", "-")
        about = tune(info, chosen, folder, settings, load, TrainingConsole(), names(track))
    say(strict_json({"folder": str(folder)} | asdict(about), 1) if as_json else str(folder))
    tell(about.note)
    tell(about.outcome, "done")
    tell(f"evaluate it beside what it was: gpteval run --models {info.name},{folder} --tasks {chosen.label}")

"""``gpteval pretrain``: a model from nothing."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from gpteval.cli.console import resumable, say
from gpteval.cli.options import Device
from gpteval.core.errors import UsageError


def pretrain(
    recipe: Annotated[str | None, typer.Option(help="name of an embedded model, such as gpt2-nano")] = None,
    config: Annotated[Path | None, typer.Option(help="a TOML file with text and size of your own")] = None,
    out: Annotated[Path | None, typer.Option(help="the model's folder; default: runs/pretrain/NAME")] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="optimiser steps; default: the recipe's")] = None,
    max_minutes: Annotated[float | None, typer.Option(min=0.0, help="stop after this time")] = None,
    seed: Annotated[int, typer.Option(help="for data, weights and order")] = 0,
    device: Device = "auto",
    checkpoints: Annotated[
        int, typer.Option(min=0, help="models to keep on the way, each after twice the steps of the one before")
    ] = 0,
) -> None:
    """Train a small model from nothing.

    An embedded one on text that the project generates, or your own on your text.
    """
    from gpteval.cli.training_console import TrainingConsole
    from gpteval.nano.recipes import recipe_registry
    from gpteval.train.config_file import read_config
    from gpteval.train.pretrain import HELD_OUT
    from gpteval.train.pretrain import pretrain as trained

    if (recipe is None) == (config is None):
        raise UsageError("name one of --recipe and --config", "--recipe gpt2-nano, or --config FILE.toml of your own")
    with resumable():
        chosen = read_config(config) if config else recipe_registry()[str(recipe)]
        path = trained(
            chosen,
            out or Path("runs/pretrain") / chosen.name,
            steps=steps,
            max_minutes=max_minutes,
            seed=seed,
            device=device,
            checkpoints=checkpoints,
            progress=TrainingConsole(),
        )
    print(path)
    if checkpoints:
        say(f"its curve: gpteval run --models '{path}/step-*',nano --tasks nano", sys.stderr)
    if chosen.held_out:
        say(f"its perplexity: gpteval run --models {path} --tasks text:{path / HELD_OUT}", sys.stderr)

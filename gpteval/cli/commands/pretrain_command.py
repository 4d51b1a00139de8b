"""``gpteval pretrain``: a model from nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from gpteval.cli.console import document_only, say
from gpteval.cli.interrupts import resumable
from gpteval.cli.option_groups import Told
from gpteval.cli.options import Device, Json
from gpteval.cli.voice import tell
from gpteval.core.errors import UsageError
from gpteval.core.strict import strict_json


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
    as_json: Json = False,
    *,
    told: Told,
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
    with resumable(), document_only(as_json):
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
    facts = json.loads((path / "training.json").read_text(encoding="utf-8"))
    say(strict_json({"folder": str(path)} | facts, 1) if as_json else str(path))
    loss = f", loss {facts['loss'][-1][1]:.3f} nats a token" if facts["loss"] else ""
    tell(f"{facts['steps']} of {facts['planned_steps']} steps in {facts['seconds']:.0f} s{loss}", "done")
    if checkpoints:
        tell(f"its curve: gpteval run --models '{path}/step-*',nano --tasks nano")
    tasks = f"text:{path / HELD_OUT}" if chosen.held_out else "nano"
    tell(f"its scores: gpteval run --models {path} --tasks {tasks}")

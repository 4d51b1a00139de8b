"""Make: text, models, tuned models, converted ones."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gpteval.cli.completion import complete_models, complete_tasks
from gpteval.cli.console import resumable
from gpteval.cli.option_groups import Weights, WeightsAs
from gpteval.cli.options import Device, Epochs, Json, LearningRate, Limit, TaskDir, Tokenizer, names, numbers, sizes


def generate(
    model: Annotated[str, typer.Option(help="name, Hub id or local folder", autocompletion=complete_models)],
    prompt: Annotated[str, typer.Option(help="the text to continue")],
    n: Annotated[int, typer.Option("-n", min=1, help="how many continuations")] = 1,
    max_new_tokens: Annotated[int, typer.Option(min=1, help="tokens at most")] = 50,
    temperature: Annotated[
        float | None, typer.Option(min=0.0, help="0 is greedy; default: 1 when -n is above 1, else 0")
    ] = None,
    top_k: Annotated[int, typer.Option(min=0, help="draw from the k likeliest tokens; 0: from all")] = 0,
    stop: Annotated[list[str] | None, typer.Option(help="end at this text; may be repeated")] = None,
    seed: Annotated[int, typer.Option(help="for sampling")] = 0,
    tokenizer: Tokenizer = "",
    as_json: Json = False,
    *,
    weights: WeightsAs,
) -> None:
    """Continue a prompt."""
    from gpteval.cli.showing import show_generated
    from gpteval.tokens.queries import Sampling

    if temperature is None:
        temperature = 1.0 if n > 1 else 0.0
    sampling = Sampling(temperature, top_k, seed)
    load = weights.load(tokenizer=tokenizer)
    show_generated(model, prompt, n, max_new_tokens, tuple(stop or ()), sampling, load, as_json)


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
    """Train a model from nothing: an embedded one on text that the project generates, or your own on your text."""
    from gpteval.cli.pretraining import pretrain_command

    with resumable():
        pretrain_command(recipe, config, out, steps, max_minutes, seed, device, checkpoints)


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
    *,
    weights: Weights,
) -> None:
    """Tune a model for a task with a head on its last state, as GPT-1 was evaluated; `run` evaluates the outcome."""
    from gpteval.cli.finetuning import finetune_command
    from gpteval.tune.settings import Settings

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
    with resumable():
        load = weights.load(tokenizer=tokenizer)
        finetune_command(model, task, settings, out, load, task_dir or [], names(track))


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
    *,
    weights: Weights,
) -> None:
    """What examples in the prompt bring and what training on them brings, side by side, over the number of examples."""
    from gpteval.cli.finetuning import prompt_or_tune_command
    from gpteval.experiments.prompt_or_tune import Conditions
    from gpteval.tune.settings import Settings

    asked = Conditions(numbers(shots) or (), names(methods), sizes(examples), seeds, limit)
    with resumable():
        code = prompt_or_tune_command(
            *(model, task, asked, Settings(epochs=epochs, learning_rate=learning_rate), out),
            *(weights.load(tokenizer=tokenizer), task_dir or []),
        )
    raise typer.Exit(code)


def convert(
    checkpoint: Annotated[
        Path, typer.Argument(help="nanoGPT's ckpt.pt, llm.c's .bin, a .gguf file, or an adapter's folder")
    ],
    folder: Annotated[Path, typer.Argument(help="a new folder")],
    tokenizer: Tokenizer = "",
    *,
    weights: Weights,
) -> None:
    """Write another program's checkpoint as a folder of the Hub's format. `run --models` takes it also as it is."""
    from gpteval.models.foreign.convert import convert as convert_checkpoint
    from gpteval.models.library import Trust
    from gpteval.models.loader import open_base

    trust = Trust(weights.trust_remote_code, weights.allow_pickle)
    print(convert_checkpoint(checkpoint, folder, open_base, tokenizer or None, trust))

"""Check this machine: its speed, and what it has."""

from __future__ import annotations

from typing import Annotated

import typer

from gpteval.cli.completion import complete_models
from gpteval.cli.console import resumable
from gpteval.cli.option_groups import WeightsAs
from gpteval.cli.options import BatchTokens, Json, Tokenizer, batch_tokens_of


def bench(
    model: Annotated[str, typer.Option(help="a model's name, Hub id or folder", autocompletion=complete_models)],
    items: Annotated[int, typer.Option(min=1, help="items a workload")] = 32,
    rounds: Annotated[int, typer.Option(min=1, help="repetitions, of which the median is told")] = 3,
    batch_tokens: BatchTokens = "auto",
    tokenizer: Tokenizer = "",
    *,
    weights: WeightsAs,
) -> None:
    """Measure the engine's speed, and the share of what this machine could do. The last line is JSON."""
    from gpteval.cli.benching import bench_command

    with resumable():
        bench_command(model, items, rounds, batch_tokens_of(batch_tokens), weights.load(tokenizer=tokenizer))


def doctor(as_json: Json = False) -> None:
    """Check this machine: libraries, devices, cache, data, plugins."""
    from gpteval.cli.checkup import doctor_command

    raise typer.Exit(doctor_command(as_json))

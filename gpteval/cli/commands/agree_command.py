"""``gpteval agree``: whether two ways to run one model give the same numbers."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Annotated

import typer

from gpteval.cli.completion import complete_models, complete_tasks
from gpteval.cli.console import document_only, say
from gpteval.cli.interrupts import resumable
from gpteval.cli.one import one_model
from gpteval.cli.option_groups import Chats, Server, Told, WeightsAs
from gpteval.cli.options import Json, TaskDir, Tokenizer, task_names
from gpteval.cli.voice import tell


def agree(
    reference: Annotated[str, typer.Argument(metavar="REFERENCE", autocompletion=complete_models)],
    other: Annotated[str, typer.Argument(metavar="OTHER", autocompletion=complete_models)],
    tasks: Annotated[
        str, typer.Option(help="on whose items: choices, texts, whole texts; by commas", autocompletion=complete_tasks)
    ],
    limit: Annotated[int, typer.Option(min=1, help="items, of all tasks together")] = 32,
    shots: Annotated[int, typer.Option(min=0, help="examples in the prompt")] = 0,
    within: Annotated[
        float | None, typer.Option(min=0.0, help="exit 1 unless all is within so many nats a token")
    ] = None,
    reference_dtype: Annotated[str, typer.Option(help="of a reference that is loaded here")] = "float32",
    task_dir: TaskDir = None,
    tokenizer: Tokenizer = "",
    as_json: Json = False,
    *,
    weights: WeightsAs,
    chats: Chats,
    server: Server,
    told: Told,
) -> None:
    """Say whether two ways to run a model give the same numbers.

    Two precisions (--dtype is of OTHER), a GGUF file and its original, a server and the weights here: differences in
    nats a token, flips of the choice, texts that part, and how steady OTHER is, alone and among many.
    """
    from gpteval.backends.by_prefix import open_backend
    from gpteval.backends.opening import Computing, Opening
    from gpteval.backends.prices import Budget
    from gpteval.cli.agreement_console import show_agreement
    from gpteval.run.agreeing import CROWD, KEPT, agreement, questions
    from gpteval.tasks.registry import select_tasks, task_registry

    api = replace(server.options(tokenizer), in_flight=CROWD)
    budget = Budget(api.max_cost)
    computing = Computing(weights.load(tokenizer=tokenizer), top_logprobs=KEPT, chat=chats.options())
    precise = replace(computing, load=weights.load(tokenizer=tokenizer, dtype=reference_dtype))
    with resumable(), document_only(as_json):
        first, second = (one_model(name) for name in chats.models((reference, other)))
        ours = open_backend(first, Opening(precise, api, budget=budget))
        theirs = open_backend(second, Opening(computing, api, budget=budget))
        chosen = select_tasks(task_registry(tuple(task_dir or ())), task_names(tasks))
        asked = questions(chosen, (ours, theirs), items=limit, shots=shots)
        ours.load()
        theirs.load()
        found = agreement(ours, theirs, asked, tell)
    show_agreement(found, within, as_json)
    broken = found.broken(within) if within is not None else ""
    if broken:
        say(f"FAILED: not within {within:g}: {broken}", sys.stderr)
    raise typer.Exit(1 if broken else 0)

"""``gpteval fewshot``: scores by the number of examples in the prompt."""

from __future__ import annotations

from typing import Annotated

import typer

from gpteval.cli.completion import complete_tasks
from gpteval.cli.console import command_line, document_only
from gpteval.cli.interrupts import resumable
from gpteval.cli.option_groups import Kept, Told, WeightsAs
from gpteval.cli.options import (
    BatchTokens,
    Json,
    Limit,
    Models,
    Out,
    TaskDir,
    Templates,
    Tokenizer,
    batch_tokens_of,
    model_names,
    names,
    numbers,
    task_names,
)
from gpteval.core.errors import UsageError


def fewshot(
    models: Models,
    tasks: Annotated[
        str, typer.Option(help="names, families or suites; separated by commas", autocompletion=complete_tasks)
    ],
    shots: Annotated[str, typer.Option(help="numbers of examples")] = "0,1,2,4,8",
    seeds: Annotated[int, typer.Option(help="how many sets of examples")] = 5,
    templates: Templates = "default",
    controls: Annotated[
        str, typer.Option(help="random-labels: examples with answers at random; order: the same in other orders")
    ] = "",
    metric: Annotated[str, typer.Option(help="this one in the place of each task's own, where a task has it")] = "",
    limit: Limit = None,
    seed: Annotated[int, typer.Option(help="the first seed of the examples; for the subset and the bootstrap")] = 0,
    out: Out = None,
    batch_tokens: BatchTokens = "auto",
    shots_mode: Annotated[
        str, typer.Option(help="fixed: a seed is one set of examples for all items; per-item: each item draws its own")
    ] = "fixed",
    task_dir: TaskDir = None,
    tokenizer: Tokenizer = "",
    as_json: Json = False,
    *,
    weights: WeightsAs,
    kept: Kept,
    told: Told,
) -> None:
    """Say what examples in the prompt do to scores.

    Scores by the number of examples, over seeds and templates, with intervals. Stopped for whatever reason, the same
    command continues where it was.
    """
    from gpteval.cli.fewshot_console import experiment_and_tell
    from gpteval.cli.run_console import print_document
    from gpteval.experiments.fewshot import FILE
    from gpteval.run.config import RunConfig

    counts = numbers(shots)
    if counts is None or len(set(counts)) < 2:
        raise UsageError("--shots takes two numbers of examples or more, such as 0,1,2,4,8")
    config = RunConfig(
        models=model_names(models),
        tasks=task_names(tasks),
        shots=tuple(sorted(set(counts))),
        limit=limit,
        seed=seed,
        shots_mode=shots_mode,  # type: ignore[arg-type]  # checked by RunConfig
        templates=names(templates),
        seeds=seeds,
        controls=names(controls),
        batch_tokens=batch_tokens_of(batch_tokens),
        load=weights.load(tokenizer=tokenizer),
        task_dirs=tuple(task_dir or ()),
        out=out,
        cache=not kept.no_cache,
        command=command_line(),
    )
    with resumable(), document_only(as_json):
        code = experiment_and_tell(config, metric=metric, report=not kept.no_report, as_json=as_json)
    if as_json:
        print_document(config.folder / FILE)
    raise typer.Exit(code)

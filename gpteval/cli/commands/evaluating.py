"""Evaluate: run, its workers, how far it is, and examples in the prompt."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from gpteval.cli.completion import complete_models, complete_tasks
from gpteval.cli.console import command_line, document_only, resumable, say
from gpteval.cli.option_groups import Kept, Server, Weights, WeightsAs
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
)
from gpteval.core.errors import UsageError


def run(
    models: Models,
    tasks: Annotated[
        str,
        typer.Option(
            help="names, families, suites, text:FILE, or all (every real task); separated by commas",
            autocompletion=complete_tasks,
        ),
    ],
    shots: Annotated[
        str | None, typer.Option(help="examples in the prompt, e.g. 0,1,5; default: each task's own")
    ] = None,
    limit: Limit = None,
    seed: Annotated[int, typer.Option(help="for the subset and the examples")] = 0,
    out: Out = None,
    batch_tokens: BatchTokens = "auto",
    stride: Annotated[
        int | None, typer.Option(help="new tokens a window in perplexity; default: the whole window")
    ] = None,
    profile: Annotated[
        str,
        typer.Option(help="whose protocol: gpteval, lm-eval (lm-evaluation-harness), paper (GPT-2's, GPT-3's)"),
    ] = "gpteval",
    metrics: Annotated[
        str, typer.Option(help="further metrics for tasks that they can score: names of gpteval's, evaluate:NAME")
    ] = "",
    choices: Annotated[
        str,
        typer.Option("--choices", "--protocol", help="asked as text, by letters as chat models need it, or both ways"),
    ] = "text",
    executor: Annotated[
        str, typer.Option(help="inline, process, ray, or folder; auto is process with several GPUs")
    ] = "auto",
    workers: Annotated[
        int | None, typer.Option(min=1, help="processes or actors; default: one a GPU, or one a core up to 4")
    ] = None,
    worker_timeout: Annotated[float, typer.Option(help="seconds without a batch, then a worker is replaced")] = 1800.0,
    ray_address: Annotated[str, typer.Option(help="of a Ray cluster; default: one of this machine")] = "",
    shots_mode: Annotated[str, typer.Option(help="per-item examples, or one fixed set for all")] = "per-item",
    templates: Templates = "default",
    max_bad_rows: Annotated[
        float, typer.Option(help="share of a task's rows that may be left out because they give no prompt")
    ] = 0.01,
    locked: Annotated[
        Path | None, typer.Option(help="insist on the revisions in this file, which gpteval lock wrote")
    ] = None,
    task_dir: TaskDir = None,
    tokenizer: Tokenizer = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="say what would be asked and what it costs at most, and ask nothing")
    ] = False,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="only what failed before")] = False,
    until_decided: Annotated[
        str, typer.Option(help="two of the models: take no more of a task's items once they are told apart on it")
    ] = "",
    margin: Annotated[
        float, typer.Option(min=0.0, help="with --until-decided: points within which the two count as alike")
    ] = 0.0,
    as_json: Json = False,
    *,
    weights: WeightsAs,
    server: Server,
    kept: Kept,
) -> None:
    """Run models on tasks, and write results, samples and an HTML report.

    Stopped for whatever reason, the same command continues where it was.
    """
    from gpteval.cli.running import dry_command, print_results, run_command
    from gpteval.run.config import RunConfig

    config = RunConfig(
        models=model_names(models),
        tasks=names(tasks),
        shots=numbers(shots),
        limit=limit,
        seed=seed,
        shots_mode=shots_mode,  # type: ignore[arg-type]  # checked by RunConfig
        templates=names(templates),
        profile=profile,
        metrics=names(metrics),
        choices="text" if choices == "default" else choices,
        stride=stride,
        batch_tokens=batch_tokens_of(batch_tokens),
        max_bad_rows=max_bad_rows,
        locked=locked,
        load=weights.load(tokenizer=tokenizer),
        api=server.options(tokenizer),
        task_dirs=tuple(task_dir or ()),
        out=out,
        cache=not kept.no_cache,
        command=command_line(),
        executor=executor,
        workers=workers,
        worker_timeout=worker_timeout,
        ray_address=ray_address,
        retry_failed=retry_failed,
        until_decided=names(until_decided),
    )
    if dry_run:
        raise typer.Exit(dry_command(config, as_json))
    with resumable(), document_only(as_json):
        code = run_command(config, report=not kept.no_report, as_json=as_json, margin=margin)
    if as_json:
        print_results(config.folder)
    raise typer.Exit(code)


def worker(
    run: Annotated[Path, typer.Argument(help="the folder of a run with --executor folder")],
    wait: Annotated[float, typer.Option(min=0.0, help="seconds without work, then it leaves")] = 3600.0,
    *,
    weights: Weights,
) -> None:
    """Compute what a run hands out through its folder, on this or another machine, until it ends."""
    from gpteval.run.executors.folder_worker import work

    with resumable():
        done = work(run, weights.load(), wait=wait, tell=lambda text: say(text, sys.stderr))
    say(f"{done} parts were computed here", sys.stderr)


def status(run: Annotated[Path, typer.Argument(help="a run's folder")], as_json: Json = False) -> None:
    """How far a run is, and what failed and why."""
    from gpteval.cli.status import show_status

    show_status(run, as_json=as_json)


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
) -> None:
    """Say what examples in the prompt do: scores by their number, over seeds and templates, with intervals.

    Stopped for whatever reason, the same command continues where it was.
    """
    from gpteval.cli.fewshotting import fewshot_command, print_document
    from gpteval.run.config import RunConfig

    counts = numbers(shots)
    if counts is None or len(set(counts)) < 2:
        raise UsageError("--shots takes two numbers of examples or more, such as 0,1,2,4,8")
    config = RunConfig(
        models=model_names(models),
        tasks=names(tasks),
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
        code = fewshot_command(config, report=not kept.no_report, as_json=as_json)
    if as_json:
        print_document(config.folder)
    raise typer.Exit(code)


def plan(
    tasks: Annotated[str, typer.Option(help="task names, families or suites", autocompletion=complete_tasks)],
    effect: Annotated[float, typer.Option(help="the difference that matters, in points (of a ratio, percent)")] = 2.0,
    power: Annotated[float, typer.Option(help="the chance that it is then shown")] = 0.8,
    disagreement: Annotated[
        float | None, typer.Option(help="percent of items on which one of two models alone is right; assumed: 20")
    ] = None,
    run: Annotated[
        list[Path] | None, typer.Option(help="an earlier run whose models tell how far items differ, and the cost")
    ] = None,
    models: Annotated[
        str,
        typer.Option(
            help="known models whose published scores tell it; of an earlier run, only these",
            autocompletion=complete_models,
        ),
    ] = "",
    margin: Annotated[float, typer.Option(min=0.0, help="also the items that a gate of so many points needs")] = 0.0,
    task_dir: TaskDir = None,
    as_json: Json = False,
) -> None:
    """Say how many items show a difference of the size that matters, before any is run."""
    from gpteval.cli.planning import plan_command

    plan_command(tasks, effect, power, disagreement, run or (), models, margin, tuple(task_dir or ()), as_json)

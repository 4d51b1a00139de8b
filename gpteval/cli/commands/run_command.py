"""``gpteval run``: models on tasks, or with --dry-run what that would take."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gpteval.cli.completion import complete_tasks
from gpteval.cli.console import command_line, document_only, say
from gpteval.cli.interrupts import resumable
from gpteval.cli.option_groups import Agreed, Chats, Drawn, Kept, Server, Told, WeightsAs
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
from gpteval.core.strict import strict_json

if TYPE_CHECKING:
    from gpteval.run.config import RunConfig


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
        typer.Option(
            help="whose protocol: gpteval, lm-eval (lm-evaluation-harness), paper (GPT-2's, GPT-3's, GPT-4's)"
        ),
    ] = "gpteval",
    metrics: Annotated[
        str, typer.Option(help="further metrics for tasks that they can score: names of gpteval's, evaluate:NAME")
    ] = "",
    top_logprobs: Annotated[
        int, typer.Option(min=0, help="keep so many of the likeliest tokens at each place of a text, for compare --kl")
    ] = 0,
    choices: Annotated[
        str,
        typer.Option(help="asked as text, by letters, or both ways; auto: of chats by letters, of others as text"),
    ] = "auto",
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
    chats: Chats,
    drawn: Drawn,
    agreed: Agreed,
    server: Server,
    kept: Kept,
    told: Told,
) -> None:
    """Run models on tasks; write results and a report.

    Stopped for whatever reason, the same command continues where it was. More items (--limit), shots, tasks and models
    join a folder in place.
    """
    from gpteval.cli.run_console import print_document, run_and_tell
    from gpteval.run.config import RunConfig

    config = RunConfig(
        models=chats.models(model_names(models)),
        tasks=task_names(tasks),
        shots=numbers(shots),
        limit=limit,
        seed=seed,
        shots_mode=shots_mode,  # type: ignore[arg-type]  # checked by RunConfig
        templates=names(templates),
        profile=profile,
        metrics=names(metrics),
        top_logprobs=top_logprobs,
        choices=chats.choices("text" if choices == "default" else choices),
        chat=chats.options(),
        repeats=drawn.options(),
        agree=agreed.agree,
        agree_within=agreed.agree_within,
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
        raise typer.Exit(_foretell(config, as_json))
    with resumable(), document_only(as_json):
        code = run_and_tell(config, report=not kept.no_report, as_json=as_json, margin=margin)
    if as_json:
        print_document(config.folder / "results.json")
    raise typer.Exit(code)


def _foretell(config: RunConfig, as_json: bool) -> int:
    """Say what a run would take, and return the exit code."""
    from gpteval.cli.dry_console import document, print_estimates
    from gpteval.cli.run_console import exit_code, tell_failures
    from gpteval.cli.run_listener import Estimates
    from gpteval.run.runner import execute

    listener = Estimates(as_json)
    try:
        outcome = execute(replace(config, dry_run=True), listener)
    finally:
        listener.close()
    say(strict_json(document(listener.found), 1)) if as_json else print_estimates(listener.found, config)
    tell_failures(outcome.failures)
    return exit_code(outcome.failures)

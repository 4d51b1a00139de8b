"""The commands. Heavy libraries are imported by the command that needs them, so that --help is instant."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

import gpteval
from gpteval.cli.completion import complete_models, complete_task, complete_tasks
from gpteval.cli.console import INTERRUPTED, document_only, say
from gpteval.cli.options import (
    AllowPickle,
    BaseUrl,
    BatchTokens,
    Device,
    Dtype,
    HubTimeout,
    InFlight,
    Json,
    KeyFile,
    Limit,
    MaxCost,
    Models,
    NoCache,
    NoReport,
    Out,
    Prices,
    RemoteCode,
    TaskDir,
    Templates,
    Tokenizer,
    batch_tokens_of,
    model_names,
    names,
    numbers,
    sizes,
)
from gpteval.core.errors import UsageError
from gpteval.core.text import without_paths

app = typer.Typer(
    name="gpteval",
    help="Compare GPT generations on the same items, with error bars.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(show: bool) -> None:
    if show:
        print(gpteval.__version__)
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="print the version")
    ] = False,
) -> None:
    pass


@contextmanager
def _resumable() -> Iterator[None]:
    """Ends an interrupted command (Ctrl-C, SIGTERM) with exit code 130 and how to go on."""
    try:
        yield
    except KeyboardInterrupt:
        say("\ninterrupted; what is finished is saved: run the same command again to continue", sys.stderr)
        raise typer.Exit(INTERRUPTED) from None


@app.command()
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
    seed: Annotated[int, typer.Option(help="for the subset, the examples and the bootstrap")] = 0,
    out: Out = None,
    device: Device = "auto",
    dtype: Dtype = "auto",
    batch_tokens: BatchTokens = "auto",
    stride: Annotated[
        int | None, typer.Option(help="new tokens a window in perplexity; default: the whole window")
    ] = None,
    profile: Annotated[
        str,
        typer.Option(help="whose protocol: gpteval, lm-eval (lm-evaluation-harness), paper (GPT-2's, GPT-3's)"),
    ] = "gpteval",
    protocol: Annotated[
        str, typer.Option(help="choices as they are (default), by letter as chat models need it (letters), or both")
    ] = "default",
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
    allow_pickle: AllowPickle = False,
    trust_remote_code: RemoteCode = False,
    hub_timeout: HubTimeout = None,
    base_url: BaseUrl = "",
    tokenizer: Tokenizer = "",
    api_key_file: KeyFile = None,
    in_flight: InFlight = 16,
    max_cost: MaxCost = None,
    prices: Prices = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="say what would be asked and what it costs at most, and ask nothing")
    ] = False,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="only what failed before")] = False,
    no_cache: NoCache = False,
    no_report: NoReport = False,
    as_json: Json = False,
) -> None:
    """Run models on tasks, and write results, samples and an HTML report.

    Stopped for whatever reason, the same command continues where it was.
    """
    from gpteval.api.options import ApiOptions
    from gpteval.cli.running import dry_command, print_results, run_command
    from gpteval.models.loader import LoadOptions
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
        protocol=protocol,
        stride=stride,
        batch_tokens=batch_tokens_of(batch_tokens),
        max_bad_rows=max_bad_rows,
        locked=locked,
        load=LoadOptions(device, dtype, allow_pickle, trust_remote_code, tokenizer),
        api=ApiOptions(base_url, tokenizer, api_key_file, in_flight, max_cost, prices),
        task_dirs=tuple(task_dir or ()),
        out=out,
        cache=not no_cache,
        command=_command_line(),
        executor=executor,
        workers=workers,
        worker_timeout=worker_timeout,
        ray_address=ray_address,
        retry_failed=retry_failed,
    )
    if dry_run:
        raise typer.Exit(dry_command(config, as_json))
    with _resumable(), document_only(as_json):
        code = run_command(config, report=not no_report, as_json=as_json)
    if as_json:
        print_results(config.folder)
    raise typer.Exit(code)


@app.command()
def worker(
    run: Annotated[Path, typer.Argument(help="the folder of a run with --executor folder")],
    device: Device = "auto",
    wait: Annotated[float, typer.Option(min=0.0, help="seconds without work, then it leaves")] = 3600.0,
    allow_pickle: AllowPickle = False,
    trust_remote_code: RemoteCode = False,
) -> None:
    """Compute what a run hands out through its folder, on this or another machine, until it ends."""
    from gpteval.models.loader import LoadOptions
    from gpteval.run.worker import work

    load = LoadOptions(device, "auto", allow_pickle, trust_remote_code)
    with _resumable():
        done = work(run, load, wait=wait, tell=lambda text: say(text, sys.stderr))
    say(f"{done} parts were computed here", sys.stderr)


@app.command()
def status(run: Annotated[Path, typer.Argument(help="a run's folder")], as_json: Json = False) -> None:
    """How far a run is, and what failed and why."""
    from gpteval.cli.status import show_status

    show_status(run, as_json=as_json)


@app.command()
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
    device: Device = "auto",
    dtype: Dtype = "auto",
    batch_tokens: BatchTokens = "auto",
    shots_mode: Annotated[
        str, typer.Option(help="fixed: a seed is one set of examples for all items; per-item: each item draws its own")
    ] = "fixed",
    task_dir: TaskDir = None,
    allow_pickle: AllowPickle = False,
    trust_remote_code: RemoteCode = False,
    hub_timeout: HubTimeout = None,
    no_cache: NoCache = False,
    no_report: NoReport = False,
    as_json: Json = False,
) -> None:
    """Say what examples in the prompt do: scores by their number, over seeds and templates, with intervals.

    Stopped for whatever reason, the same command continues where it was.
    """
    from gpteval.cli.fewshotting import fewshot_command, print_document
    from gpteval.models.loader import LoadOptions
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
        load=LoadOptions(device, dtype, allow_pickle, trust_remote_code),
        task_dirs=tuple(task_dir or ()),
        out=out,
        cache=not no_cache,
        command=_command_line(),
    )
    with _resumable(), document_only(as_json):
        code = fewshot_command(config, report=not no_report, as_json=as_json)
    if as_json:
        print_document(config.folder)
    raise typer.Exit(code)


def _command_line() -> str:
    """The command as typed, paths relative to the working folder, of others their last part only."""
    import shlex

    return without_paths(shlex.join(["gpteval", *sys.argv[1:]]))


@app.command()
def models(as_json: Json = False) -> None:
    """List the known models: generation, size, window, release date, licence."""
    from gpteval.cli.listing import list_models

    list_models(as_json)


@app.command()
def tasks(
    name: Annotated[
        str | None,
        typer.Argument(help="a task, for all about it; a suite, for its tasks", autocompletion=complete_task),
    ] = None,
    task_dir: TaskDir = None,
    as_json: Json = False,
) -> None:
    """List the tasks, or show one: its source, metrics, first item, and published results."""
    if name:
        from gpteval.cli.taskpage import show_task

        show_task(name, tuple(task_dir or ()), as_json)
    else:
        from gpteval.cli.listing import list_tasks

        list_tasks(tuple(task_dir or ()), as_json)


@app.command()
def reference(
    model: Annotated[
        str | None, typer.Option(help="of this model: a name or Hub id", autocompletion=complete_models)
    ] = None,
    task: Annotated[str | None, typer.Option(help="on this task or group", autocompletion=complete_tasks)] = None,
    as_json: Json = False,
) -> None:
    """List published results with their sources; those on which sources disagree are marked."""
    from gpteval.cli.referencing import reference_command

    reference_command(model, task, as_json)


@app.command()
def lock(
    run: Annotated[Path, typer.Argument(help="the run's folder")],
    out: Annotated[Path, typer.Option(help="the file to write")] = Path("gpteval.lock"),
) -> None:
    """Write down the revisions of models and data that a run used, for run --locked to insist on."""
    from gpteval.run.lock import write_lock

    say(f"{write_lock(run, out)} models and tasks are locked in {out}; insist on them with: gpteval run --locked {out}")


@app.command()
def show(
    task: Annotated[str, typer.Argument(help="the task's name", autocompletion=complete_task)],
    shots: Annotated[int, typer.Option(help="examples in the prompt")] = 0,
    model: Annotated[
        str | None, typer.Option(help="also show the tokens of this model's tokenizer", autocompletion=complete_models)
    ] = None,
    item: Annotated[str | None, typer.Option(help="the item's id; default: the first")] = None,
    seed: Annotated[int, typer.Option(help="for drawing the examples")] = 0,
    template: Annotated[str, typer.Option(help="which of the task's prompts")] = "default",
    shots_mode: Annotated[str, typer.Option(help="per-item examples, or one fixed set for all")] = "per-item",
    control: Annotated[str, typer.Option(help="the examples with random-labels, or in another order: order-1")] = "",
    task_dir: TaskDir = None,
) -> None:
    """Show the exact prompt of an item, and its tokens."""
    from gpteval.cli.showing import show_prompt

    show_prompt(task, shots, model, item, seed, template, shots_mode, control, tuple(task_dir or ()))


@app.command()
def samples(
    run: Annotated[Path, typer.Argument(help="the run's folder")],
    model: Annotated[str, typer.Option(help="the model's name")],
    task: Annotated[str, typer.Option(help="the task's name")],
    shots: Annotated[int | None, typer.Option(help="which number of examples, when there are several")] = None,
    limit: Annotated[int | None, typer.Option(help="at most this many")] = None,
    jsonl: Annotated[bool, typer.Option("--jsonl", help="one JSON object a line")] = False,
) -> None:
    """Print a run's records: prompts, choices, log-probs, generated text, metrics."""
    from gpteval.cli.showing import show_samples

    show_samples(run, model, task, shots, limit, jsonl)


@app.command()
def compare(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="folders of runs; later ones win")],
    baseline: Annotated[str | None, typer.Option(help="compare every other model with this one; default: all")] = None,
    metric: Annotated[str | None, typer.Option(help="this metric instead of each task's primary one")] = None,
    common_items: Annotated[
        bool, typer.Option("--common-items", help="over the items that neither model had to cut for its window")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="also where prompts or data differ")] = False,
    format: Annotated[str, typer.Option(help="text, md, csv, latex or json")] = "text",
    gate: Annotated[
        list[str] | None, typer.Option(help="exit 1 unless 'TASK>=VALUE' (or TASK@SHOTS, <=); may be repeated")
    ] = None,
    no_worse_than: Annotated[
        str | None, typer.Option(help="exit 1 unless the 95 % interval of every difference to this model is fine")
    ] = None,
    margin: Annotated[float, typer.Option(min=0.0, help="points (of a ratio, percent) that are fine to lose")] = 0.0,
    seed: Annotated[int, typer.Option(min=0, help="for resamples and permutations")] = 0,
) -> None:
    """Say how models and generations differ on the same items, and whether that is more than noise."""
    from gpteval.cli.comparing import compare_command

    options = baseline, metric, common_items, force, format, gate or (), no_worse_than, margin, seed
    raise typer.Exit(compare_command(runs, *options))


@app.command()
def place(
    target: Annotated[list[str], typer.Argument(metavar="MODEL|RUN...", help="one model, or folders of runs")],
    model: Annotated[str | None, typer.Option(help="of a run: this one instead of those of your own")] = None,
    against: Annotated[
        str,
        typer.Option(
            help="of a model: known ones to run beside it, such as nano or gpt2", autocompletion=complete_models
        ),
    ] = "",
    tasks: Annotated[
        str | None,
        typer.Option(
            help="of a model: what to run; default: eight much published tasks", autocompletion=complete_tasks
        ),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="of a model: items a task")] = 200,
    out: Out = None,
    device: Device = "auto",
    dtype: Dtype = "auto",
    tokenizer: Tokenizer = "",
    as_json: Json = False,
) -> None:
    """Say where your model stands between the known generations, by pairs, or by published numbers."""
    from gpteval.cli.placing import place_command, run_for_placing
    from gpteval.models.loader import LoadOptions

    with _resumable(), document_only(as_json):
        runs, code = run_for_placing(
            target, against, tasks, limit, out, LoadOptions(device, dtype, tokenizer=tokenizer), _command_line()
        )
    place_command(runs, model, as_json)
    raise typer.Exit(code)


@app.command()
def report(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="folders of runs; later ones win")],
    out: Annotated[
        Path | None, typer.Option(help="the HTML file; default: report.html in the first run's folder")
    ] = None,
    kind: Annotated[str, typer.Option(help="a folder of reports/")] = "leaderboard",
) -> None:
    """Make one HTML file of one or more runs."""
    from gpteval.report import build_report

    say(str(build_report(runs, out or runs[0] / "report.html", kind=kind)))


@app.command()
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
    device: Device = "auto",
    dtype: Dtype = "auto",
    allow_pickle: AllowPickle = False,
    trust_remote_code: RemoteCode = False,
    hub_timeout: HubTimeout = None,
    as_json: Json = False,
) -> None:
    """Continue a prompt."""
    from gpteval.cli.showing import show_generated
    from gpteval.engine.rows import Sampling
    from gpteval.models.loader import LoadOptions

    if temperature is None:
        temperature = 1.0 if n > 1 else 0.0
    load = LoadOptions(device, dtype, allow_pickle, trust_remote_code)
    show_generated(
        model, prompt, n, max_new_tokens, tuple(stop or ()), Sampling(temperature, top_k, seed), load, as_json
    )


@app.command()
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
    from gpteval.cli.training import pretrain_command

    with _resumable():
        pretrain_command(recipe, config, out, steps, max_minutes, seed, device, checkpoints)


@app.command()
def finetune(
    model: Annotated[str, typer.Option(help="a model's name, Hub id or folder", autocompletion=complete_models)],
    task: Annotated[str, typer.Option(help="a task with choices and a training split", autocompletion=complete_tasks)],
    method: Annotated[str, typer.Option(help="what is trained: full, lora, prefix, adapter or head")] = "full",
    examples: Annotated[int | None, typer.Option(help="to train on; default: all of the training split")] = None,
    epochs: Annotated[int, typer.Option(help="passes over the examples")] = 3,
    learning_rate: Annotated[float | None, typer.Option(help="default: 6.25e-5 for full, more for others")] = None,
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
    device: Device = "auto",
    task_dir: TaskDir = None,
    allow_pickle: AllowPickle = False,
    trust_remote_code: RemoteCode = False,
) -> None:
    """Tune a model for a task with a head on its last state, as GPT-1 was evaluated; `run` evaluates the outcome."""
    from gpteval.cli.finetuning import finetune_command
    from gpteval.models.loader import LoadOptions
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
    with _resumable():
        load = LoadOptions(device, "auto", allow_pickle, trust_remote_code)
        finetune_command(model, task, settings, out, load, task_dir or [], names(track))


@app.command()
def protocols(
    model: Annotated[str, typer.Option(help="a model's name, Hub id or folder", autocompletion=complete_models)],
    task: Annotated[str, typer.Option(help="a task with choices and a training split", autocompletion=complete_tasks)],
    shots: Annotated[str, typer.Option(help="numbers of examples in the prompt")] = "0,1,5",
    methods: Annotated[str, typer.Option(help="of tuning: full, lora, prefix, adapter, head")] = "full,lora",
    examples: Annotated[str, typer.Option(help="numbers of examples to train on, and all")] = "8,32,128,512,all",
    seeds: Annotated[int, typer.Option(min=1, help="trainings for each of them, on other examples")] = 3,
    epochs: Annotated[int, typer.Option(help="passes over the examples; few are passed over more often")] = 3,
    learning_rate: Annotated[float | None, typer.Option(help="default: each method's own")] = None,
    limit: Limit = None,
    out: Annotated[Path | None, typer.Option(help="a folder; default: one under runs/protocols/")] = None,
    device: Device = "auto",
    task_dir: TaskDir = None,
) -> None:
    """What examples in the prompt bring and what training on them brings, side by side, over the number of examples."""
    from gpteval.cli.finetuning import protocols_command
    from gpteval.experiments.protocols import Asked
    from gpteval.tune.settings import Settings

    asked = Asked(numbers(shots) or (), names(methods), sizes(examples), seeds, limit)
    with _resumable():
        code = protocols_command(
            model, task, asked, Settings(epochs=epochs, learning_rate=learning_rate), out, device, task_dir or []
        )
    raise typer.Exit(code)


@app.command()
def convert(
    checkpoint: Annotated[
        Path, typer.Argument(help="nanoGPT's ckpt.pt, llm.c's .bin, a .gguf file, or an adapter's folder")
    ],
    folder: Annotated[Path, typer.Argument(help="a new folder")],
    tokenizer: Annotated[
        str | None, typer.Option(help="a folder or Hub id; default: files beside the checkpoint, or GPT-2's")
    ] = None,
) -> None:
    """Write another program's checkpoint as a folder of the Hub's format. `run --models` takes it also as it is."""
    from gpteval.models.foreign import convert as convert_checkpoint

    print(convert_checkpoint(checkpoint, folder, tokenizer))


@app.command()
def bench(
    model: Annotated[str, typer.Option(help="a model's name, Hub id or folder", autocompletion=complete_models)],
    items: Annotated[int, typer.Option(min=1, help="items a workload")] = 32,
    rounds: Annotated[int, typer.Option(min=1, help="repetitions, of which the median is told")] = 3,
    batch_tokens: Annotated[int | None, typer.Option(min=1, help="tokens a batch; default: by free memory")] = None,
    device: Device = "auto",
    dtype: Dtype = "auto",
    allow_pickle: AllowPickle = False,
    trust_remote_code: RemoteCode = False,
    hub_timeout: HubTimeout = None,
) -> None:
    """Measure the engine's speed, and the share of what this machine could do. The last line is JSON."""
    from gpteval.cli.benching import bench_command
    from gpteval.models.loader import LoadOptions

    with _resumable():
        bench_command(model, items, rounds, batch_tokens, LoadOptions(device, dtype, allow_pickle, trust_remote_code))


@app.command()
def doctor(as_json: Json = False) -> None:
    """Check this machine: libraries, devices, cache, data, plugins."""
    from gpteval.cli.checkup import doctor_command

    raise typer.Exit(doctor_command(as_json))

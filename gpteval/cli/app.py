"""The program: its commands, in the order in which --help lists them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import typer

import gpteval
from gpteval.cli.commands.checking import bench, doctor
from gpteval.cli.commands.concluding import compare, place, report
from gpteval.cli.commands.evaluating import fewshot, plan, run, status, worker
from gpteval.cli.commands.looking import lock, models, reference, samples, show, tasks
from gpteval.cli.commands.making import convert, finetune, generate, pretrain, prompt_or_tune
from gpteval.cli.console import interruptible
from gpteval.cli.option_groups import grouped

app = typer.Typer(
    name="gpteval",
    help="Compare GPT generations on the same items, with error bars.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
COMMANDS: list[Callable[..., None]] = [
    *(plan, run, worker, status, fewshot),
    *(models, tasks, reference, lock, show, samples),
    *(compare, place, report),
    *(generate, pretrain, finetune, prompt_or_tune, convert),
    *(bench, doctor),
]
for command in COMMANDS:
    app.command()(interruptible(grouped(command)))
app.command("protocols", hidden=True)(interruptible(grouped(prompt_or_tune)))  # its name before, for this version


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

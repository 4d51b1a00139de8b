"""The program: its commands, in the order in which --help lists them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

import gpteval
from gpteval.cli.commands.bench_command import bench
from gpteval.cli.commands.compare_command import compare
from gpteval.cli.commands.convert_command import convert
from gpteval.cli.commands.doctor_command import doctor
from gpteval.cli.commands.fewshot_command import fewshot
from gpteval.cli.commands.finetune_command import finetune
from gpteval.cli.commands.generate_command import generate
from gpteval.cli.commands.lock_command import lock
from gpteval.cli.commands.models_command import models
from gpteval.cli.commands.place_command import place
from gpteval.cli.commands.plan_command import plan
from gpteval.cli.commands.pretrain_command import pretrain
from gpteval.cli.commands.prompt_or_tune_command import prompt_or_tune
from gpteval.cli.commands.reference_command import reference
from gpteval.cli.commands.report_command import report
from gpteval.cli.commands.run_command import run
from gpteval.cli.commands.samples_command import samples
from gpteval.cli.commands.show_command import show
from gpteval.cli.commands.status_command import status
from gpteval.cli.commands.table_command import table
from gpteval.cli.commands.tasks_command import tasks
from gpteval.cli.commands.view_command import view
from gpteval.cli.commands.worker_command import worker
from gpteval.cli.console import interruptible
from gpteval.cli.option_groups import grouped

GROUPS: dict[str, list[Callable[..., None]]] = {
    "Evaluate": [run, status, worker, fewshot, prompt_or_tune, plan],
    "Look": [table, samples, report, view, show],
    "Compare": [compare, place, reference],
    "Train": [finetune, pretrain, convert, generate],
    "Help": [models, tasks, lock, bench, doctor],
}


class _Grouped(TyperGroup):
    """Lists its commands by what they are for."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        longest = max(len(name) for name in self.list_commands(ctx))
        for title, members in GROUPS.items():
            names = [member.__name__.replace("_", "-") for member in members]
            found = [(name, command) for name in names if (command := self.get_command(ctx, name)) is not None]
            with formatter.section(title):
                texts = [(f"{name:<{longest}}", command.get_short_help_str(formatter.width)) for name, command in found]
                formatter.write_dl(texts)


app = typer.Typer(
    name="gpteval",
    cls=_Grouped,
    help="Compare GPT generations on the same items, with error bars.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (command for members in GROUPS.values() for command in members):
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


program = typer.main.get_command(app)  # made once, where several command lines are run in a process

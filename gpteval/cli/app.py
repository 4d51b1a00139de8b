"""The program: its commands, in the order in which --help lists them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from inspect import cleandoc
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.completion import install_callback, show_callback
from typer.core import TyperGroup
from typer.main import get_command, get_command_from_info
from typer.models import CommandInfo

import gpteval
from gpteval.cli.commands.agree_command import agree
from gpteval.cli.commands.bench_command import bench
from gpteval.cli.commands.compare_command import compare
from gpteval.cli.commands.convert_command import convert
from gpteval.cli.commands.doctor_command import doctor
from gpteval.cli.commands.fewshot_command import fewshot
from gpteval.cli.commands.finetune_command import finetune
from gpteval.cli.commands.generate_command import generate
from gpteval.cli.commands.import_command import import_
from gpteval.cli.commands.lock_command import lock
from gpteval.cli.commands.models_command import models
from gpteval.cli.commands.place_command import place
from gpteval.cli.commands.plan_command import plan
from gpteval.cli.commands.pretrain_command import pretrain
from gpteval.cli.commands.prompt_or_tune_command import prompt_or_tune
from gpteval.cli.commands.reference_command import reference
from gpteval.cli.commands.report_command import report
from gpteval.cli.commands.rescore_command import rescore
from gpteval.cli.commands.run_command import run
from gpteval.cli.commands.samples_command import samples
from gpteval.cli.commands.show_command import show
from gpteval.cli.commands.status_command import status
from gpteval.cli.commands.table_command import table
from gpteval.cli.commands.tasks_command import tasks
from gpteval.cli.commands.view_command import view
from gpteval.cli.commands.worker_command import worker
from gpteval.cli.interrupts import interruptible
from gpteval.cli.option_groups import grouped
from gpteval.core.errors import UnknownNameError

GROUPS: dict[str, list[Callable[..., None]]] = {
    "Evaluate": [run, status, worker, fewshot, prompt_or_tune, plan, rescore, import_],
    "Look": [table, samples, report, view, show],
    "Compare": [compare, place, agree, reference],
    "Train": [finetune, pretrain, convert, generate],
    "Help": [models, tasks, lock, bench, doctor],
}


SHELLS = ("bash", "zsh", "fish", "powershell", "pwsh")
BEFORE = "protocols"  # the name of prompt-or-tune in the version before; it still works


def _install_completion(ctx: Any, param: Any, shell: Any) -> Any:
    """As typer does; and zsh, which then only loads what completes when it is first asked, asks that at once."""
    try:
        return install_callback(ctx, param, shell)
    finally:
        file = Path.home() / ".zfunc" / "_gpteval"
        if shell and file.is_file() and "funcstack" not in (text := file.read_text(encoding="utf-8")):
            file.write_text(f'{text}\n\n[[ $funcstack[1] = _gpteval ]] && _gpteval_completion "$@"\n', encoding="utf-8")


FOR_SHELLS: dict[str, Callable[[Any, Any, Any], Any]] = {
    "--install-completion": _install_completion,
    "--show-completion": show_callback,
}


class _Grouped(TyperGroup):
    """Lists its commands by what they are for."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """A shell may be named behind what has to do with its completion."""
        if len(args) == 2 and (action := FOR_SHELLS.get(args[0])):
            if args[1] not in SHELLS:
                raise UnknownNameError("shell", args[1], SHELLS, f"one of {', '.join(SHELLS)}")
            action(ctx, None, args[1])
        return super().parse_args(ctx, args)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        longest = max(map(len, self.commands))
        for title, members in GROUPS.items():
            with formatter.section(title):
                formatter.write_dl([(f"{name_of(member):<{longest}}", first_sentence(member)) for member in members])


def name_of(command: Callable[..., None]) -> str:
    """As it is typed."""
    return command.__name__.strip("_").replace("_", "-")


def first_sentence(command: Callable[..., None]) -> str:
    """Of what it says about itself."""
    return " ".join(cleandoc(command.__doc__ or "").split()).partition(". ")[0].removesuffix(".") + "."


class _Commands(Mapping[str, Any]):
    """Each made when it is asked for: to make them all takes a tenth of a second."""

    def __init__(self) -> None:
        self.known = {name_of(member): member for members in GROUPS.values() for member in members}
        self.made: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self.made:
            hidden = name == BEFORE
            function = self.known[name_of(prompt_or_tune) if hidden else name]
            info = CommandInfo(name, callback=interruptible(grouped(function)), hidden=hidden)
            self.made[name] = get_command_from_info(info, pretty_exceptions_short=False, rich_markup_mode=None)
        return self.made[name]

    def __iter__(self) -> Iterator[str]:
        return iter((*self.known, BEFORE))

    def __len__(self) -> int:
        return len(self.known) + 1


def _version(show: bool) -> None:
    if show:
        print(gpteval.__version__)
        raise typer.Exit


def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="print the version")
    ] = False,
) -> None:
    pass


def _program() -> Any:
    app = typer.Typer(
        name="gpteval",
        cls=_Grouped,
        help="Compare GPT generations on the same items, with error bars.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
        callback=_root,
    )
    made: Any = get_command(app)
    for one in made.params:
        if action := FOR_SHELLS.get(one.opts[0]):
            one.callback = action
            one.help = f"{one.help.removesuffix('.')}, or for the one named behind it."
    made.commands = _Commands()
    return made


program = _program()  # made once, where several command lines are run in a process

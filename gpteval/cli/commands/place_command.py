"""``gpteval place``: where a model of one's own stands between the known generations."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gpteval.cli.completion import complete_models, complete_tasks
from gpteval.cli.console import command_line, document_only, say, say_folded
from gpteval.cli.interrupts import resumable
from gpteval.cli.option_groups import Told, WeightsAs
from gpteval.cli.options import Json, Out, TaskDir, Tokenizer, names
from gpteval.core.errors import UsageError
from gpteval.core.show import number, p_value, points
from gpteval.core.strict import strict_json

if TYPE_CHECKING:
    from gpteval.comparison.place import Neighbour, OnTask, Placement

MOST = 4  # names in a cell of the table of tasks
TASKS = "lambada_openai,hellaswag,piqa,arc_easy,arc_challenge,openbookqa,winogrande,sciq"  # most is published of these


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
    task_dir: TaskDir = None,
    tokenizer: Tokenizer = "",
    as_json: Json = False,
    *,
    weights: WeightsAs,
    told: Told,
) -> None:
    """Say where your model stands between known ones.

    Between the known generations, by pairs, or by published numbers.
    """
    from gpteval.cli.run_console import run_and_tell
    from gpteval.run.config import RunConfig
    from gpteval.store.logged import is_run

    runs, code = [Path(name) for name in target if is_run(Path(name))], 0
    if len(runs) != len(target):
        if len(target) > 1:
            raise UsageError(
                f"{next(n for n in target if Path(n) not in runs)} is not the folder of a run",
                "name one model, or the folders of runs",
            )
        with resumable(), document_only(as_json):
            config = RunConfig(
                models=(*target, *names(against)),
                tasks=names(tasks or TASKS),
                limit=limit,
                load=weights.load(tokenizer=tokenizer),
                task_dirs=tuple(task_dir or ()),
                out=out,
                command=command_line(),
            )
            code = run_and_tell(config, report=False, as_json=True)
        runs = [config.folder]
    _print_places(runs, model, as_json)
    raise typer.Exit(code)


def _print_places(runs: Sequence[Path], model: str | None, as_json: bool) -> None:
    """Print where the runs' own models stand."""
    from gpteval.comparison.place import place as placed
    from gpteval.models.catalogue import model_registry

    known = {name.lower() for info in model_registry().values() for name in (info.name, info.location, *info.aliases)}
    placements = placed(runs, known, model)
    if as_json:
        say(strict_json([_document(one) for one in placements], 1))
        return
    for number_, placement in enumerate(placements):
        if number_:
            say("")
        _print(placement)
    if any(rival.indirect for placement in placements for rival in placement.rivals):
        say_folded(
            "Published: the other side's number is as printed, not measured here on the same items: an indirect "
            "comparison, for which both numbers are given the error of the measured one."
        )
    say_folded("In brackets: how many of them are more than noise (p below 0.05, adjusted for all of them).")


def _document(placement: Placement) -> dict[str, object]:
    from gpteval.comparison.results import as_dict

    below, above = placement.neighbours()
    nearest = {"below": below and below.name, "above": above and above.name}
    rivals = [
        as_dict(rival) | {"indirect": rival.indirect, "ahead": rival.ahead, "behind": rival.behind, "side": rival.side}
        for rival in placement.rivals
    ]
    said = {"model": placement.model, "sentence": placement.sentence, "notes": placement.notes}
    return said | {"between": nearest, "rivals": rivals}


def _print(placement: Placement) -> None:
    from gpteval.cli.rich_tables import add_row, show_table, table_of

    say_folded(placement.sentence)
    for note in placement.notes:
        say_folded(f"{note}.")
    say("")
    table = table_of(
        "against", "generation", "how", "tasks", "ahead on", "behind on", "mean of right and wrong answers"
    )
    for rival in placement.rivals:
        how = "published" if rival.indirect else "paired"
        wins, losses = (_counted(rival, side) for side in (1, -1))
        add_row(table, rival.name, rival.generation, how, str(len(rival.meetings)), wins, losses, _overall(rival))
    show_table(table)
    say("")
    table = table_of("task", "metric", placement.model, "ahead of", "not told apart from", "behind")
    meetings: dict[tuple[str, int], list[tuple[str, OnTask]]] = {}
    for rival in placement.rivals:
        for meeting in rival.meetings:
            meetings.setdefault((meeting.task, meeting.shots), []).append((rival.name, meeting))
    for several in meetings.values():
        (_, first), *_ = several
        sides = [[n for n, m in several if (m.side if m.sure else 0) == side] for side in (1, 0, -1)]
        add_row(table, first.label, first.metric, number(first.own), *map(_names, sides))
    show_table(table)
    say("")


def _counted(rival: Neighbour, side: int) -> str:
    ours = [meeting for meeting in rival.meetings if meeting.side == side]
    return f"{len(ours)} ({sum(meeting.sure for meeting in ours)})"


def _overall(rival: Neighbour) -> str:
    """The mean of centred scores, this model's minus the other's."""
    if rival.overall is None:
        return ""
    pair = rival.overall
    if math.isnan(pair.p_adjusted):
        return pair.verdict
    interval = f"{points(-pair.high)} to {points(-pair.low)}"
    return f"{points(-pair.figure.effect)} points ({interval}), p {p_value(pair.p_adjusted)}"


def _names(names: Sequence[str]) -> str:
    return ", ".join(names) if len(names) <= MOST else f"{len(names)} models"

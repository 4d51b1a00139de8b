"""``gpteval place``: where a model of one's own stands between the known generations."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from gpteval.cli.console import say
from gpteval.cli.listing import add_row, show_table, table_of
from gpteval.cli.options import names
from gpteval.comparison.place import Neighbour, OnTask, Placement, place
from gpteval.comparison.results import as_dict
from gpteval.core.errors import UsageError
from gpteval.core.show import number, p_value, points
from gpteval.core.strict import strict_json
from gpteval.core.text import one_line
from gpteval.models.catalogue import model_registry
from gpteval.models.loader import LoadOptions

MOST = 4  # names in a cell of the table of tasks
TASKS = "lambada_openai,hellaswag,piqa,arc_easy,arc_challenge,openbookqa,winogrande,sciq"  # most is published of these


def run_for_placing(
    target: Sequence[str],
    against: str,
    tasks: str | None,
    limit: int,
    out: Path | None,
    load: LoadOptions,
    task_dirs: Sequence[Path],
    command: str,
) -> tuple[list[Path], int]:
    """The runs that ``target`` names; for a model, a run of it and of those it is to stand beside. The exit code."""
    from gpteval.cli.running import run_command
    from gpteval.run.config import RunConfig

    runs = [Path(name) for name in target if (Path(name) / "results.json").is_file()]
    if runs and len(runs) == len(target):
        return runs, 0
    if len(target) > 1:
        raise UsageError(
            f"{next(n for n in target if Path(n) not in runs)} is not the folder of a run",
            "name one model, or the folders of runs",
        )
    config = RunConfig(
        models=(*target, *names(against)),
        tasks=names(tasks or TASKS),
        limit=limit,
        load=load,
        task_dirs=tuple(task_dirs),
        out=out,
        command=command,
    )
    code = run_command(config, report=False, as_json=True)
    return [config.folder], code


def place_command(runs: Sequence[Path], model: str | None, as_json: bool) -> None:
    """Print where the runs' own models stand."""
    known = {name.lower() for info in model_registry().values() for name in (info.name, info.location, *info.aliases)}
    placements = place(runs, known, model)
    if as_json:
        say(strict_json([_document(one) for one in placements], 1))
        return
    for number_, placement in enumerate(placements):
        if number_:
            say("")
        _print(placement)
    if any(rival.indirect for placement in placements for rival in placement.rivals):
        say("Published: the other side's number is as printed, not measured here on the same items: an indirect")
        say("comparison, for which both numbers are given the error of the measured one.")
    say("In brackets: how many of them are more than noise (p below 0.05, adjusted for all of them).")


def _document(placement: Placement) -> dict[str, object]:
    below, above = placement.neighbours()
    nearest = {"below": below and below.name, "above": above and above.name}
    rivals = [
        as_dict(rival) | {"indirect": rival.indirect, "ahead": rival.ahead, "behind": rival.behind, "side": rival.side}
        for rival in placement.rivals
    ]
    said = {"model": placement.model, "sentence": placement.sentence, "notes": placement.notes}
    return said | {"between": nearest, "rivals": rivals}


def _print(placement: Placement) -> None:
    say(one_line(placement.sentence))
    for note in placement.notes:
        say(one_line(f"{note}."))
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

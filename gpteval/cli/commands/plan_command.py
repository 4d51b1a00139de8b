"""``gpteval plan``: how many items a difference needs, and what they cost."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gpteval.cli.completion import complete_models, complete_tasks
from gpteval.cli.console import say, say_folded
from gpteval.cli.options import Json, TaskDir, names
from gpteval.core.strict import strict_json

if TYPE_CHECKING:
    from gpteval.comparison.power import Need


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
    """Say how many items show a difference of a given size.

    Before any is run: of the size that matters to you.
    """
    from gpteval.comparison.compare import load
    from gpteval.comparison.power import cost, needs
    from gpteval.comparison.results import as_dict
    from gpteval.store.runs import read_runs
    from gpteval.tasks.registry import select_tasks, task_registry

    chosen = select_tasks(task_registry(tuple(task_dir or ())), names(tasks))
    data = read_runs(run) if run else None
    found = needs(
        chosen,
        effect,
        power=power,
        disagreement=disagreement,
        answers=load(data, None) if data else [],
        models=names(models),
        margin=margin,
    )
    whole = cost(data.merged.rows if data else [], {need.task: need.items for need in found if need.items})
    if as_json:
        say(strict_json({"power": power, "tasks": as_dict(found), "cost": whole if data else None}, 1))
        return
    _print(found, effect, power, margin)
    largest = max((need.items or 0 for need in found), default=0)
    if not largest:
        return
    if data:
        dollars = f", {whole['dollars']:.2f} dollars" if whole["dollars"] else ""
        say(f"For all models of these runs: {whole['tokens']:,.0f} tokens, {whole['seconds']:,.0f} s{dollars}.")
    else:
        asked = models or "MODELS"
        say(f"What it costs: gpteval run --models {asked} --tasks {tasks} --limit {largest} --dry-run")


def _print(found: Sequence[Need], effect: float, power: float, margin: float) -> None:
    from gpteval.cli.rich_tables import add_row, show_table, table_of

    columns = ["task", "metric", f"items for {effect:g} points"]
    columns += [f"items for a margin of {margin:g}"] if margin else []
    table = table_of(*columns, "by")
    for need in found:
        cells = [need.task, need.metric, f"{need.items:,}" if need.items else "none"]
        if margin:
            cells.append(f"{need.margin_items:,}" if need.margin_items else "none")
        assumed = ""
        if need.disagreement is not None and "assumed" not in need.source:
            assumed = f": {need.disagreement:.0%} disagree"
        elif need.disagreement is None and not math.isnan(need.spread):
            assumed = f": items differ by {need.spread:.0f} (standard deviation)"
        add_row(table, *cells, need.why or f"{need.source}{assumed}")
    show_table(table)
    say("")
    say_folded(
        f"Items that show a true difference of this size with a power of {power:.0%}, one pair on one task at 5 %; of "
        "many pairs and tasks at once each needs more. To raise --limit until a difference is significant is no test: "
        "compare --anytime and run --until-decided may look as often as they like."
    )

"""``gpteval plan``: how many items a difference needs, and what they cost."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from gpteval.cli.console import say
from gpteval.cli.listing import add_row, show_table, table_of
from gpteval.cli.options import names
from gpteval.comparison.compare import load
from gpteval.comparison.power import Need, cost, needs
from gpteval.comparison.results import as_dict
from gpteval.core.strict import strict_json
from gpteval.store.runs import read_runs
from gpteval.tasks.registry import select_tasks, task_registry


def plan_command(
    tasks: str,
    effect: float,
    power: float,
    disagreement: float | None,
    runs: Sequence[Path],
    models: str,
    margin: float,
    task_dirs: tuple[Path, ...],
    as_json: bool,
) -> None:
    """Print what each task needs."""
    chosen = select_tasks(task_registry(task_dirs), names(tasks))
    answers = load(list(runs), None) if runs else []
    found = needs(
        chosen,
        effect,
        power=power,
        disagreement=disagreement,
        answers=answers,
        models=names(models),
        margin=margin,
    )
    rows = read_runs(runs).merged.rows if runs else []
    whole = cost(rows, {need.task: need.items for need in found if need.items})
    if as_json:
        say(strict_json({"power": power, "tasks": as_dict(found), "cost": whole if runs else None}, 1))
        return
    _print(found, effect, power, margin)
    largest = max((need.items or 0 for need in found), default=0)
    if not largest:
        return
    if runs:
        dollars = f", {whole['dollars']:.2f} dollars" if whole["dollars"] else ""
        say(f"For all models of these runs: {whole['tokens']:,.0f} tokens, {whole['seconds']:,.0f} s{dollars}.")
    else:
        asked = models or "MODELS"
        say(f"What it costs: gpteval run --models {asked} --tasks {tasks} --limit {largest} --dry-run")


def _print(found: Sequence[Need], effect: float, power: float, margin: float) -> None:
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
    say(f"Items that show a true difference of this size with a power of {power:.0%}, one pair on one task at 5 %; of")
    say("many pairs and tasks at once each needs more. To raise --limit until a difference is significant is no test:")
    say("compare --anytime and run --until-decided may look as often as they like.")

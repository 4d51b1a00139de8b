"""What a run would take, for people and as a document."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from gpteval.backends.interface import CostEstimate
from gpteval.cli.console import say
from gpteval.cli.rate import duration
from gpteval.cli.rich_tables import add_row, show_table, table_of
from gpteval.core.show import counted, with_shots
from gpteval.run.config import RunConfig
from gpteval.run.units import Unit

DEAREST = 10  # units that are shown
FEWER = (100, 1000)  # limits that are foretold

Found = Sequence[tuple[Unit, CostEstimate]]


def document(found: Found) -> dict[str, Any]:
    """All that was foretold."""
    rows = [
        {"model": unit.model.name, "task": unit.task.label, "shots": unit.shots}
        | asdict(one)
        | {"rows": one.queries}  # as 0.1.0 called them
        for unit, one in found
    ]
    total = _sum([one for _, one in found])
    return {"estimates": rows, "dollars": total.dollars, "seconds": total.seconds}


def print_estimates(found: Found, config: RunConfig) -> None:
    """The dearest results, what all take, and what a limit would make of it."""
    todo = [(unit, one) for unit, one in found if one.queries]
    if todo:
        dearest = sorted(todo, key=lambda pair: _price(pair[1]), reverse=True)[:DEAREST]
        _print_table(dearest)
        if len(todo) > len(dearest):
            say(f"and {counted(len(todo) - len(dearest), 'further result')}, which take less each")
        say("\n" + "\n".join(_sentences(todo, config)))
    if done := len(found) - len(todo):
        say(f"{counted(done, 'result')} {'is' if done == 1 else 'are'} computed already.")


def _print_table(found: Found) -> None:
    """Without the columns in which nothing would stand."""
    cells: dict[str, list[str]] = {
        "items": [f"{one.items:,}" for _, one in found],
        "requests": [f"{one.queries:,}" for _, one in found],
        "tokens in": [f"{one.tokens_in:,}" for _, one in found],
        "tokens out at most": [f"{one.tokens_out:,}" if one.tokens_out else "" for _, one in found],
        "seconds": ["" if one.seconds is None else f"{one.seconds:,.0f}" for _, one in found],
        "dollars at most": ["" if one.dollars is None else f"{one.dollars:.4f}" for _, one in found],
    }
    shown = {name: column for name, column in cells.items() if any(column)}
    table = table_of("model", "task", *shown)
    for (unit, _), *row in zip(found, *shown.values(), strict=True):
        add_row(table, unit.model.name, with_shots(unit.task.label, unit.shots), *row)
    show_table(table)


def _sentences(todo: Found, config: RunConfig) -> list[str]:
    lines = [f"In all: {_said(_sum([one for _, one in todo]))}."]
    for limit in FEWER:
        if config.limit is None and any(one.items > limit for _, one in todo):
            lines.append(f"With --limit {limit}: {_said(_sum([_limited(one, limit) for _, one in todo]))}.")
    unknown = [unit.model.name for unit, one in todo if one.seconds is None and ":" not in unit.model.name]
    if any(one.seconds is not None for _, one in todo):
        lines.append("Seconds are of one process and beyond its start, by the speed that gpteval bench found.")
    elif unknown:
        lines.append(f"To have seconds foretold, measure this machine once: gpteval bench --model {unknown[0]}")
    if any(one.dollars is not None for _, one in todo):
        lines.append("Tokens of chat models are counted roughly, rather too high.")
    return lines


def _price(one: CostEstimate) -> tuple[float, float, int]:
    return one.dollars or 0.0, one.seconds or 0.0, one.tokens_in + one.tokens_out


def _sum(several: Sequence[CostEstimate]) -> CostEstimate:
    """Of all; dollars and seconds of those of which they are known, None where they are of none."""
    dollars = [one.dollars for one in several if one.dollars is not None]
    seconds = [one.seconds for one in several if one.seconds is not None]
    return CostEstimate(
        queries=sum(one.queries for one in several),
        tokens_in=sum(one.tokens_in for one in several),
        tokens_out=sum(one.tokens_out for one in several),
        dollars=sum(dollars) if dollars else None,
        seconds=sum(seconds) if seconds else None,
        items=sum(one.items for one in several),
    )


def _limited(one: CostEstimate, limit: int) -> CostEstimate:
    """What so many of its items would take, if they were like all."""
    share = min(1.0, limit / one.items)
    return replace(
        one,
        queries=round(one.queries * share),
        tokens_in=round(one.tokens_in * share),
        tokens_out=round(one.tokens_out * share),
        dollars=None if one.dollars is None else one.dollars * share,
        seconds=None if one.seconds is None else one.seconds * share,
    )


def _said(one: CostEstimate) -> str:
    parts = [f"{one.tokens_in + one.tokens_out:,} tokens"]
    parts += [] if one.seconds is None else [f"about {duration(one.seconds)} on this machine"]
    parts += [] if one.dollars is None else [f"at most {one.dollars:.4f} dollars"]
    return ", ".join(parts)

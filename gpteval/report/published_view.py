"""Measured beside published: the view of a page that shows both, how far apart they are, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gpteval.core.show import signed, with_shots
from gpteval.report.leaderboard import is_fraction, show, show_interval
from gpteval.store.runs import Loaded

NEAR = 2  # standard errors within which two numbers agree


@dataclass(frozen=True)
class Beside:
    """One result with its published number. ``gap``: measured minus published, in points where both are shares."""

    model: str
    task: str
    metric: str
    measured: str
    interval: str
    published: str
    gap: str
    errors: float | None
    comparable: bool
    why: tuple[str, ...]
    source: str
    others: tuple[str, ...]


def beside(loaded: Loaded) -> tuple[Beside, ...]:
    """The results that have a published number, comparable ones first."""
    rows = [row for row in loaded.rows if _number(row)]
    found = [_beside(row) for row in rows if row.get("value") is not None]
    return tuple(sorted(found, key=lambda one: not one.comparable))


def agreement(found: tuple[Beside, ...]) -> str:
    """One sentence for the summary; empty where nothing can be compared."""
    comparable = [one for one in found if one.comparable and one.errors is not None]
    if not comparable:
        return ""
    near = sum(abs(one.errors or 0.0) <= NEAR for one in comparable)
    numbers = "number lies" if len(comparable) == 1 else "numbers lie"
    return f"{near} of {len(comparable)} comparable {numbers} within {NEAR} standard errors of the published ones."


def _number(row: Mapping[str, Any]) -> float | None:
    known = row.get("published")
    value = known.get("value") if isinstance(known, Mapping) else None
    return value if isinstance(value, int | float) else None


def _list(value: object) -> list[Any]:
    """What another version or hand wrote need not be a list."""
    return value if isinstance(value, list) else []


def _beside(row: Mapping[str, Any]) -> Beside:
    known, metric = row["published"], row["metric"]
    value = float(known["value"])
    gap = row["value"] - value
    others = [
        f"{show(one['value'], metric)} in {one.get('source')}, {one.get('locator')}"
        for one in _list(known.get("others"))
        if isinstance(one, Mapping) and isinstance(one.get("value"), int | float)
    ]
    return Beside(
        model=row["model"],
        task=with_shots(row["task"], row["shots"]),
        metric=metric,
        measured=show(row["value"], metric),
        interval=show_interval(row),
        published=show(value, metric),
        gap=signed(100 * gap) if is_fraction(metric) else signed(gap),
        errors=gap / row["stderr"] if row.get("stderr") else None,
        comparable=bool(known.get("comparable")),
        why=tuple(map(str, _list(known.get("reasons")))),
        source=f"{known.get('source', '')}, {known.get('locator', '')}",
        others=tuple(others),
    )

"""What a model takes: time and dollars an item, memory; over the same tasks for all models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class ItemCost:
    """``seconds`` and ``dollars`` an item; ``memory`` in bytes at most, of a GPU alone: what a CPU's process takes is
    not one model's. None where it is not known.
    """

    seconds: float | None
    dollars: float | None
    memory: int | None


def item_cost(rows: Sequence[Mapping[str, Any]], facts: Mapping[str, Any]) -> ItemCost:
    """Of these results of a model, by the facts that its manifest has."""
    memory = facts.get("peak_memory_bytes")
    on_gpu = str(facts.get("device") or "").startswith("cuda") and isinstance(memory, int)
    return ItemCost(_an_item(rows, "seconds"), _an_item(rows, "dollars"), memory if on_gpu else None)


def _an_item(rows: Sequence[Mapping[str, Any]], what: str) -> float | None:
    """The mean over items; None where a row does not say, or has none."""
    found = [row[what] for row in rows if isinstance(row.get(what), int | float)]
    items = sum(row.get("n") or 0 for row in rows)
    return float(sum(found)) / items if items and len(found) == len(rows) else None

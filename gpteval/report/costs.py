"""What a model takes: time and dollars an item, memory; over the same tasks for all models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

API = "api"  # the device of a model behind one, in a manifest


@dataclass(frozen=True)
class ItemCost:
    """``seconds`` and ``dollars`` an item; ``memory`` in bytes at most, of a GPU alone: what a CPU's process takes is
    not one model's. Behind an API, where several items are under way at a time, ``seconds`` are those of the clock, and
    ``latency`` is from an item's request to its answer. None where it is not known.
    """

    seconds: float | None
    latency: float | None
    dollars: float | None
    memory: int | None


def item_cost(rows: Sequence[Mapping[str, Any]], facts: Mapping[str, Any]) -> ItemCost:
    """Of these results of a model, by the facts that its manifest has."""
    memory = facts.get("peak_memory_bytes")
    on_gpu = str(facts.get("device") or "").startswith("cuda") and isinstance(memory, int)
    own, api = _an_item(rows, "seconds"), facts.get("device") == API
    return ItemCost(
        seconds=_an_item(rows, "wall_seconds") if api else own,
        latency=own if api else None,
        dollars=_an_item(rows, "dollars"),
        memory=memory if on_gpu else None,
    )


def _an_item(rows: Sequence[Mapping[str, Any]], what: str) -> float | None:
    """The mean over items; None where a row does not say, or has none."""
    found = [row[what] for row in rows if isinstance(row.get(what), int | float)]
    items = sum(row.get("n") or 0 for row in rows)
    return float(sum(found)) / items if items and len(found) == len(rows) else None

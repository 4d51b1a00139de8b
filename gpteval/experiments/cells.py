"""What an experiment's units gave: one cell a model, task, template, number of examples, seed and control."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gpteval.core.outcomes import Failed, Record, Rolled
from gpteval.metrics.base import Floats, Metric
from gpteval.models.catalogue import ModelInfo
from gpteval.run.units import Unit


@dataclass(frozen=True)
class Cell:
    """One unit's answers by its primary metric. Arrays are in the order of ``ids``.

    ``stats``: the metric's sufficient statistics, [items, d]. ``units``: what is resampled, an item's cluster or
    itself. ``dropped``: examples were left out because they did not fit the window. ``chances``: each item's
    chance of being right by guessing, None where the metric has none.
    """

    model: str
    generation: str
    n_params: int | None
    task: str
    template: str
    family: str
    metric: Metric
    shots: int
    seed: int
    control: str
    ids: tuple[str, ...]
    units: tuple[str, ...]
    stats: Floats
    dropped: NDArray[np.bool_]
    chances: Floats | None

    def at(self, ids: Sequence[str]) -> NDArray[np.intp]:
        """The places of these items."""
        places = {item: place for place, item in enumerate(self.ids)}
        return np.array([places[item] for item in ids], dtype=np.intp)


def make_cell(unit: Unit, info: ModelInfo, metric: Metric, records: Sequence[Record]) -> Cell:
    """A cell of a unit's records; items on which the metric is not defined are left out."""
    kept = [record for record in records if metric.name in record.stats]
    requests = [record.prompt.request for record in kept]
    task = unit.task
    chances = [task.chance if task.chance is not None else metric.chance([request]) for request in requests]
    known = [chance for chance in chances if chance is not None]
    return Cell(
        model=info.name,
        generation=info.generation,
        n_params=info.n_params,
        task=task.name,
        template=task.template_name,
        family=task.family,
        metric=metric,
        shots=unit.shots,
        seed=unit.seed,
        control=unit.control,
        ids=tuple(record.item_id for record in kept),
        units=tuple(f"{task.name}\0{r.prompt.cluster}" if r.prompt.cluster else r.item_id for r in kept),
        stats=np.array([record.stats[metric.name] for record in kept], dtype=float),
        dropped=np.array([_dropped(record) for record in kept], dtype=bool),
        chances=np.array(known) if known and len(known) == len(kept) else None,
    )


def _dropped(record: Record) -> bool:
    outcome = record.outcome
    return not isinstance(outcome, Failed | Rolled) and outcome.shots_dropped > 0

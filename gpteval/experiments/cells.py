"""What an experiment's units gave: one cell a model, task, template, number of examples, seed and control."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gpteval.comparison.item_scores import ItemScores, resampled_units
from gpteval.core.outcomes import Failed, Record, Repeated, Rolled, answers_of
from gpteval.metrics.base import Floats, Metric
from gpteval.models.catalogue import ModelInfo
from gpteval.run.units import Unit


@dataclass(frozen=True)
class Cell(ItemScores):
    """One unit's answers by its primary metric.

    ``seed``: of the examples. ``control``: what was changed about them. ``dropped``: examples were left out because
    they did not fit the window. ``chances``: each item's chance of being right by guessing, None where the metric has
    none.
    """

    seed: int
    control: str
    dropped: NDArray[np.bool_]
    chances: Floats | None


def make_cell(unit: Unit, info: ModelInfo, metric: Metric, records: Sequence[Record]) -> Cell:
    """A cell of a unit's records by one of its metrics; items on which that is not defined are left out."""
    kept = [record for record in records if metric.name in record.stats]
    requests = [record.prompt.request for record in kept]
    task = unit.task
    declared = task.chance if metric.name == task.metric else None
    chances = [metric.chance([request]) if declared is None else declared for request in requests]
    known = [chance for chance in chances if chance is not None]
    ids = tuple(record.item_id for record in kept)
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
        ids=ids,
        units=resampled_units(task.name, ids, (record.prompt.cluster for record in kept)),
        stats=np.array([record.stats[metric.name] for record in kept], dtype=float),
        dropped=np.array([_dropped(record) for record in kept], dtype=bool),
        chances=np.array(known) if known and len(known) == len(kept) else None,
    )


def _dropped(record: Record) -> bool:
    return any(
        not isinstance(outcome, Failed | Rolled | Repeated) and outcome.shots_dropped > 0
        for outcome in answers_of(record.outcome)
    )

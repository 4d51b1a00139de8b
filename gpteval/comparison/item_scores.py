"""A model's scores on the items of one task: what comparisons and few-shot experiments resample."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from gpteval.metrics.base import Floats, Metric


@dataclass(frozen=True)
class ItemScores:
    """One model on one task with so many examples, by one metric. Arrays are in the order of ``ids``.

    ``template``: of the prompt. ``units``: what is resampled, an item's cluster or itself (``resampled_units``).
    ``stats``: the metric's sufficient statistics, [items, d].
    """

    model: str
    generation: str
    n_params: int | None
    task: str
    template: str
    family: str
    metric: Metric
    shots: int
    ids: tuple[str, ...]
    units: tuple[str, ...]
    stats: Floats

    @cached_property
    def places(self) -> Mapping[str, int]:
        """Where each item is."""
        return {item: place for place, item in enumerate(self.ids)}

    def at(self, ids: Sequence[str]) -> NDArray[np.intp]:
        """The places of these items."""
        return np.array([self.places[item] for item in ids], dtype=np.intp)


def resampled_units(task: str, ids: Iterable[str], clusters: Iterable[str | None]) -> tuple[str, ...]:
    """An item's cluster, which only items of the same task share, or the item itself."""
    return tuple(f"{task}\0{cluster}" if cluster else item for item, cluster in zip(ids, clusters, strict=True))

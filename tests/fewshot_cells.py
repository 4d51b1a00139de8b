"""Cells of few-shot experiments, made up."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from gpteval.experiments.cells import Cell
from gpteval.metrics.named import metric_registry

ACC = metric_registry()["acc"]


SHOTS = (0, 1, 2, 4)


def cell(right: Sequence[float] | np.ndarray[Any, Any], shots: int = 0, seed: int = 0, **fields: Any) -> Cell:
    n = len(right)
    ids = tuple(f"i{place}" for place in range(n))
    made = Cell(
        model="m",
        generation="gpt2",
        n_params=1,
        task="t",
        template="default",
        family="qa",
        metric=ACC,
        shots=shots,
        seed=seed,
        control="",
        ids=ids,
        units=ids,
        stats=np.stack([np.asarray(right, dtype=float), np.ones(n)], axis=1),
        dropped=np.zeros(n, dtype=bool),
        chances=np.full(n, 0.25),
    )
    return replace(made, **fields)


class Simulated:
    """Right answers whose probability is known: 0.35 + SLOPE log2(1 + k) + what the seed, template and item bring."""

    SLOPE, SEED_SD, TEMPLATE = 0.05, 0.08, {"default": 0.0, "other": 0.1}

    def __init__(self, number: int, items: int = 80, seeds: int = 4) -> None:
        rng = np.random.default_rng(number)
        ability = rng.normal(0, 0.08, items)
        effects = rng.normal(0, self.SEED_SD, seeds)
        self.cells = []
        for template, shift in self.TEMPLATE.items():
            for shots in SHOTS:
                for seed in range(seeds if shots else 1):
                    p = 0.35 + self.SLOPE * math.log2(1 + shots) + shift + ability + effects[seed] * (shots > 0)
                    self.cells.append(cell(rng.random(items) < np.clip(p, 0, 1), shots, seed, template=template))

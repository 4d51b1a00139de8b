"""Resamples of very many items."""

from __future__ import annotations

import numpy as np
import pytest

from gpteval.metrics.named import metric_registry
from gpteval.stats.resample import BAGS, MANY, bags, resampled, weights


def test_of_many_items_bags_are_resampled_with_the_spread_that_items_have() -> None:
    count = MANY + 5000
    draw = np.random.default_rng(0)
    names = [f"item {n}" for n in range(count)]
    stats = np.stack([(draw.random(count) < 0.3).astype(float), np.ones(count)], axis=1)
    kept, (sums,) = bags(names, stats)
    assert len(kept) == BAGS
    assert sums.sum(axis=0) == pytest.approx(stats.sum(axis=0))
    order = draw.permutation(count)
    again, (others,) = bags([names[at] for at in order], stats[order])
    assert again == kept
    assert others == pytest.approx(sums), "by the names alone, in whatever order"
    drawn = resampled(metric_registry()["acc"], sums, weights(kept, draws=2000))
    value = stats[:, 0].mean()
    assert drawn.mean() == pytest.approx(value, abs=4 * np.sqrt(value * (1 - value) / count / 2000))
    assert drawn.std() == pytest.approx(np.sqrt(value * (1 - value) / count), rel=0.06)
    few, (same,) = bags(names[:MANY], stats[:MANY])
    assert few == tuple(names[:MANY])
    assert same is not sums

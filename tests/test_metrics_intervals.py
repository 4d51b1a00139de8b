"""The t interval and the bootstrap of metrics of any range, by theory and by simulation."""

from __future__ import annotations

import time

import numpy as np
import pytest

from gpteval.core.types import Outcome, Request
from gpteval.metrics import intervals
from gpteval.metrics.base import MeanMetric
from gpteval.metrics.intervals import bootstrap, estimate
from gpteval.metrics.registry import metric_registry

METRICS = metric_registry()


class Unbounded(MeanMetric):
    """A mean that can be negative."""

    name = "unbounded"
    scale = None

    def score(self, request: Request, outcome: Outcome) -> float:
        raise NotImplementedError


def pairs(values: list[float]) -> np.ndarray:
    return np.column_stack([values, np.ones(len(values))])


def test_a_mean_without_a_scale_may_be_negative() -> None:
    found = estimate(Unbounded(), pairs([-5.0, -4.0, -6.0]))
    half = 4.302652729911275 / np.sqrt(3)  # t(0.975, 2) * 1 / sqrt(n)
    assert (found.ci_low, found.ci_high) == pytest.approx((-5 - half, -5 + half))


def test_t_intervals_of_skewed_scores_cover_what_they_say() -> None:
    rng = np.random.default_rng(11)
    hits = 0
    for sample in rng.beta(2, 3, (600, 60)):
        found = estimate(METRICS["f1"], pairs(list(sample)))
        assert found.ci_low is not None
        assert found.ci_high is not None
        hits += found.ci_low <= 0.4 <= found.ci_high
    assert 0.925 <= hits / 600 <= 0.975


def test_bootstrap_intervals_of_a_ratio_cover_what_they_say() -> None:
    rng = np.random.default_rng(12)
    hits = 0
    for number in range(200):
        size = rng.integers(50, 150, 100).astype(float)
        nats = size * 0.8 * rng.gamma(25, 1 / 25, 100)
        found = estimate(METRICS["bits_per_byte"], np.column_stack([nats, size, size, size]), seed=number, draws=300)
        assert found.ci_low is not None
        assert found.ci_high is not None
        hits += found.ci_low <= 0.8 / np.log(2) <= found.ci_high
    assert 0.89 <= hits / 200 <= 0.985


def test_draws_do_not_depend_on_the_size_of_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    stats = np.random.default_rng(0).random((50, 4))
    whole = bootstrap(METRICS["bits_per_byte"], stats, seed=4, draws=200)
    monkeypatch.setattr(intervals, "_CHUNK", 120)
    assert bootstrap(METRICS["bits_per_byte"], stats, seed=4, draws=200) == pytest.approx(whole, rel=1e-12)


def test_draws_without_a_value_are_left_out() -> None:
    stats = np.array([[1.0, 1.0, 1.0, 0.0]] * 3 + [[2.0, 1.0, 1.0, 4.0]])  # three texts of no bytes
    found = estimate(METRICS["bits_per_byte"], stats, draws=500)
    assert found.ci_low is not None
    assert np.isfinite([found.ci_low, found.ci_high, found.stderr]).all()


def test_one_text_has_a_value_and_no_interval() -> None:
    found = estimate(METRICS["bits_per_byte"], np.array([[np.log(2), 1.0, 1.0, 1.0]]))
    assert (found.value, found.ci_low, found.ci_high, found.stderr, found.n) == (
        pytest.approx(1.0),
        None,
        None,
        None,
        1,
    )


def test_many_draws_on_ten_thousand_items_are_quick() -> None:
    stats = np.random.default_rng(0).random((10_000, 4))
    begin = time.process_time()
    bootstrap(METRICS["bits_per_byte"], stats, seed=0, draws=2_000)
    assert time.process_time() - begin < 2.0  # about 0.1 s when nothing else runs

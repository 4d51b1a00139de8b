"""Intervals against scipy, against theory, and by simulation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpteval.metrics.intervals import bootstrap, estimate, proportion
from gpteval.metrics.registry import metric_registry

METRICS = metric_registry()
ACC, F1, BPB = METRICS["acc"], METRICS["f1"], METRICS["bits_per_byte"]


def scores(values: list[float]) -> np.ndarray:
    return np.array([[v, 1.0] for v in values])


@settings(max_examples=80, deadline=None)
@given(st.integers(1, 400), st.data())
def test_proportions_equal_statsmodels(n: int, data: st.DataObject) -> None:
    from statsmodels.stats.proportion import proportion_confint

    k = data.draw(st.integers(0, n))
    assert proportion(k, n, "exact") == pytest.approx(proportion_confint(k, n, method="beta"), abs=1e-9)
    assert proportion(k, n, "wilson") == pytest.approx(proportion_confint(k, n, method="wilson"), abs=1e-9)


def test_a_mean_has_a_t_interval_within_its_range() -> None:
    from scipy.stats import sem, t

    values = [0.1, 0.5, 0.7, 0.2, 0.9]
    found = estimate(F1, scores(values))
    low, high = t.interval(0.95, 4, loc=np.mean(values), scale=sem(values))
    assert (found.ci_low, found.ci_high) == pytest.approx((low, high))
    assert found.stderr == pytest.approx(sem(values))
    assert found.method == "t"
    wide = estimate(F1, scores([1.0, 0.0]))
    assert (wide.ci_low, wide.ci_high) == (0.0, 1.0)


def test_small_samples_of_a_proportion_get_the_exact_interval() -> None:
    small, large = estimate(ACC, scores([1.0] * 299)), estimate(ACC, scores([1.0] * 300))
    assert (small.method, large.method) == ("clopper-pearson", "wilson")
    assert small.ci_high == large.ci_high == 1.0
    assert small.ci_low == pytest.approx(0.025 ** (1 / 299))


def test_the_bootstraps_spread_is_the_standard_error_not_that_of_the_draws_mean() -> None:
    rng = np.random.default_rng(3)
    stats = scores(list(rng.random(400)))
    draws = bootstrap(F1, stats, seed=1, draws=4000)
    analytic = stats[:, 0].std(ddof=1) / 20
    assert draws.std(ddof=1) == pytest.approx(analytic, rel=0.05)


def test_a_ratio_is_bootstrapped_over_texts() -> None:
    rng = np.random.default_rng(0)
    size = rng.integers(50, 500, 80).astype(float)
    stats = np.column_stack([size * 0.7 * rng.lognormal(0, 0.2, 80), size / 4, size / 5, size])
    found = estimate(BPB, stats, seed=7)
    assert found.method == "bootstrap 1000"
    assert found.ci_low is not None
    assert found.ci_high is not None
    assert found.ci_low < found.value < found.ci_high
    ratio = stats[:, 0].sum() / stats[:, 3].sum()
    residual = (stats[:, 0] - ratio * stats[:, 3]) / stats[:, 3].mean()
    delta = residual.std(ddof=1) / np.sqrt(80) / np.log(2)  # the delta method
    assert found.stderr == pytest.approx(delta, rel=0.1)
    assert estimate(BPB, stats, seed=7) == found
    assert estimate(BPB, stats, seed=8) != found


def test_one_item_has_no_interval_and_none_no_value() -> None:
    one = estimate(F1, scores([0.5]))
    assert (one.value, one.ci_low, one.stderr) == (0.5, None, None)
    assert np.isnan(estimate(F1, np.empty((0, 2))).value)
    assert estimate(ACC, scores([1.0])).ci_low == pytest.approx(0.025)


@pytest.mark.parametrize(("n", "p"), [(50, 0.3), (300, 0.9)])
def test_intervals_cover_what_they_say(n: int, p: float) -> None:
    rng = np.random.default_rng(5)
    hits = 0
    for successes in rng.binomial(n, p, 2000):
        found = estimate(ACC, scores([1.0] * int(successes) + [0.0] * int(n - successes)))
        hits += found.ci_low <= p <= found.ci_high  # type: ignore[operator]
    assert 0.935 <= hits / 2000 <= 0.985  # the exact interval covers a little more than 95 %


def test_many_items_need_bounded_memory() -> None:
    stats = np.random.default_rng(0).random((20_000, 4))
    assert bootstrap(BPB, stats, seed=0, draws=600).shape == (600,)

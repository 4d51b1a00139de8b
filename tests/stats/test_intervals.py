"""Intervals of one model's score: against scipy and statsmodels, against theory, and by simulation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpteval.core.outcomes import Generated, Outcome, Score, Scored
from gpteval.core.types import Choice, Generate, Request
from gpteval.metrics.base import MeanMetric
from gpteval.metrics.named import metric_registry
from gpteval.stats.interval import estimate, proportion
from gpteval.stats.jackknife import pseudo_values

METRICS = metric_registry()
ACC, F1, BPB = METRICS["acc"], METRICS["f1"], METRICS["bits_per_byte"]
rng = np.random.default_rng


class Unbounded(MeanMetric):
    """A mean that can be negative."""

    name = "unbounded"
    scale = None

    def score(self, request: Request, outcome: Outcome) -> float:
        raise NotImplementedError


def scores(values: list[float] | np.ndarray) -> np.ndarray:
    return np.column_stack([values, np.ones(len(values))])


def texts(n: int, seed: int) -> np.ndarray:
    """Nats, tokens, words and bytes of texts of uneven length."""
    random = rng(seed)
    size = random.integers(50, 500, n).astype(float)
    return np.column_stack([size * 0.7 * random.lognormal(0, 0.2, n), size / 4, size / 5, size])


@settings(max_examples=80, deadline=None)
@given(st.integers(1, 3000), st.data())
def test_proportions_equal_statsmodels(n: int, data: st.DataObject) -> None:
    from statsmodels.stats.proportion import proportion_confint

    k = data.draw(st.integers(0, n))
    assert proportion(k, n) == pytest.approx(proportion_confint(k, n, method="beta"), abs=1e-9)
    found = estimate(ACC, scores([1.0] * k + [0.0] * (n - k)))
    assert (found.ci_low, found.ci_high) == pytest.approx(proportion(k, n))
    assert found.method == "clopper-pearson"


def test_a_mean_has_students_interval_with_a_best_and_a_worst_item() -> None:
    from scipy.stats import sem, t

    values = [0.1, 0.5, 0.7, 0.2, 0.9]
    found = estimate(F1, scores(values))
    low, high = t.interval(0.95, 6, loc=np.mean([*values, 0, 1]), scale=sem([*values, 0, 1]))
    assert (found.ci_low, found.ci_high) == pytest.approx((low, high))
    assert found.stderr == pytest.approx(sem([*values, 0, 1]))
    assert found.value == pytest.approx(np.mean(values))


def test_a_mean_without_a_scale_may_be_negative() -> None:
    from scipy.stats import sem, t

    values = [-5.0, -4.0, -6.0, -5.5, -3.0]
    found = estimate(Unbounded(), scores(values))
    assert (found.ci_low, found.ci_high) == pytest.approx(t.interval(0.95, 4, loc=np.mean(values), scale=sem(values)))


@pytest.mark.parametrize("name", ["f1", "rougeL", "acc"])
@pytest.mark.parametrize("value", [0.0, 1.0])
def test_all_alike_is_no_certainty(name: str, value: float) -> None:
    for clusters in (None, [str(n // 4) for n in range(40)]):
        found = estimate(METRICS[name], scores([value] * 40), clusters=clusters)
        assert 0.05 < found.ci_high - found.ci_low < 0.5
        assert 0.0 <= found.ci_low <= found.value <= found.ci_high <= 1.0


@pytest.mark.parametrize("name", ["mcc", "macro_f1"])
def test_classes_that_are_all_right_are_no_certainty(name: str) -> None:
    metric, stats = METRICS[name], []
    for n in range(40):
        request = Choice("q", [" no", " yes"], gold=n % 2)
        good, bad = Score(-1.0, 1, True), Score(-2.0, 1, False)
        stats.append(metric.stats(request, Scored((bad, good) if n % 2 else (good, bad))))
    found = estimate(metric, np.array(stats))
    assert found.value == 1.0
    assert 0.6 < found.ci_low < 0.98


@pytest.mark.parametrize("name", ["bleu", "chrf"])
@pytest.mark.parametrize("said", ["", "the small cat sat on the mat today"])
def test_translations_that_are_all_empty_or_perfect_are_no_certainty(name: str, said: str) -> None:
    metric = METRICS[name]
    request = Generate("p", ["the small cat sat on the mat today"])
    stats = np.array([metric.stats(request, Generated(said, "stop", 1))] * 20)
    found = estimate(metric, stats)
    assert found.value == pytest.approx(100.0 if said else 0.0)
    assert 3 < found.ci_high - found.ci_low < 40


def test_pseudo_values_of_a_ratio_are_the_delta_method() -> None:
    stats = texts(80, 0)
    found = estimate(BPB, stats)
    assert found.ci_low < found.value < found.ci_high
    ratio = stats[:, 0].sum() / stats[:, 3].sum()
    residual = (stats[:, 0] - ratio * stats[:, 3]) / stats[:, 3].mean()
    assert found.stderr == pytest.approx(residual.std(ddof=1) / np.sqrt(80) / np.log(2), rel=0.05)


def test_the_error_is_the_bootstraps() -> None:
    from scipy.stats import bootstrap

    stats = texts(60, 3)
    drawn = bootstrap((np.arange(60),), lambda i: BPB.value(stats[i].sum(axis=0)), vectorized=False, rng=rng(1))
    assert estimate(BPB, stats).stderr == pytest.approx(drawn.standard_error, rel=0.06)


def test_a_perplexitys_interval_is_that_of_its_logarithm() -> None:
    found = estimate(METRICS["word_perplexity"], texts(30, 5))
    middle = np.log(found.ci_low * found.ci_high) / 2
    assert np.exp(middle) == pytest.approx(found.value, rel=0.02)
    assert found.ci_low > 0


@pytest.mark.parametrize(
    ("stats", "clusters", "why"),
    [
        (texts(1, 0), None, "1 item, too few to tell: 5 are needed"),
        (texts(4, 0), None, "4 items, too few to tell: 5 are needed"),
        (texts(40, 0), ["a", "b", "c", "d"] * 10, "4 clusters, too few to tell: 5 are needed"),
        (np.concatenate([texts(5, 0) * 1e-6, texts(1, 1)]), None, "one item outweighs all others"),
        (np.concatenate([texts(1, 0), np.zeros((6, 4))]), None, "the score is not finite without one of the items"),
        (np.repeat(texts(1, 0), 9, axis=0), None, "every item has the same score"),
    ],
)
def test_what_tells_nothing_has_no_interval_and_says_why(
    stats: np.ndarray, clusters: list[str] | None, why: str
) -> None:
    found = estimate(BPB, stats, clusters=clusters)
    assert np.isnan([found.ci_low, found.ci_high, found.stderr]).all()
    assert found.why == why


def test_no_item_has_no_value() -> None:
    assert np.isnan(estimate(F1, np.empty((0, 2))).value)
    assert estimate(ACC, scores([1.0])).ci_low == pytest.approx(0.025)


def test_one_long_text_counts_as_what_it_is() -> None:
    """Nine short texts and a long one tell about as much as the long one alone: Kish's effective number."""
    even, uneven = texts(10, 0), texts(10, 0)
    uneven[0] *= 40
    assert pseudo_values(BPB, even).freedom > 6
    assert pseudo_values(BPB, uneven).freedom < 1.5


@pytest.mark.parametrize(("n", "p"), [(50, 0.3), (300, 0.9)])
def test_intervals_of_shares_cover_little_more_than_they_say(n: int, p: float) -> None:
    low, high = zip(*(proportion(k, n) for k in range(n + 1)), strict=True)
    successes = rng(5).binomial(n, p, 2000)
    hits = (np.array(low)[successes] <= p) & (p <= np.array(high)[successes])
    assert 0.935 <= hits.mean() <= 0.985


@pytest.mark.parametrize(("n", "p"), [(5, 0.9), (50, 0.3), (400, 0.998)])
def test_intervals_of_shares_cover_what_they_say(n: int, p: float) -> None:
    low, high = zip(*(proportion(k, n) for k in range(n + 1)), strict=True)
    successes = rng(5).binomial(n, p, 4000)
    hits = (np.array(low)[successes] <= p) & (p <= np.array(high)[successes])
    assert hits.mean() >= 0.94


def test_intervals_of_skewed_scores_cover_what_they_say() -> None:
    hits = []
    for sample in rng(11).beta(2, 3, (600, 60)):
        found = estimate(F1, scores(sample))
        hits.append(found.ci_low <= 0.4 <= found.ci_high)  # type: ignore[operator]
    assert 0.925 <= np.mean(hits) <= 0.975


def test_intervals_of_a_ratio_cover_what_they_say() -> None:
    hits = []
    for number in range(400):
        random = rng(number)
        size = np.exp(random.normal(6, 0.8, 12))
        nats = size * 0.8 * random.gamma(25, 1 / 25, 12)
        found = estimate(BPB, np.column_stack([nats, size, size, size]))
        hits.append(found.ci_low <= 0.8 / np.log(2) <= found.ci_high)  # type: ignore[operator]
    assert 0.92 <= np.mean(hits) <= 0.99

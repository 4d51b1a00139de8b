"""Calibration: against scikit-learn, by hand, and of models that are calibrated by construction."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss

from gpteval.comparison.compare import compare
from gpteval.core.errors import UsageError
from gpteval.core.outcomes import Score, Scored
from gpteval.core.types import Choice
from gpteval.metrics.base import Floats, Metric
from gpteval.metrics.calibration import BINS, ENOUGH, GROUPS, LEAST, LOWEST, WIDTH, bins_of, groups
from gpteval.metrics.named import metric_registry
from gpteval.stats.interval import Estimate, estimate

PARTS = ("brier_reliability", "brier_resolution", "brier_uncertainty")


def _metric(name: str) -> Metric:
    return metric_registry()[name]


def _stats(name: str, shares: Floats, gold: Floats) -> Floats:
    """Of items whose choices have these probabilities, [n, K], and of which that at ``gold`` is right."""
    metric = _metric(name)
    rows = []
    for of_item, right in zip(shares, gold, strict=True):
        scored = Scored(tuple(Score(math.log(share), 1, False) for share in of_item))
        rows.append(metric.stats(Choice("c", [f" {n}" for n in range(len(of_item))], gold=int(right)), scored))
    return np.array(rows)


def _value(name: str, stats: Floats) -> float:
    return float(_metric(name).value(stats.sum(axis=0)))


def _two(confidence: Floats) -> Floats:
    return np.stack([confidence, 1 - confidence], axis=1)


def _in_bins(seed: int, each: int) -> tuple[Floats, Floats]:
    """As many items at each of ten confidences, which lie in bins of their own, and which of two choices is right."""
    draw = np.random.default_rng(seed)
    confidence = np.repeat(1 / (1 + np.exp(-(LOWEST + WIDTH * (17.5 + np.arange(GROUPS))))), each)
    return confidence, (draw.random(len(confidence)) > confidence**2).astype(int)


def _chosen(n: int, seed: int, *, sure: float = 1.0) -> Estimate:
    """Of items of which the chosen one is right as often as its probability says, or a share less (``sure``)."""
    draw = np.random.default_rng(seed)
    confidence = 0.5 + draw.beta(2, 2, n) / 2
    right = (draw.random(n) <= 0.5 + (confidence - 0.5) * sure).astype(float)
    return estimate(_metric("ece_debiased"), _of_chosen(confidence, right))


def _of_chosen(confidence: Floats, right: Floats) -> Floats:
    """The statistics of many items at once; a test holds them to the metric's own."""
    found = np.zeros((5, len(confidence), BINS))
    parts = (np.ones(len(confidence)), confidence, right, confidence**2, confidence * right)
    found[:, np.arange(len(confidence)), bins_of(confidence)] = parts
    return found.transpose(1, 0, 2).reshape(len(confidence), -1)


def test_the_statistics_of_many_at_once_are_those_of_each() -> None:
    confidence, wrong = _in_bins(0, 4)
    each = _stats("ece", _two(confidence), wrong)
    assert _of_chosen(confidence, 1.0 - wrong) == pytest.approx(each, abs=1e-12)


@pytest.mark.parametrize("each", [2, 7, 40])
def test_it_is_the_distance_from_scikit_learns_curve(each: int) -> None:
    confidence, wrong = _in_bins(each, each)
    accuracy, mean = calibration_curve(1 - wrong, confidence, n_bins=GROUPS, strategy="quantile")
    assert len(mean) == GROUPS
    stats = _stats("ece", _two(confidence), wrong)
    found = groups(stats.sum(axis=0))
    assert found.right / found.count == pytest.approx(accuracy, abs=1e-12)
    assert found.given / found.count == pytest.approx(mean, abs=1e-12)
    assert _value("ece", stats) == pytest.approx(np.abs(accuracy - mean).mean(), abs=1e-12)
    beyond = (confidence - 1 + wrong).reshape(GROUPS, each)
    debiased = (beyond.mean(axis=1) ** 2 - beyond.var(axis=1, ddof=1) / each).mean()
    assert _value("ece_debiased", stats) == pytest.approx(math.sqrt(max(debiased, 0)), abs=1e-9)


@pytest.mark.parametrize("choices", [2, 4, 7])
def test_the_parts_of_a_brier_score_add_up_to_it(choices: int) -> None:
    draw = np.random.default_rng(choices)
    shares = draw.dirichlet(np.full(choices, 0.7), 400)
    gold = np.array([draw.choice(choices, p=share) for share in shares])
    labels = list(range(choices))
    whole = brier_score_loss(gold, shares, scale_by_half=False, labels=labels) if choices > 2 else None
    whole = 2 * brier_score_loss(gold, shares[:, 1]) if whole is None else whole
    reliability, resolution, uncertainty = (_value(name, _stats(name, shares, gold)) for name in PARTS)
    assert uncertainty - resolution + reliability == pytest.approx(whole, abs=1e-9)
    assert whole == pytest.approx(_value("brier", _stats("brier", shares, gold)), abs=1e-9)
    assert uncertainty == pytest.approx(1 - 1 / choices, abs=1e-12), "what guessing has"


def test_of_one_probability_the_parts_are_known_by_hand() -> None:
    shares = np.full((10, 2), 0.5)
    gold = np.arange(10) % 2
    assert [_value(name, _stats(name, shares, gold)) for name in PARTS] == pytest.approx([0.0, 0.0, 0.5])
    sure = _two(np.full(10, 0.9))  # of which six are right: 0.9 to 0.6, and 0.1 to 0.4, of half of all 0.5
    found = [_value(name, _stats(name, sure, (np.arange(10) > 5).astype(int))) for name in PARTS]
    assert found == pytest.approx([2 * 0.3**2, 2 * 0.1**2, 0.5])


@pytest.mark.parametrize(
    ("logprobs", "gold", "expected"),
    [((0.0, -2000.0), 0, 0.0), ((0.0, -2000.0), 1, 1.0), ((-1.0, -1.0), 0, 0.5), ((-1e5, -1e5 - 700), 0, 0.0)],
)
def test_the_ends_of_confidence(logprobs: tuple[float, float], gold: int, expected: float) -> None:
    scored = Scored(tuple(Score(one, 1, False) for one in logprobs))
    for name in ("ece", *PARTS):
        stats = np.array(_metric(name).stats(Choice("c", [" a", " b"], gold=gold), scored))
        assert len(stats) == 5 * BINS
        assert np.isfinite(_metric(name).value(stats))
    assert _metric("ece").value(
        np.array(_metric("ece").stats(Choice("c", [" a", " b"], gold=gold), scored))
    ) == pytest.approx(expected, abs=1e-12)


def test_nothing_and_few_items() -> None:
    for name in ("ece", "ece_debiased", *PARTS):
        assert np.isnan(_metric(name).value(np.zeros(5 * BINS)))
        some = [Choice("c", [" a", " b"], gold=0)] * ENOUGH
        assert _metric(name).notes(some) == ()
        assert _metric(name).notes(some[1:]) == (f"of fewer than 300 items {name} is mostly noise",)
    assert _chosen(LEAST - 1, 0).why == "an interval of ece_debiased needs 100 items or clusters"
    assert "ece_debiased have one" in estimate(_metric("ece"), np.ones((200, 5 * BINS))).why


@pytest.mark.parametrize("n", [LEAST, 400])
def test_of_a_calibrated_model_the_interval_has_0_as_often_as_promised(n: int) -> None:
    found = [_chosen(n, seed) for seed in range(200)]
    held = sum(one.ci_low == 0 for one in found)
    assert held >= 0.95 * len(found) - 2 * math.sqrt(0.05 * 0.95 * len(found))
    assert held < len(found), "one in forty is above"


def test_of_a_model_that_is_too_sure_it_has_what_is_true() -> None:
    """Half as much above chance as it says: the gap is half of its confidence beyond 1/2, which beta(2, 2)/2 is."""
    within = float(np.sqrt(((np.arange(1, 20_001) / 20_001 / 4) ** 2 * 6 * (u := np.arange(1, 20_001) / 20_001)
                            * (1 - u)).mean()))  # fmt: skip
    found = [_chosen(600, seed, sure=0.5) for seed in range(100)]
    assert sum(one.ci_low <= within <= one.ci_high for one in found) >= 88
    assert sum(one.ci_low > 0 for one in found) >= 95


def test_items_that_belong_together_are_fewer_than_they_are() -> None:
    """Each item ten times: the interval is as wide as without the copies."""
    draw = np.random.default_rng(3)
    confidence = 0.5 + draw.beta(2, 2, 200) / 2
    stats = _stats("ece_debiased", _two(confidence), draw.random(200) > confidence)
    once = estimate(_metric("ece_debiased"), stats)
    names = [str(n) for n in range(200)]
    copied = estimate(_metric("ece_debiased"), np.repeat(stats, 10, axis=0), clusters=np.repeat(names, 10).tolist())
    assert copied.ci_high == pytest.approx(once.ci_high, rel=1e-6)
    assert copied.method == "noncentral chi-square over 200 clusters"


def test_models_are_not_compared_by_it() -> None:
    with pytest.raises(UsageError, match="ece_debiased tells of one model"):
        compare([], metric="ece_debiased")

"""Calibration over several tasks: groups and errors as the metrics have them, temperature against a plain search."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from sklearn.metrics import log_loss

import gpteval
from gpteval.comparison.reliability import Chosen, read_chosen, reliability, temperature
from gpteval.metrics.base import Floats
from gpteval.metrics.named import metric_registry
from gpteval.report import build_report
from gpteval.stats.interval import estimate
from gpteval.store.documents import read_statistics
from gpteval.store.runs import read_runs


def _drawn(n: int, seed: int, *, by: float = 1.0, choices: int = 4) -> Chosen:
    """Answers drawn by the model's own probabilities, whose log-probabilities are then multiplied."""
    draw = np.random.default_rng(seed)
    logprobs = np.log(draw.dirichlet(np.ones(choices), n))
    gold = np.array([draw.choice(choices, p=np.exp(row)) for row in logprobs])
    return Chosen(logprobs * by, gold, tuple(map(str, range(n))))


def _loss(chosen: Chosen, heat: float) -> float:
    scaled = np.exp(chosen.logprobs / heat)
    shares: Floats = scaled / scaled.sum(axis=1, keepdims=True)
    return float(log_loss(chosen.gold, shares, labels=list(range(shares.shape[1]))))


@pytest.mark.parametrize("by", [0.5, 1.0, 3.0])
def test_the_temperature_is_that_of_the_least_log_loss(by: float) -> None:
    chosen = _drawn(500, 1, by=by)
    found = temperature(chosen)
    searched = minimize_scalar(lambda heat: _loss(chosen, heat), bounds=(0.05, 20), options={"xatol": 1e-8})
    assert found.value == pytest.approx(searched.x, rel=1e-4)
    assert found.ci_low < by < found.ci_high


def test_its_interval_holds_the_true_one_as_often_as_it_says() -> None:
    found = [temperature(_drawn(200, seed, by=2.0)) for seed in range(200)]
    assert sum(one.ci_low <= 2.0 <= one.ci_high for one in found) >= 0.91 * len(found)


def test_where_no_temperature_is_best_there_is_none() -> None:
    always = Chosen(np.log([[0.6, 0.4]] * 200), np.zeros(200, dtype=np.int64), tuple(map(str, range(200))))
    assert math.isnan(temperature(always).value), "the colder the better"
    assert math.isnan(temperature(Chosen(always.logprobs, 1 - always.gold, always.units)).value)
    few = _drawn(50, 0)
    assert (temperature(few).why, math.isnan(temperature(few).ci_low)) == ("too few items to tell it by", True)


def test_of_a_calibrated_model_nothing_is_off() -> None:
    found = reliability(_drawn(3000, 5))
    assert found.items == sum(group.items for group in found.groups) == 3000
    assert found.debiased.ci_low == 0.0
    assert found.temperature.ci_low < 1 < found.temperature.ci_high
    assert sum(group.ci_low <= group.confidence <= group.ci_high for group in found.groups) >= len(found.groups) - 2
    sure = reliability(_drawn(3000, 5, by=2.0))
    assert sure.debiased.ci_low > 0.1
    assert sure.temperature.ci_low > 1


def test_it_says_of_a_run_what_the_metrics_say(tmp_path: Path) -> None:
    run = tmp_path / "run"
    tasks = ["nano_facts", "nano_topic", "nano_en_fr"]
    names = ("ece", "ece_debiased")
    made = gpteval.evaluate(["gpt2-nano"], tasks, limit=160, metrics=names, out=run, device="cpu")
    assert not made.failures
    files = [(task, of["gpt2-nano"]) for (task, _), of in read_runs(str(run)).merged.samples.items()]
    chosen = read_chosen(files)
    assert chosen is not None
    found = reliability(chosen)
    stats = [read_statistics(file)["stats"] for task, file in files if task != "nano_en_fr"]
    for name, value in (("ece", found.ece), ("ece_debiased", found.debiased.value)):
        rows = np.array([item[name] for of_task in stats for item in of_task])
        expected = estimate(metric_registry()[name], rows)
        assert value == pytest.approx(expected.value, abs=1e-12)
        if name == "ece_debiased":
            ends = (expected.ci_low, expected.ci_high)
            assert (found.debiased.ci_low, found.debiased.ci_high) == pytest.approx(ends, abs=1e-9)
    page = build_report([run], tmp_path / "page.html").read_text()
    assert 'id="reliability"' in page
    assert f"{100 * found.ece:.1f}" in page
    assert read_chosen([one for one in files if one[0] == "nano_en_fr"]) is None

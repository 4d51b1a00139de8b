"""Evidence at any time: against closed forms, against Ville's bound, and from the command line."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from scipy.special import betaln
from scipy.stats import binomtest

import gpteval
from gpteval.metrics.named import metric_registry
from gpteval.stats.anytime import Betting, by_holm, of_sequence
from gpteval.stats.evidence import Evidence
from tests.conftest import RunCli
from tests.made_runs import make_run, scores

ACC = metric_registry()["acc"]
SIGNS = np.array([-1.0, 0.0, 1.0])


@pytest.mark.parametrize(("n", "a", "b"), [(100, 10, 5), (1000, 120, 80), (1000, 10, 0), (100_000, 10_100, 9_900)])
def test_of_rights_and_wrongs_it_is_jeffreys_mixture(n: int, a: int, b: int) -> None:
    """A coin that is fair on the items where the two disagree, against one whose bias has the prior Beta(1/2, 1/2)."""
    exact = betaln(a + 0.5, b + 0.5) - betaln(0.5, 0.5) + (a + b) * math.log(2)
    assert Betting(SIGNS, [b, n - a - b, a]).log_wealth(0.0) == pytest.approx(exact, abs=1e-6)


def test_the_ends_are_where_the_wealth_passes_the_bar() -> None:
    bets = Betting(np.array([-1.0, -0.3, 0.0, 0.5, 1.0]), [20, 10, 100, 30, 40])
    low, high = bets.interval(0.95)
    assert -1 < low < (40 + 15 - 3 - 20) / 200 < high < 1
    for end in (low, high):
        assert bets.log_wealth(end) == pytest.approx(math.log(20), abs=1e-3)
    assert bets.interval(0.99)[0] < low
    one = Betting(SIGNS, [0, 1, 0]).interval(0.95)
    assert one[0] < -0.95
    assert one[1] > 0.95


def test_looking_after_every_item_is_wrong_in_at_most_5_percent() -> None:
    """Where a test of a fixed number of items, looked at as often, is wrong in far more."""
    random, wrong, naive, lost = np.random.default_rng(0), 0, 0, 0
    for _ in range(300):
        x = random.choice(SIGNS, 400, p=[0.15, 0.7, 0.15])
        a, b = np.cumsum(x > 0), np.cumsum(x < 0)
        exact = betaln(a + 0.5, b + 0.5) - betaln(0.5, 0.5) + (a + b) * math.log(2)
        wrong += bool((exact >= math.log(20)).any())
        looks = range(49, 400, 50)
        naive += any(binomtest(int(a[n]), int(a[n] + b[n])).pvalue < 0.05 for n in looks)
        ends = [Betting(SIGNS, [int(b[n]), int(n + 1 - a[n] - b[n]), int(a[n])]).interval(0.95) for n in looks]
        lost += any(not low <= 0 <= high for low, high in ends)
    assert wrong <= 300 * 0.05 + 2 * math.sqrt(300 * 0.05 * 0.95)
    assert lost <= wrong
    assert naive > 2 * wrong


def test_p_and_interval_say_the_same() -> None:
    random = np.random.default_rng(1)
    seen = set()
    for n in (5, 20, 60, 200):
        for share in (0.5, 0.7, 0.95):
            a = scores((random.random(n) < share).astype(float))
            b = scores((random.random(n) < 0.5).astype(float))
            found = of_sequence(ACC, np.array(a), np.array(b), clustered=False)
            low, high = found.interval(0.95)
            assert (found.p < 0.05) == (not low <= 0 <= high or 0 in (low, high))
            assert found.p == pytest.approx(min(1.0, 1 / found.e_value))
            seen.add(found.p < 0.05)
    assert seen == {True, False}


def test_what_it_cannot_say() -> None:
    perplexity = metric_registry()["token_perplexity"]
    assert "no mean of bounded scores" in of_sequence(perplexity, np.ones((9, 4)), np.ones((9, 4)), clustered=False).why
    assert "belong together" in of_sequence(ACC, np.ones((9, 2)), np.ones((9, 2)), clustered=True).why
    rows = [Evidence(p=0.01), Evidence(why="none"), Evidence(p=0.04)]
    found = by_holm(rows)
    assert found.p[0] == pytest.approx(0.02)
    assert math.isnan(found.p[1])
    assert found.alpha == 0.025


def test_the_command(tmp_path: Path, in_process: RunCli) -> None:
    random = np.random.default_rng(2)
    luck = random.random(300)
    sides = {(model, "t"): scores((luck < share).astype(float)) for model, share in (("a", 0.5), ("b", 0.7))}
    run = make_run(tmp_path / "r", sides)
    done = in_process("compare", run, "--anytime", "--format", "json")
    assert done.returncode == 0, done.stderr
    (pair,) = json.loads(done.stdout)["pairs"]
    assert pair["verdict"] == "b is better"
    assert pair["figure"]["e_value"] == pytest.approx(1 / pair["figure"]["p"])
    assert pair["figure"]["test"] == "betting, at any time"
    assert "(e " in in_process("compare", run, "--anytime").stdout
    plain = gpteval.compare(run).pairs[0]
    assert plain.high - plain.low < pair["high"] - pair["low"], "looks have a price"
    document = json.loads((run / "manifest.json").read_text())
    document["config"]["until_decided"] = ["a", "b"]
    (run / "manifest.json").write_text(json.dumps(document))
    assert gpteval.compare(run).pairs[0].figure.test == "betting, at any time", "of such a run there is no other"
    done = in_process("compare", run, "--anytime", "--side", "x=a", "--side", "y=b")
    assert (done.returncode, "--anytime is for pairs" in done.stderr) == (2, True)

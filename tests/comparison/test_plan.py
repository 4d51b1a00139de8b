"""How many items a difference needs: against enumeration, simulation and textbook formulas, and the command."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binomtest, multinomial, norm

from gpteval.comparison.compare import load
from gpteval.comparison.power import items_by_spread, items_to_show, needs, power_of
from gpteval.core.errors import UsageError
from gpteval.tasks.registry import select_tasks, task_registry
from tests.conftest import RunCli
from tests.made_runs import make_run, scores


@pytest.mark.parametrize(("n", "share", "effect"), [(12, 0.5, 0.4), (30, 0.6, 0.3), (25, 0.4, 0.0)])
def test_the_power_is_what_enumeration_gives(n: int, share: float, effect: float) -> None:
    wins, losses = (share + effect) / 2, (share - effect) / 2
    exact = 0.0
    for a in range(n + 1):
        for b in range(n + 1 - a):
            if a + b and binomtest(a, a + b).pvalue < 0.05:
                exact += multinomial.pmf([a, b, n - a - b], n, [wins, losses, 1 - share])
    assert power_of(n, share, effect) == pytest.approx(exact, abs=1e-6)


@pytest.mark.parametrize(("effect", "share"), [(0.02, 0.2), (0.05, 0.1), (0.1, 0.4)])
def test_items_meet_their_power_and_connors_formula(effect: float, share: float) -> None:
    n = items_to_show(effect, share)
    assert n is not None
    assert power_of(n, share, effect) >= 0.8
    assert power_of(int(0.96 * n), share, effect) < 0.8
    connor = ((1.96 * math.sqrt(share) + 0.8416 * math.sqrt(share - effect**2)) / effect) ** 2
    assert connor < n < 1.12 * connor + 10, "the exact test needs a little more"
    random = np.random.default_rng(0)
    draws = random.multinomial(n, [(share + effect) / 2, (share - effect) / 2, 1 - share], size=2000)
    seen = np.mean([binomtest(int(a), int(a + b)).pvalue < 0.05 for a, b, _ in draws])
    assert abs(seen - 0.8) < 0.03


def test_other_scores_by_their_spread() -> None:
    n = items_by_spread(0.02, 0.3)
    assert n == pytest.approx(((norm.ppf(0.975) + norm.ppf(0.8)) * 15) ** 2, rel=0.01)
    assert items_to_show(0.2, 0.1) is None
    assert items_to_show(0.0002, 0.2) is None, "beyond all numbers, and said at once"
    assert items_to_show(0.001, 0.2) == pytest.approx(1.57e6, rel=0.02)
    assert items_by_spread(1e-9, 1.0) is None


def test_what_a_run_tells(tmp_path: Path) -> None:
    luck = np.random.default_rng(3).random(300)
    answers = {("a", "nano_topic"): scores((luck < 0.5).astype(float)), ("b", "nano_topic"): scores(np.ones(300))}
    answers |= {("c", "nano_topic"): scores(np.ones(300))}
    run = make_run(tmp_path / "r", answers)
    tasks = select_tasks(task_registry(()), ("nano_topic", "nano_summary"))
    first, other = needs(tasks, 5.0, answers=load([run], None))
    differ = int((luck >= 0.5).sum())
    assert first.disagreement == pytest.approx((differ + 2) / 302)
    assert first.items == items_to_show(0.05, (differ + 2) / 302)
    assert "b and a" in first.source or "a and b" in first.source
    assert other.items is None
    assert "--run RUN" in other.why
    (alike, _) = needs(tasks, 5.0, answers=load([run], None), models=["b", "c"])
    assert alike.disagreement == pytest.approx(2 / 302), "nobody disagreed yet"
    assert alike.items is None


def test_published_scores_tell_it() -> None:
    (need,) = needs(select_tasks(task_registry(()), ("piqa",)), 2.0, models=["pythia-70m", "pythia-160m"])
    assert "published scores of pythia-70m and pythia-160m" in need.source
    assert need.disagreement is not None
    assert 0.4 < need.disagreement < 0.5
    assert need.items == items_to_show(0.02, need.disagreement)


@pytest.mark.parametrize(
    "wrong", [{"effect": 0.0}, {"disagreement": 0.0}, {"power": 1.0}, {"effect": math.nan}, {"margin": math.nan}]
)
def test_bad_questions(wrong: dict[str, float]) -> None:
    effect = wrong.pop("effect", 2.0)
    with pytest.raises(UsageError):
        needs(select_tasks(task_registry(()), ("piqa",)), effect, **wrong)


def test_the_command(tmp_path: Path, in_process: RunCli) -> None:
    done = in_process("plan", "--tasks", "sst2,piqa", "--effect", 2, "--disagreement", 20, "--margin", 1)
    assert done.returncode == 0, done.stderr
    assert f"{items_to_show(0.02, 0.2):,}" in done.stdout
    assert f"{items_by_spread(0.01, math.sqrt(0.2)):,}" in done.stdout
    assert f"--limit {items_to_show(0.02, 0.2)} --dry-run" in done.stdout
    luck = np.random.default_rng(3).random(100)
    sides = {(m, "nano_topic"): scores((luck < s).astype(float)) for m, s in (("a", 0.5), ("b", 0.7))}
    run = make_run(tmp_path / "r", sides)
    document = json.loads((run / "results.json").read_text())
    for row in document["results"]:
        row |= {"tokens": 1000, "seconds": 2.0, "dollars": 0.5}
    (run / "results.json").write_text(json.dumps(document))
    done = in_process("plan", "--tasks", "nano_topic", "--effect", 5, "--run", run, "--json")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    (need,) = said["tasks"]
    assert said["cost"]["tokens"] == pytest.approx(2 * 1000 * need["items"] / 100)
    assert said["cost"]["dollars"] == pytest.approx(2 * 0.5 * need["items"] / 100)
    assert in_process("plan", "--tasks", "sst2", "--effect", 0).returncode == 2

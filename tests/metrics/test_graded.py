"""How much probability the right answer has: against scikit-learn, by hand, in runs and comparisons."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss
from sklearn.metrics import log_loss as sklearn_log_loss

import gpteval
from gpteval.core.outcomes import Score, Scored
from gpteval.core.types import Choice
from gpteval.metrics.graded import GRADED_METRICS
from gpteval.metrics.named import metric_registry
from tests.api_runs import MODEL
from tests.api_server import ApiServer
from tests.conftest import RunCli

NAMES = [metric.name for metric in GRADED_METRICS]


def _items(count: int, choices: int, seed: int = 0) -> list[tuple[Choice, Scored]]:
    draw = np.random.default_rng(seed)
    made = []
    for _ in range(count):
        texts = tuple(f" é{'x' * int(draw.integers(1, 9))}{n}" for n in range(choices))
        scores = tuple(Score(float(-draw.exponential(5)), 3, False) for _ in range(choices))
        made.append((Choice("c", texts, gold=int(draw.integers(choices))), Scored(scores)))
    return made


def _value(name: str, items: list[tuple[Choice, Scored]]) -> float:
    metric = metric_registry()[name]
    return float(metric.value(np.array([metric.stats(*item) for item in items]).sum(axis=0)))


@pytest.mark.parametrize("choices", [2, 3, 5])
def test_brier_and_log_loss_are_those_of_scikit_learn(choices: int) -> None:
    items = _items(50, choices)
    logs = np.array([[score.logprob for score in scored.scores] for _, scored in items], dtype=float)
    shares = np.exp(logs) / np.exp(logs).sum(axis=1, keepdims=True)
    golds = [choice.gold for choice, _ in items]
    labels = list(range(choices))
    expected = brier_score_loss(golds, shares, labels=labels, scale_by_half=False) if choices > 2 else None
    if expected is None:  # of two classes it takes the second's probability, and has half of the sum over both
        expected = 2 * brier_score_loss(golds, shares[:, 1])
    assert _value("brier", items) == pytest.approx(expected, abs=1e-12)
    assert _value("log_loss", items) == pytest.approx(sklearn_log_loss(golds, shares, labels=labels), abs=1e-12)
    right = shares[np.arange(len(golds)), golds]
    assert _value("prob", items) == pytest.approx(right.mean(), abs=1e-12)


def test_by_hand() -> None:
    choice = Choice("c", [" Paris", " Rome", "  Oslo"], gold=1)
    scored = Scored((Score(-2.0, 1, False), Score(-3.0, 1, False), Score(-5.0, 1, False)))
    items = [(choice, scored)]
    assert _value("bpb", items) == pytest.approx(3 / math.log(2) / 4, abs=1e-12)
    assert _value("log_odds", items) == pytest.approx(-1.0, abs=1e-12)
    total = math.exp(-2) + math.exp(-3) + math.exp(-5)
    assert _value("prob", items) == pytest.approx(math.exp(-3) / total, abs=1e-12)
    certain = Scored((Score(-2000.0, 1, False), Score(-1000.0, 1, False), Score(-3000.0, 1, False)))
    assert (_value("prob", [(choice, certain)]), _value("brier", [(choice, certain)])) == (1.0, 0.0)
    assert _value("log_loss", [(choice, certain)]) == 0.0
    assert metric_registry()["prob"].chance([choice, Choice("c", [" a", " b"], gold=0)]) == pytest.approx(5 / 12)


def test_a_right_answer_is_chosen_where_its_log_odds_are_above_0() -> None:
    for item in _items(200, 4):
        assert (_value("log_odds", [item]) > 0) == (_value("acc", [item]) == 1)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("graded") / "run"
    tasks = ["nano_topic", "nano_lastword", "nano_en_fr"]
    models = ["gpt1-nano", "gpt2-nano"]
    made = gpteval.evaluate(models, tasks, limit=20, metrics=NAMES, out=out, device="cpu", shots=0)
    assert not made.failures
    return out


def test_each_task_has_those_that_can_score_it(run: Path) -> None:
    rows = json.loads((run / "results.json").read_text())["results"]
    found: dict[str, set[str]] = {}
    for row in rows:
        found.setdefault(row["task"], set()).add(row["metric"])
    assert found["nano_topic"] == {"acc", "macro_f1", *NAMES}
    assert found["nano_lastword"] == {"acc_greedy", "target_perplexity", "bpb"}, "it has no wrong answers"
    assert found["nano_en_fr"] == {"bleu", "chrf"}


def test_a_runs_numbers_are_those_of_its_samples(run: Path) -> None:
    frame = gpteval.samples(run, "gpt1-nano", "nano_topic")
    scores = gpteval.table(run, tasks="nano_topic", models="gpt1-nano", metric="bpb")
    bits = [
        -row.logprobs[row.gold] / math.log(2) / len(row.choices[row.gold].removeprefix(" ").encode())
        for row in frame.itertuples()
    ]
    assert scores["value"][0] == pytest.approx(np.mean(bits), abs=1e-12)
    assert scores["ci_low"][0] < scores["value"][0] < scores["ci_high"][0]


def test_models_are_compared_by_them(run: Path) -> None:
    """A model that is better by accuracy, too; less is better of bits."""
    for name, better in (("bpb", -1), ("prob", 1), ("brier", -1)):
        (pair, *_) = gpteval.compare(run, metric=name).pairs
        gain = pair.figure.value_b - pair.figure.value_a
        gain = gain if pair.model_b == "gpt2-nano" else -gain
        assert gain * better > 0, name


def test_what_a_server_does_not_tell_is_left_out_and_the_rest_is_there(
    tmp_path: Path, server: ApiServer, in_process: RunCli
) -> None:
    """A chat's letters without log-probabilities."""

    def silent(body: dict[str, Any]) -> dict[str, Any]:
        for choice in body["choices"]:
            choice["logprobs"] = None
        return body

    from tests.api_runs import changing

    server.fault = changing(silent)
    asked = ("run", "--models", f"openai:{MODEL}", "--base-url", server.url, "--tasks", "nano_topic", "--limit", 3)
    done = in_process(*asked, "--metrics", "bpb,prob", "--out", tmp_path / "r", "--no-cache", "--no-report")
    assert done.returncode == 0, done.stderr
    rows = json.loads((tmp_path / "r" / "results.json").read_text())["results"]
    notes = {row["metric"]: [note for note in row["notes"] if "have this score" in note] for row in rows}
    assert notes["acc"] == []
    assert notes["bpb"] == ["0 of 3 answers have this score: what it needs is not told of the others"]
    assert {row["metric"]: row["value"] is None for row in rows} == {
        "acc": False,
        "macro_f1": False,
        "bpb": True,
        "prob": True,
    }

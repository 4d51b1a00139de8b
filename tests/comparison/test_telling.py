"""Which tasks tell models apart: signal and noise by hand, pairs as compare has them, graded metrics of any run."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gpteval
from gpteval.comparison.compare import compare
from gpteval.comparison.telling import TaskTelling, Telling, hints, is_at_chance, signal_and_noise, telling
from gpteval.core.errors import UsageError
from gpteval.metrics.named import metric_registry
from gpteval.report import build_report
from gpteval.run.rescore import rescore
from gpteval.stats.significance import holm
from gpteval.store.runs import read_runs
from tests.conftest import RunCli

TASKS = ("nano_rule", "nano_facts", "nano_prose")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("telling") / "run"
    made = gpteval.evaluate(["gpt1-nano", "gpt2-nano"], TASKS, limit=40, out=folder, device="cpu")
    assert not made.failures
    return folder


def _row(value: float, low: float, high: float, **more: Any) -> dict[str, Any]:
    return {"value": value, "ci_low": low, "ci_high": high, "n": 50, "chance": 0.5, "higher_is_better": True} | more


def test_signal_and_noise_by_hand() -> None:
    rows = [_row(0.5, 0.4, 0.6), _row(0.6, 0.52, 0.68), _row(0.9, 0.86, 0.94)]
    found = signal_and_noise(metric_registry()["acc"], rows, primary=True)
    assert found.signal == pytest.approx(0.4)
    assert found.noise == pytest.approx(math.sqrt((0.1**2 + 0.08**2 + 0.04**2) / 3) / 1.96)
    assert (found.at_chance, found.by_step, found.models, found.items) == (1, None, 3, 50)
    assert found.ratio == pytest.approx(found.signal / found.noise)


def test_metrics_that_are_compared_by_ratio_have_signal_and_noise_of_logarithms() -> None:
    name = next(name for name, metric in metric_registry().items() if metric.by_ratio)
    rows = [_row(10.0, 9.0, 11.0, higher_is_better=False), _row(20.0, 18.0, 22.0, higher_is_better=False)]
    found = signal_and_noise(metric_registry()[name], rows, primary=True)
    assert found.signal == pytest.approx(math.log(2))
    assert found.noise == pytest.approx(math.log(11 / 9) / 2 / 1.96)
    assert found.at_chance is None


def test_of_checkpoints_a_steady_rise_is_no_noise_and_scatter_is() -> None:
    def by_step(values: list[float]) -> float:
        rows = [_row(v, v, v, model_family="mine", step=n) for n, v in enumerate(values)]
        found = signal_and_noise(metric_registry()["acc"], list(reversed(rows)), primary=True)
        assert found.by_step is not None
        return found.by_step

    assert by_step([0.1, 0.2, 0.3, 0.4]) == pytest.approx(0.0, abs=1e-12)
    assert by_step([0.1, 0.2, 0.1]) == pytest.approx(0.2 / math.sqrt(6))
    draw = np.random.default_rng(0)
    seen = [by_step(draw.normal(0.5, 0.1, 5).tolist()) ** 2 for _ in range(2000)]
    assert math.sqrt(np.mean(seen)) == pytest.approx(0.1, rel=0.05), "independent checkpoints: their own spread"
    assert by_step([9.0, 0.5, 0.5, 0.5, 0.5, 0.5]) == 0.0, "the last five count"
    two = signal_and_noise(metric_registry()["acc"], [_row(v, v, v, step=n) for n, v in enumerate((0.1, 0.5))], True)
    assert two.by_step is None


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (_row(0.55, 0.5, 0.6), True),
        (_row(0.55, 0.501, 0.6), False),
        (_row(0.4, 0.3, 0.45), True),
        (_row(0.5, None, None), True),  # type: ignore[arg-type]
        (_row(0.9, None, None), False),  # type: ignore[arg-type]
        (_row(0.5, 0.4, 0.6, chance=None), False),
        (_row(0.5, 0.4, 0.6, higher_is_better=False), False),
        (_row(None, None, None), False),  # type: ignore[arg-type]
    ],
)
def test_at_chance(row: dict[str, Any], expected: bool) -> None:
    assert is_at_chance(row) is expected


def test_a_verdict_names_the_metric_that_tells() -> None:
    def said(own: int, graded: int, pairs: int = 3, guessing: int = 0) -> str:
        one = Telling("acc", True, 3, 9, 0.1, 0.1, None, guessing, own, pairs)
        return TaskTelling(
            "t", 0, "qa", (one, Telling("bpb", False, 3, 9, 0.1, 0.1, None, None, graded, pairs))
        ).verdict

    assert said(0, 2) == "use bpb here: bpb tells 2 of 3 pairs apart, acc none"
    assert said(1, 2) == "bpb tells 2 of 3 pairs apart, acc 1"
    assert said(2, 2) == "acc tells 2 of 3 pairs apart"
    assert said(0, 0, guessing=3) == "tells nothing on these items: all are at chance"
    assert said(0, 0) == "tells nothing on these items"
    assert said(0, 0, pairs=0) == "one model, nothing to tell apart"


def test_what_is_made_of_samples_is_what_a_rescored_run_says(run: Path, tmp_path: Path) -> None:
    before = {one.task: one for one in telling(str(run))}
    assert list(before) == sorted(TASKS, key=list(before).index)
    assert [m.metric for m in before["nano_facts"].metrics] == ["acc", "bpb", "prob"]
    assert len(before["nano_prose"].metrics) == 1, "a text has no right answer"
    for metric in ("bpb", "prob"):
        rescore(run, [metric])
        rows = [r for r in read_runs(str(run)).merged.rows if r["task"] == "nano_facts" and r["metric"] == metric]
        found = signal_and_noise(metric_registry()[metric], rows, primary=False)
        mine = next(one for one in before["nano_facts"].metrics if one.metric == metric)
        assert mine.signal == pytest.approx(found.signal, abs=1e-12)
        assert mine.noise == pytest.approx(found.noise, abs=1e-12)
    p = {}
    for metric in ("bpb", "prob"):
        pairs = compare(str(run), metric=metric).pairs
        p[metric] = next(pair.figure.p for pair in pairs if pair.task == "nano_facts")
    adjusted = dict(zip(p, holm(list(p.values())), strict=True))
    for one in before["nano_facts"].metrics[1:]:
        assert one.told == int(adjusted[one.metric] < 0.05)
    own = next(pair.figure.p for pair in compare(str(run)).pairs if pair.task == "nano_facts")
    assert before["nano_facts"].primary.told == int(own < 0.05)


def test_a_task_at_chance_is_marked_wherever_it_is_shown(run: Path, in_process: RunCli, tmp_path: Path) -> None:
    assert "nano_rule: no model is clearly above guessing by acc" in hints(read_runs(str(run)))[0]
    assert "nano_rule: no model is clearly above guessing" in in_process("compare", str(run)).stdout
    table = " ".join(in_process("table", str(run)).stdout.split())
    assert "no score is clearly above guessing on nano_rule" in table
    page = build_report([run], tmp_path / "page.html").read_text()
    assert page.count(">at chance</b>") == 1
    assert "No score on nano_rule is clearly above guessing" in page
    assert 'id="telling"' in page


def test_the_command_tells_all_or_one_and_says_what_to_do(run: Path, in_process: RunCli) -> None:
    told = in_process("tasks", "--run", str(run)).stdout
    assert "nano_prose" in told
    assert "- nano_rule:" in told
    one = json.loads(in_process("tasks", "nano_rule", "--run", str(run), "--json").stdout)
    assert [(row["task"], [m["metric"] for m in row["metrics"]]) for row in one] == [
        ("nano_rule", ["acc", "bpb", "prob"])
    ]
    assert one[0]["metrics"][0]["pairs"] == 1
    failed = in_process("tasks", "nano_facto", "--run", str(run))
    assert failed.returncode
    assert "nano_facts" in failed.stderr


def test_runs_without_results_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        telling(str(tmp_path))

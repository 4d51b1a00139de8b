"""Modules of the evaluate library as metrics of a task file, without network."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import gpteval
from gpteval.comparison.compare import compare
from gpteval.core.errors import TaskError
from gpteval.core.outcomes import Generated
from gpteval.core.types import Generate
from gpteval.metrics.evaluated import EvaluateMetric
from gpteval.metrics.named import metric_registry
from tests.conftest import RunCli
from tests.tiny import save_tiny

ITEMS = 24
TASK = f"""
from gpteval import Generate, generated, task

@task(
    family="qa", source=generated(lambda split: [{{"n": n}} for n in range({ITEMS})], revision="1"),
    metric="evaluate:gpteval_squad:f1", metrics=["f1", "evaluate:LENGTHS"],
)
def words(item):
    return Generate(f"{{item['n']}} dogs and", ["a fox jumps"], max_new_tokens=4)
"""
LENGTHS = '''
"""Characters of a text."""
import datasets
import evaluate

class Lengths(evaluate.Metric):
    def _info(self):
        text = datasets.Value("string")
        features = datasets.Features({"predictions": text, "references": datasets.List(text)})
        return evaluate.MetricInfo(description="d", citation="c", inputs_description="i", features=features)

    def _compute(self, predictions, references):
        return {"length": sum(map(len, predictions)) / len(predictions)}
'''


def ask(text: str, reference: str = "the cat sat") -> tuple[Generate, Generated]:
    return Generate("Q:", [reference]), Generated(text, "stop", 3)


def test_a_run_and_a_comparison_by_modules(tmp_path: Path) -> None:
    lengths = tmp_path / "lengths"
    lengths.mkdir()
    (lengths / "lengths.py").write_text(LENGTHS)
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks" / "words.py").write_text(TASK.replace("LENGTHS", str(lengths)))
    models = [str(save_tiny(tmp_path / name, seed=seed)) for seed, name in enumerate(("one", "two"))]
    found = gpteval.evaluate(models, ["words"], task_dirs=[tmp_path / "tasks"], out=tmp_path / "run", device="cpu")
    assert not found.failures
    rows = json.loads((tmp_path / "run" / "results.json").read_text())["results"]
    values = {(row["model"], row["metric"]): row["value"] for row in rows}
    assert {metric for _, metric in values} == {"evaluate:gpteval_squad:f1", "f1", "evaluate:lengths"}
    for model, _ in values:
        assert values[model, "evaluate:gpteval_squad:f1"] == pytest.approx(values[model, "f1"])
        assert 0 < values[model, "evaluate:lengths"] < 80
    assert str(tmp_path) not in (tmp_path / "run" / "results.json").read_text()
    assert any("each text alone; higher is taken as better" in note for row in rows for note in row["notes"])
    (pair,) = compare(tmp_path / "run").pairs
    assert pair.metric == "evaluate:gpteval_squad:f1"


def test_values_are_the_modules_own() -> None:
    metric, own = EvaluateMetric("evaluate:gpteval_squad:f1"), metric_registry()["f1"]
    for text in ("the cat", "The cat sat.", "no", ""):
        assert metric.stats(*ask(text)) == own.stats(*ask(text))
    assert metric.failed(ask("x")[0]) is None


ODD = '''
"""The share of characters that differ, as numbers of numpy."""
import datasets
import evaluate
import numpy as np

class Odd(evaluate.Metric):
    def _info(self):
        text = datasets.Value("string")
        features = datasets.Features({"predictions": text, "references": text})
        return evaluate.MetricInfo(description="d", citation="c", inputs_description="i", features=features)

    def _compute(self, predictions, references):
        (a,), (b,) = predictions, references
        off = sum(x != y for x, y in zip(a, b)) + abs(len(a) - len(b))
        return {"narrow": np.float32(off), "each": [off], "name": "odd"}
'''


@pytest.mark.parametrize("key", ["narrow", "each"])
def test_a_module_that_takes_one_reference_is_asked_for_each(tmp_path: Path, key: str) -> None:
    (tmp_path / "cer").mkdir()
    (tmp_path / "cer" / "cer.py").write_text(ODD)
    metric = EvaluateMetric(f"evaluate:{tmp_path / 'cer'}:{key}")
    assert not metric.higher_is_better
    request = Generate("Q:", ["cut", "cat", "a dog"])
    assert metric.stats(request, Generated("cat", "stop", 1)) == (0.0, 1.0), "the reference that fits best"
    assert metric.stats(request, Generated("cap", "stop", 1)) == (1.0, 1.0)
    assert str(tmp_path) not in metric.signature([request]) + metric.name


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("evaluate:", "names no module"),
        ("evaluate:gpteval_squad", "gives exact_match, f1, not one value"),
        ("evaluate:gpteval_squad:rouge", "gives exact_match, f1, not rouge"),
        ("evaluate:/nowhere/at/all", "cannot be loaded"),
    ],
)
def test_what_cannot_be_taken_is_named(name: str, told: str) -> None:
    with pytest.raises(TaskError, match=told):
        EvaluateMetric(name).stats(*ask("a cat"))


def test_the_direction_of_error_rates() -> None:
    assert not EvaluateMetric("evaluate:wer").higher_is_better
    assert EvaluateMetric("evaluate:meteor:meteor").higher_is_better
    assert not EvaluateMetric("evaluate:mine", higher_is_better=False).higher_is_better


def test_further_metrics_for_all_tasks_that_they_can_score(tmp_path: Path, in_process: RunCli) -> None:
    out = tmp_path / "run"
    asked = ["run", "--models", "gpt2-nano", "--tasks", "nano_topic,nano_en_fr", "--limit", "8", "--out", out]
    before = in_process(*asked, "--no-report")
    assert before.returncode == 0, before.stderr
    plain = json.loads((out / "results.json").read_text())["results"]
    done = in_process(*asked, "--no-report", "--metrics", "evaluate:gpteval_squad:f1,acc_byte,f1")
    assert done.returncode == 0, done.stderr
    rows = json.loads((out / "results.json").read_text())["results"]
    more = {(row["task"], row["metric"]) for row in rows} - {(row["task"], row["metric"]) for row in plain}
    assert more == {("nano_en_fr", "f1"), ("nano_en_fr", "evaluate:gpteval_squad:f1"), ("nano_topic", "acc_byte")}
    assert [row for row in rows if (row["task"], row["metric"]) not in more] == plain, "the others stay as they were"
    assert not any(row["primary"] for row in rows if (row["task"], row["metric"]) in more)
    wrong = in_process(*asked, "--no-report", "--metrics", "rogue1")
    assert wrong.returncode == 2, "before any work"
    assert "rouge1" in wrong.stderr

"""A task that brings its own metric is one file: run, compared and reported like any other."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

import gpteval
from gpteval.comparison.compare import compare
from gpteval.core.errors import PluginError
from gpteval.metrics.base import MeanMetric
from gpteval.report import build_report
from gpteval.report.export import export
from gpteval.tasks.registry import tasks_in_file
from tests.conftest import RunCli
from tests.tiny import save_tiny

ITEMS = 30
TASK = f'''
from gpteval import Choice, generated, task
from gpteval.metrics.base import MeanMetric

class SecondIsLikelier(MeanMetric):
    """Share of items whose second option is the likelier one."""
    name = "second_likelier"
    kind = "binary"
    FLOOR

    def score(self, request, outcome):
        first, second = (score.logprob for score in outcome.scores)
        return float(second > first)

@task(
    family="qa", source=generated(lambda split: [{{"n": n}} for n in range({ITEMS})], revision="1"),
    metric=SecondIsLikelier(), metrics=["acc"],
)
def seconds(item):
    return Choice(f"{{item['n']}} dogs and", [" a fox", f" {{item['n']}} cats"], gold=item["n"] % 2)
'''


def write(folder: Path, floor: str) -> Path:
    folder.mkdir()
    (folder / "seconds.py").write_text(TASK.replace("FLOOR", floor))
    return folder


@pytest.fixture
def run(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    tasks = write(tmp_path / "tasks", getattr(request, "param", "floor = 0.0"))
    models = [str(save_tiny(tmp_path / name, seed=seed)) for seed, name in enumerate(("one", "two"))]
    found = gpteval.evaluate(models, ["seconds"], task_dirs=[tasks], out=tmp_path / "run", device="cpu", shots=0)
    assert not found.failures
    return tmp_path / "run"


def samples(run: Path, run_cli: RunCli, model: str) -> list[dict[str, Any]]:
    told = run_cli("samples", str(run), "--model", model, "--task", "seconds", "--jsonl").stdout
    return [json.loads(line) for line in told.splitlines()]


def test_it_is_run_compared_and_reported_from_the_runs_files_alone(run: Path, in_process: RunCli) -> None:
    rows = {row["model"]: row for row in json.loads((run / "results.json").read_text())["results"] if row["primary"]}
    assert {row["metric"] for row in rows.values()} == {"second_likelier"}
    for model, row in rows.items():
        items = samples(run, in_process, model)
        likelier = [one["logprobs"][1] > one["logprobs"][0] for one in items]
        assert row["value"] == pytest.approx(sum(likelier) / ITEMS)
    (pair,) = compare(run).pairs
    values = {pair.model_a: pair.figure.value_a, pair.model_b: pair.figure.value_b}
    assert values == {model: row["value"] for model, row in rows.items()}
    assert pair.figure.test == "exact McNemar"
    (overall,) = compare(run).overall
    assert overall.figure.value_a == pytest.approx(pair.figure.value_a), "it counts in the mean: its floor is known"
    board = json.loads(export([run], "json"))
    assert {row["model"]: row["centred"] for row in board} == pytest.approx({m: r["value"] for m, r in rows.items()})
    page = build_report([run], run / "page.html").read_text()
    assert "second_likelier" in page


@pytest.mark.parametrize("run", ["pass"], indirect=True)
def test_without_a_floor_it_is_left_out_of_means_and_that_is_said(run: Path) -> None:
    found = compare(run)
    assert (len(found.pairs), found.overall) == (1, ())
    assert any("seconds is not in means: second_likelier" in remark for remark in found.remarks)


def test_a_metric_that_nothing_is_known_of_is_left_out_and_that_is_said(run: Path) -> None:
    manifest = json.loads((run / "manifest.json").read_text())
    assert manifest["metrics"].pop("second_likelier")["floor"] == 0.0
    (run / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(gpteval.GptevalError, match="no results"):
        compare(run)
    found = compare(run, metric="acc")
    assert len(found.pairs) == 1


def test_a_metric_that_was_changed_between_two_runs_is_told(run: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(run, other)
    for name in ("results.json", "manifest.json"):
        document = json.loads((other / name).read_text())
        if name == "manifest.json":
            document["metrics"]["second_likelier"]["floor"] = 0.5
            document["models"] = {
                model: facts | {"fingerprint": "another"} for model, facts in document["models"].items()
            }
        for row in document.get("results", ()):
            row["fingerprint"] = "another"
        (other / name).write_text(json.dumps(document))
    remarks = compare([run, other]).remarks
    assert any("not compared on seconds: its metric is another for each" in remark for remark in remarks)


def test_it_may_not_be_named_as_one_of_gptevals(tmp_path: Path) -> None:
    folder = write(tmp_path / "tasks", "floor = 0.0")
    path = folder / "seconds.py"
    path.write_text(path.read_text().replace("second_likelier", "acc_char"))
    with pytest.raises(PluginError, match="acc_char") as caught:
        tasks_in_file(path)
    assert "line" in caught.value.message


FAULTS = {
    "return float('nan')": "the metric second_likelier gave nan for an item, not a number from 0 to 1",
    "return 'yes'": "gave 'yes' for an item",
    "return 1.5": "gave 1.5 for an item, not a number from 0 to 1\n.*scale = None if there is no best",
    "return None": "gave None for an item",
    "return outcome.likeliest": "second_likelier fails on item [0-9a-f]{16}: AttributeError: .*\n.*seconds.py, line 13",
}


@pytest.mark.parametrize("code", FAULTS)
def test_a_score_that_is_none_ends_the_task_with_where_to_mend_it(code: str, tmp_path: Path) -> None:
    path = write(tmp_path / "tasks", "floor = 0.0") / "seconds.py"
    path.write_text(path.read_text().replace("return float(second > first)", code))
    model = save_tiny(tmp_path / "one")
    found = gpteval.evaluate(str(model), "seconds", task_dirs=[path.parent], out=tmp_path / "r", device="cpu", shots=0)
    assert found.results == ()
    (failure,) = found.failures
    assert re.search(FAULTS[code], failure.error), failure.error


def test_another_range_may_be_named(tmp_path: Path) -> None:
    path = write(tmp_path / "tasks", "scale, kind = 10.0, 'mean'") / "seconds.py"
    path.write_text(path.read_text().replace("return float(second > first)", "return 7"))
    model = save_tiny(tmp_path / "one")
    found = gpteval.evaluate(str(model), "seconds", task_dirs=[path.parent], out=tmp_path / "r", device="cpu", shots=0)
    assert [result.value for result in found.results if result.primary] == [7.0]


INCOMPLETE = {
    "score": ("def score", "def scores", "the metric SecondIsLikelier lacks score"),
    "name": ('name = "second_likelier"', "pass", "the metric SecondIsLikelier has no name"),
    "no metric": ("metric=SecondIsLikelier()", "metric=len", "<built-in function len> is no metric"),
}


@pytest.mark.parametrize("fault", INCOMPLETE)
def test_an_incomplete_one_is_told_with_what_a_metric_needs(fault: str, tmp_path: Path, in_process: RunCli) -> None:
    before, after, words = INCOMPLETE[fault]
    path = write(tmp_path / "tasks", "floor = 0.0") / "seconds.py"
    path.write_text(path.read_text().replace(before, after))
    asked = ("run", "--models", "gpt2-nano", "--tasks", "seconds", "--task-dir", path.parent, "--out", tmp_path / "r")
    refused = in_process(*asked)
    assert refused.returncode == 2
    assert refused.stderr.count(words) == 1, "an error once"
    assert "class Mine(gpteval.MeanMetric)" in refused.stderr
    checked = in_process("doctor", "--task-dir", path.parent)
    assert checked.returncode == 1
    assert re.search(rf"^BAD  tasks .*\n  not loaded: seconds.py, line \d+: {re.escape(words)}", checked.stdout, re.M)
    assert re.search(r"^ok   seconds.py .*: no task$", checked.stdout, re.M)


def test_its_class_does_for_an_object(tmp_path: Path) -> None:
    path = write(tmp_path / "tasks", "floor = 0.0") / "seconds.py"
    path.write_text(path.read_text().replace("metric=SecondIsLikelier()", "metric=SecondIsLikelier"))
    (task,) = tasks_in_file(path)
    assert task.metric == "second_likelier"


def test_an_unknown_one_is_told_with_those_that_there_are() -> None:
    from gpteval.metrics.named import metric_registry

    with pytest.raises(gpteval.GptevalError, match="unknown metric 'zzz'\n  known: .*bleu.*rouge1"):
        metric_registry()["zzz"]


def test_metrics_say_what_they_are() -> None:
    from gpteval.metrics.named import metric_registry

    known = metric_registry()
    right = {name for name, metric in known.items() if metric.kind == "binary" and metric.floor == 0.0}
    assert right == {
        name for name in known if name.startswith(("acc", "exact_match", "number_match", "last_number", "majority_"))
    }
    assert {known[name].of_choice for name in known if name.startswith("acc")} == {"acc"}
    assert all(isinstance(known[name], MeanMetric) for name in right)

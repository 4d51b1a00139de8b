"""Examples in the prompt and training on them, side by side."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest

from gpteval.experiments import prompt_or_tune as protocols
from gpteval.experiments.prompt_or_tune import MethodScore, Protocols
from gpteval.report.leaderboard import leaderboard
from gpteval.report.tuning_view import tuning_view
from gpteval.store.runs import read_runs
from tests.conftest import RunCli
from tests.tiny import save_tiny
from tests.tuning import write_tasks


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("m") / "base")


@pytest.fixture(scope="module")
def task_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tasks(tmp_path_factory.mktemp("tasks"))


def test_side_by_side_over_the_number_of_examples(
    base: Path, task_dir: Path, tmp_path: Path, in_process: RunCli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocols, "UPDATES", 8)
    asked = ["protocols", "--model", base, "--task", "fox", "--shots", "0,1", "--methods", "full,head"]
    asked += [
        "--examples",
        "8,64,all",
        "--seeds",
        "2",
        "--learning-rate",
        "0.01",
        "--epochs",
        "4",
        "--device",
        "cpu",
    ]
    asked += ["--task-dir", task_dir, "--out", tmp_path / "p"]
    done = in_process(*asked)
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "p" / "protocols.json").read_text())
    rows = {(row["protocol"], row["examples"]): row for row in found["rows"]}
    assert list(rows)[:2] == [("zero-shot", 0), ("one-shot", 1)]
    assert set(rows) >= {("full", 8), ("full", 64), ("full", 180), ("head", 8), ("head", 64), ("head", 180)}
    assert rows["full", 180]["value"] > 0.8
    assert rows["full", 64]["seeds"] == 2
    assert rows["head", 8]["trained"] < rows["full", 8]["trained"]
    assert rows["full", 8]["seconds"] > 0
    assert any(text.startswith("full: ahead of it from") for text in found["sentences"])
    assert (tmp_path / "p" / "run" / "report.html").is_file()
    loaded = read_runs([tmp_path / "p" / "run"]).merged
    view = tuning_view(loaded, leaderboard(loaded))
    assert view is not None
    curves, _ = view.charts
    names = ["prompting, acc_char", "full, acc", "head, acc"]  # a head knows no lengths
    assert [trace["name"] for trace in curves.figure["data"]] == names
    for trace in curves.figure["data"]:
        method = trace["name"].partition(",")[0]
        own = [row for row in found["rows"] if (row["protocol"] if row["trained"] else "prompting") == method]
        own.sort(key=lambda row: row["examples"])
        assert trace["y"] == pytest.approx([100 * row["value"] for row in own])
        assert trace["error_y"]["array"] == pytest.approx([100 * (row["ci_high"] - row["value"]) for row in own])
        assert trace["x"] == pytest.approx([math.log2(1 + row["examples"]) for row in own])
    again = in_process(*asked)
    assert again.returncode == 0
    assert "step" not in again.stderr, "nothing is trained again"


def test_what_cannot_be_trained_leaves_the_others(
    base: Path, task_dir: Path, tmp_path: Path, in_process: RunCli
) -> None:
    asked = ["protocols", "--model", base, "--task", "fox", "--shots", "0", "--methods", "head"]
    asked += ["--examples", "8,5000", "--seeds", "1", "--device", "cpu", "--task-dir", task_dir]
    done = in_process(*asked, "--out", tmp_path / "p")
    assert done.returncode == 1
    assert "head on 5000 examples: task fox has 200 examples to train on" in done.stderr
    found = json.loads((tmp_path / "p" / "protocols.json").read_text())
    assert [row["protocol"] for row in found["rows"]] == ["zero-shot", "head"]


@pytest.mark.parametrize(("name", "said"), [("no_split", "has no training split"), ("nothing", "unknown task")])
def test_tasks_that_cannot_be_learned(
    base: Path, task_dir: Path, tmp_path: Path, in_process: RunCli, name: str, said: str
) -> None:
    done = in_process(
        "prompt-or-tune", "--model", base, "--task", name, "--task-dir", task_dir, "--out", tmp_path / "p"
    )
    assert done.returncode
    assert said in done.stderr


def test_from_which_number_of_examples_on() -> None:
    def row(name: str, examples: int, value: float, trained: int = 9) -> MethodScore:
        return MethodScore(name, examples, 1, value, value - 0.05, value + 0.05, None, trained, 1.0, "acc")

    rows = (row("zero-shot", 0, 0.5, 0), row("5-shot", 5, 0.6, 0), row("full", 8, 0.65), row("full", 32, 0.58))
    found = Protocols("m", "t", True, (*rows, row("full", 128, 0.62), row("full", 512, 0.8)), ())
    assert found.sentences == [
        "the best prompt: 5-shot, 0.600",
        "full: ahead of it from 128 examples on, its interval above the other's from 512 on",
    ]
    assert "not ahead of it with up to 32" in replace(found, rows=rows).sentences[1]


def test_methods_that_are_none(base: Path, task_dir: Path, tmp_path: Path, in_process: RunCli) -> None:
    asked = ["protocols", "--model", base, "--task", "fox", "--methods", "head,magic", "--task-dir", task_dir]
    done = in_process(*asked, "--out", tmp_path / "out")
    assert done.returncode == 2
    assert "unknown method 'magic'" in done.stderr
    assert not (tmp_path / "out").exists()

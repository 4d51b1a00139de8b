"""Further metrics out of a run's samples: what a new run gives, to the byte."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

import gpteval
from gpteval.core.errors import OutputError, UnknownNameError, UsageError
from gpteval.run.rescore import rescore
from gpteval.store.folder import RunFolder
from tests.conftest import RunCli
from tests.tiny import save_tiny

ALL_RIGHT = """
from gpteval import Choice, generated, task

ROWS = [{"n": n} for n in range(8)]

@task(family="qa", source=generated(lambda split: ROWS, revision="1"), metric="any_greedy")
def partial(item):
    return Choice(f"Number {item['n']}:", [f" {item['n']} dogs", " a fox"], gold=0)
"""
METRICS = ("bpb", "prob", "log_odds", "brier", "log_loss", "acc_char", "ece", "brier_resolution")
TASKS = ("nano_topic", "nano_lastword", "nano_en_fr", "nano_facts")
PARTIAL = """
from gpteval import Choice, generated, task

ROWS = [{"n": n} for n in range(8)]

@task(family="qa", source=generated(lambda split: ROWS, revision="1"), metric="acc", chance=0.4)
def partial(item):
    return Choice("", [" slept all day"] * 2, gold=item["n"] % 2, leads=[f"Dog {item['n']}", f"Cat {item['n']}"])
"""


def _evaluate(models: list[str], out: Path, metrics: tuple[str, ...] = ()) -> None:
    made = gpteval.evaluate(models, TASKS, limit=12, shots=(0, 1), metrics=metrics, out=out, device="cpu")
    assert not made.failures


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A run without the metrics, and one with them; whose queries were computed once."""
    folder = tmp_path_factory.mktemp("rescored")
    models = ["gpt1-nano", str(save_tiny(folder / "tiny"))]
    _evaluate(models, folder / "before")
    _evaluate(models, folder / "with", METRICS)
    return folder / "before", folder / "with"


def rows(run: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((run / "results.json").read_text())["results"]
    return found


def test_what_a_new_run_gives_to_the_byte(runs: tuple[Path, Path], tmp_path: Path) -> None:
    before, with_them = runs
    run = tmp_path / "run"
    shutil.copytree(before, run)
    told: list[str] = []
    assert rescore(run, METRICS, told.append) == len(rows(with_them)) - len(rows(before)) > 20
    assert json.dumps(rows(run), indent=1) == json.dumps(rows(with_them), indent=1)
    files = sorted(path.name for path in (with_them / "samples").iterdir())
    for name in files:
        assert (run / "samples" / name).read_bytes() == (with_them / "samples" / name).read_bytes(), name
    assert any("prob is left out of gpt1-nano on nano_lastword: there are no wrong answers" in line for line in told)
    assert rescore(run, METRICS, told.append) == 0, "they are there"


def test_the_command_says_what_it_added(runs: tuple[Path, Path], tmp_path: Path, in_process: RunCli) -> None:
    run = tmp_path / "run"
    shutil.copytree(runs[0], run)
    done = in_process("rescore", run, "--metrics", "prob", "--json")
    assert (done.returncode, json.loads(done.stdout)["results"]) == (0, 8)
    assert "8 results added to " in done.stderr
    assert in_process("compare", run, "--metric", "prob").returncode == 0
    table = in_process("table", run, "--metric", "prob", "--tasks", "nano_topic")
    assert "prob %" in table.stdout


def test_what_samples_do_not_hold_is_refused_or_left_out(
    runs: tuple[Path, Path], tmp_path: Path, in_process: RunCli
) -> None:
    run = tmp_path / "run"
    shutil.copytree(runs[0], run)
    with pytest.raises(UsageError, match="acc_greedy cannot be made of samples\n.*run it with --metrics acc_greedy"):
        rescore(run, ["acc_greedy"])
    with pytest.raises(UsageError, match="bleu cannot be made of samples"):
        rescore(run, ["bleu"])
    with pytest.raises(UnknownNameError, match="unknown metric 'bp'\n  nearest: .*bpb"):
        rescore(run, ["bp"])
    with pytest.raises(UsageError, match="is not the folder of a run"):
        rescore(tmp_path, ["bpb"])
    held = RunFolder(run)
    with pytest.raises(OutputError, match="another run is writing"):
        rescore(run, ["bpb"])
    held.close()
    assert rows(run) == rows(runs[0])
    told: list[str] = []
    assert rescore(run, ["acc_uncond"], told.append) == 0
    assert "acc_uncond is left out of tiny on nano_facts: it was asked without a neutral context" in told


def test_where_an_answer_begins_is_not_guessed(tmp_path: Path) -> None:
    """Of a sentence with an option in it, what follows is scored: samples have the whole."""
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks" / "partial.py").write_text(PARTIAL)
    model, tasks = str(save_tiny(tmp_path / "tiny")), [tmp_path / "tasks"]
    gpteval.evaluate(model, "partial", task_dirs=tasks, out=tmp_path / "run", device="cpu", shots=0)
    told: list[str] = []
    assert rescore(tmp_path / "run", ["bpb", "prob"], told.append) == 1
    assert told == [
        "bpb is left out of tiny on partial: where the scored part of an answer begins is not in the samples"
    ]


def test_answers_that_are_all_right_have_no_wrong_ones(tmp_path: Path) -> None:
    """A run with the metrics leaves them out, too."""
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks" / "partial.py").write_text(ALL_RIGHT)
    model, tasks = str(save_tiny(tmp_path / "tiny")), [tmp_path / "tasks"]
    for run, metrics in (("run", ()), ("new", ("prob", "bpb"))):
        made = gpteval.evaluate(
            model, "partial", task_dirs=tasks, out=tmp_path / run, device="cpu", shots=0, metrics=metrics
        )
        assert not made.failures
    told: list[str] = []
    assert rescore(tmp_path / "run", ["prob", "bpb"], told.append, tasks) == 1
    assert told == ["prob is left out of tiny on partial: all of its choices are right answers"]
    assert rows(tmp_path / "run") == rows(tmp_path / "new")


def test_nothing_is_written_beside_the_run(runs: tuple[Path, Path], tmp_path: Path) -> None:
    """Whatever a manifest that somebody sent says of its files."""
    run = tmp_path / "run"
    shutil.copytree(runs[0], run)
    manifest = json.loads((run / "manifest.json").read_text())
    for listed in manifest["samples"]:
        listed["file"] = f"../../{Path(listed['file']).name}"
    (run / "manifest.json").write_text(json.dumps(manifest))
    assert rescore(run, ["prob"]) > 0
    assert [path.name for path in tmp_path.iterdir()] == ["run"]

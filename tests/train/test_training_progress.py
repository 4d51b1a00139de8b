"""What a training says while it goes on: steps once each, times that can be, and why it ends."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gpteval.cli.training_console import TrainingConsole
from gpteval.models.catalogue import resolve_models
from gpteval.models.loader import LoadOptions
from gpteval.tasks.registry import task_registry
from gpteval.train.pretrain import pretrain
from gpteval.train.training_progress import TrainingProgress
from gpteval.tune.methods import METHODS
from gpteval.tune.settings import Settings
from gpteval.tune.training import tune
from tests.tiny import save_tiny
from tests.train.test_pretrain import SEED, small
from tests.tuning import write_tasks


class Hears(TrainingProgress):
    def __init__(self) -> None:
        self.stages: list[str] = []
        self.steps: list[int] = []

    def stage(self, text: str) -> None:
        self.stages.append(text)

    def step(self, step: int, steps: int, loss: float) -> None:
        self.steps.append(step)


def test_no_time_is_told_before_it_is_known(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second training of a command begins at its first step; a step that is told twice says nothing of speed."""
    clock = iter([0.0, 0.0, 10.0, 10.0, 15.0])
    monkeypatch.setattr("gpteval.cli.training_console.time", SimpleNamespace(monotonic=lambda: next(clock)))
    shown = TrainingConsole()
    for step in (1, 1, 3, 1, 2):
        shown.step(step, 5, 2.0)
    lines = capsys.readouterr().err.splitlines()
    assert [re.sub(r"step \d/5  loss 2.000", "", line).strip() for line in lines] == [
        "",
        "",
        "0.2 steps/s  0.2 min left",
        "",
        "0.2 steps/s  0.2 min left",
    ]


def test_where_nobody_watches_lines_come_more_and_more_seldom(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(float(second) for second in range(10_000))
    monkeypatch.setattr("gpteval.cli.training_console.time", SimpleNamespace(monotonic=lambda: next(clock)))
    shown = TrainingConsole()
    for step in range(1, 4001):
        shown.step(step, 4000, 2.0)
    told = [int(step) for step in re.findall(r"step (\d+)/", capsys.readouterr().err)]
    assert told[:5] == [1, 2, 3, 4, 5]
    assert told[-1] == 4000
    assert 60 < len(told) < 100
    shown.packed(10, 20)
    shown.packed(11, 20)
    assert "10 of 20 tokens of text" in capsys.readouterr().err


def test_a_step_that_takes_long_is_told_before_it_is_logged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gpteval.train.pretrain.TOLD_SECONDS", 0.0)
    heard: list[tuple[int, float]] = []

    class Losses(TrainingProgress):
        def step(self, step: int, steps: int, loss: float) -> None:
            heard.append((step, loss))

    recipe = small("gpt2-nano")
    pretrain(recipe, tmp_path / "m", steps=20, seed=SEED, device="cpu", progress=Losses())
    assert [step for step, _ in heard] == list(range(1, 21)), "logged are two of ten"
    assert all(2 < loss < 12 for _, loss in heard)


def test_each_step_is_told_once_and_what_is_left_is_said(tmp_path: Path) -> None:
    heard = Hears()
    pretrain(small("gpt2-nano"), tmp_path / "m", seed=SEED, device="cpu", max_minutes=0, progress=heard)
    assert heard.steps == [1]
    assert heard.stages[-1] == "9 steps are left: run the same command again to go on"
    pretrain(small("gpt2-nano"), tmp_path / "m", seed=SEED, device="cpu", progress=heard)
    assert heard.steps == list(range(1, 11))
    assert "goes on from step 1" in heard.stages


@pytest.mark.parametrize("method", METHODS)
def test_no_more_weights_are_trained_than_there_are_and_an_early_stop_is_told(method: str, tmp_path: Path) -> None:
    (tmp_path / "tasks").mkdir()
    base, tasks = save_tiny(tmp_path / "base"), write_tasks(tmp_path / "tasks")
    heard = Hears()
    settings: dict[str, Any] = {"method": method, "learning_rate": 0.3, "epochs": 6, "patience": 1, "examples": 30}
    (info,) = resolve_models([str(base)])
    task, load = task_registry((tasks,))["fox"], LoadOptions(device="cpu")
    about = tune(info, task, tmp_path / "out", Settings(**settings), load, heard)
    assert 0 < about.trained <= about.parameters
    (line,) = [text for text in heard.stages if text.startswith("training ")]
    trained, parameters = (int(number.replace(",", "")) for number in re.findall(r"[\d,]+(?= )", line)[:2])
    assert (trained, parameters) == (about.trained, about.parameters)
    assert float(re.findall(r"([\d.]+)%", about.note)[0]) <= 100
    steps = about.validation_losses
    early = len(steps) < settings["epochs"]
    assert early or method != "full", "at such a learning rate it stops early"
    if early:
        best = min(steps, key=lambda step: step[1])
        assert f"the validation loss was lowest at step {best[0]} " in heard.stages[-1]

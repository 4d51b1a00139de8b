"""Ways of tuning beside the paper's own, and the command."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch

from gpteval.core.errors import OutputError, UsageError
from gpteval.models.catalogue import resolve_models
from gpteval.models.loader import LoadOptions
from gpteval.run.evaluate import evaluate
from gpteval.tasks.registry import task_registry
from gpteval.train.training_progress import TrainingProgress
from gpteval.tune.methods import METHODS, RATES, SIZES, WEIGHTS
from gpteval.tune.saved import read_tuned
from gpteval.tune.settings import Settings, options
from gpteval.tune.training import tune
from gpteval.tune.tuned_info import HEAD
from tests.conftest import RunCli
from tests.finetune_tasks import base, task_dir  # noqa: F401  (fixtures)
from tests.tiny import save_tiny
from tests.tuning import causal, tuned


@pytest.mark.parametrize("method", ["lora", "prefix", "adapter", "head"])
def test_other_methods_learn_too(base: Path, task_dir: Path, tmp_path: Path, method: str) -> None:
    epochs = 30 if method == "prefix" else 12
    about = tuned(
        base, task_dir, "fox", tmp_path / method, method=method, epochs=epochs, learning_rate=3e-2, patience=epochs
    )
    evaluate([str(tmp_path / method)], ("fox",), out=tmp_path / "run", device="cpu", task_dirs=(task_dir,))
    (row,) = [r for r in json.loads((tmp_path / "run" / "results.json").read_text())["results"] if r["primary"]]
    assert row["value"] > 0.85
    assert about.validation_losses[-1][1] < about.validation_losses[0][1]
    assert about.validation_accuracy == pytest.approx(row["value"], abs=0.15)
    half = tmp_path / "half"
    evaluate([str(tmp_path / method)], ("fox",), out=half, device="cpu", dtype="bfloat16", task_dirs=(task_dir,))
    (again,) = [r for r in json.loads((half / "results.json").read_text())["results"] if r["primary"]]
    assert again["value"] == pytest.approx(row["value"], abs=0.05)
    if method != "lora":
        assert torch.equal(causal(tmp_path / method).lm_head.weight, causal(base).lm_head.weight)


def test_answers_of_ones_own_are_learned(base: Path, task_dir: Path, tmp_path: Path) -> None:
    tuned(base, task_dir, "which", tmp_path / "which", epochs=12, patience=12, learning_rate=3e-3)
    evaluate([str(tmp_path / "which")], ("which",), out=tmp_path / "run", device="cpu", task_dirs=(task_dir,))
    (row,) = [r for r in json.loads((tmp_path / "run" / "results.json").read_text())["results"] if r["primary"]]
    assert row["chance"] == pytest.approx(1 / 3)
    assert row["value"] > 0.8


def test_a_task_of_texts_is_written_as_learned(base: Path, task_dir: Path, tmp_path: Path) -> None:
    tuned(base, task_dir, "says", tmp_path / "says", epochs=6, learning_rate=3e-3, patience=6)
    assert not (tmp_path / "says" / HEAD).exists()
    evaluate([str(base), str(tmp_path / "says")], ("says",), out=tmp_path / "run", device="cpu", task_dirs=(task_dir,))
    results = json.loads((tmp_path / "run" / "results.json").read_text())["results"]
    before, after = (row for row in results if row["primary"])
    assert (before["protocol"], after["protocol"]) == ("zero_shot", "finetune")
    assert before["value"] < 0.1
    assert after["value"] > 0.7, "yes or no, and nothing else"


def test_a_head_is_no_method_for_texts(base: Path, task_dir: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="head takes no part in it"):
        tuned(base, task_dir, "says", tmp_path / "out", method="head")


def test_a_training_that_was_stopped_goes_on_to_the_same_loss(base: Path, task_dir: Path, tmp_path: Path) -> None:
    whole = tuned(base, task_dir, "fox", tmp_path / "whole", epochs=3)

    class Stops(TrainingProgress):
        def step(self, step: int, steps: int, loss: float) -> None:
            if step > steps // 2:
                raise KeyboardInterrupt

    class Hears(TrainingProgress):
        def stage(self, text: str) -> None:
            said.append(text)

    (info,) = resolve_models([str(base)])
    task = task_registry((task_dir,))["fox"]
    settings = Settings(learning_rate=1e-2, epochs=3)
    with pytest.raises(KeyboardInterrupt):
        tune(info, task, tmp_path / "part", settings, LoadOptions(device="cpu"), Stops())
    assert read_tuned(tmp_path / "part") is None
    (tmp_path / "part" / "checkpoints" / "checkpoint-999").mkdir()  # killed while it was written
    with pytest.raises(OutputError, match="begun with another epochs: 3, not 4"):
        tuned(base, task_dir, "fox", tmp_path / "part", epochs=4)
    said: list[str] = []
    part = tune(info, task, tmp_path / "part", settings, LoadOptions(device="cpu"), Hears())
    assert any("goes on from checkpoint-" in text for text in said)
    assert [step for step, _ in part.validation_losses] == [step for step, _ in whole.validation_losses]
    for (_, a), (_, b) in zip(part.validation_losses, whole.validation_losses, strict=True):
        assert a == pytest.approx(b, abs=1e-4)
    first, second = causal(tmp_path / "whole"), causal(tmp_path / "part")
    for a, b in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.allclose(a, b, atol=1e-4)


def test_the_command(base: Path, task_dir: Path, tmp_path: Path, in_process: RunCli) -> None:
    out = tmp_path / "ft"
    asked = [
        "finetune",
        "--model",
        base,
        "--task",
        "fox",
        "--epochs",
        "1",
        "--learning-rate",
        "0.01",
        "--device",
        "cpu",
    ]
    done = in_process(*asked, "--examples", "64", "--task-dir", task_dir, "--out", out)
    assert done.returncode == 0
    assert done.stdout.strip() == str(out)
    assert "gpteval run --models" in done.stderr
    card = (out / "README.md").read_text()
    about = read_tuned(out)
    assert about
    assert f"gpteval finetune --model {base.name} --task fox --examples 64 --epochs 1 --learning-rate 0.01" in card
    assert f"| on {about.validation} validation examples | |" in card
    assert f"| accuracy | {about.validation_accuracy:.4f} |" in card
    again = in_process(*asked, "--examples", "64", "--task-dir", task_dir, "--out", out)
    assert again.returncode != 0
    assert "holds a tuned model already" in again.stderr


@pytest.mark.parametrize("method", METHODS)
def test_the_command_of_a_card_gives_the_same_settings(method: str) -> None:
    asked = Settings(method=method, examples=64, seed=3, cut=True)
    used = asdict(asked) | {"learning_rate": RATES[method], "size": SIZES[method], "weight": WEIGHTS[method]}
    words = iter(options(used).split())
    given: dict[str, Any] = {}
    for word in words:
        name = word.removeprefix("--").replace("-", "_")
        given[name] = True if name == "cut" else json.loads(text) if (text := next(words))[0].isdigit() else text
    again = Settings(**given)
    assert asdict(again) | {"size": again.size or 0} == used


def test_tensorboard_is_told_when_asked(base: Path, task_dir: Path, tmp_path: Path, in_process: RunCli) -> None:
    asked = ["finetune", "--model", base, "--task", "fox", "--epochs", "1", "--examples", "64", "--device", "cpu"]
    for folder, more in (("quiet", []), ("told", ["--track", "tensorboard"])):
        done = in_process(*asked, *more, "--task-dir", task_dir, "--out", tmp_path / folder)
        assert done.returncode == 0, done.stderr
    assert not (tmp_path / "quiet" / "logs").exists()
    assert list((tmp_path / "told" / "logs").glob("events.*"))
    assert not (tmp_path / "told" / "checkpoints").exists(), "nobody needs them any more"
    done = in_process(*asked, "--track", "paper", "--task-dir", task_dir, "--out", tmp_path / "x")
    assert done.returncode == 2
    assert "tensorboard" in done.stderr


def _unlike_lengths(task_dir: Path, out: Path) -> Path:
    """The tasks with training texts and answers of unlike lengths."""
    shutil.copytree(task_dir, out)
    tasks = (out / "things.py").read_text()
    assert '["yes" if' in tasks
    (out / "things.py").write_text(tasks.replace('["yes" if', '["yes, it is" if'))
    rows = [json.loads(line) for line in (task_dir / "train.jsonl").read_text().splitlines()]
    for number, row in enumerate(rows):
        row["text"] = " ".join(row["text"].split()[: 2 + 2 * (number % 3)])
    (out / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return out


@pytest.mark.parametrize(("task", "weight"), [("fox", 0.5), ("which", 0.5), ("says", None)])
def test_a_loss_does_not_depend_on_how_a_step_is_cut(
    task_dir: Path, tmp_path: Path, task: str, weight: float | None
) -> None:
    """Means over items and tokens of the whole step; 8 + 8 + 4 items an epoch, so the last step is cut otherwise."""
    tasks = _unlike_lengths(task_dir, tmp_path / "tasks")
    base = save_tiny(tmp_path / "base", attn_pdrop=0.0, embd_pdrop=0.0, resid_pdrop=0.0)
    made = {}
    for parts in (1, 2, 4, 8):
        about = tuned(
            base,
            tasks,
            task,
            tmp_path / str(parts),
            batch_size=8,
            accumulate=parts,
            examples=20,
            epochs=2,
            dropout=0.0,
            weight=weight,
        )
        made[parts] = [loss for _, loss in (*about.losses, *about.validation_losses)]
    assert len(made[1]) >= 3
    for parts in (2, 4, 8):
        assert made[parts] == pytest.approx(made[1], rel=1e-4), parts

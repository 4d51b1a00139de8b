"""Fine-tuning: what is refused before any training, and the tuned model as any other."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import transformers

from gpteval.core.errors import DataError, GptevalError, ModelError, OutputError, TaskError, UsageError
from gpteval.report import build_report
from gpteval.run.evaluate import evaluate
from gpteval.run.units import Listener
from gpteval.tune import training
from gpteval.tune.saved import read_tuned
from gpteval.tune.tuned_info import ABOUT, HEAD
from tests.conftest import RunCli
from tests.finetune_tasks import base, task_dir  # noqa: F401  (fixtures)
from tests.tuning import tuned


class TestRefused:
    """Before any training: nothing is written but what was asked for."""

    @pytest.mark.parametrize(
        ("name", "error", "said"),
        [
            ("no_split", TaskError, "has no training split"),
            ("lost_split", DataError, "its training split 'other' is not available"),
            ("one_class", TaskError, "all 180 examples are of the class"),
            ("unlabelled", GptevalError, "cannot be posed"),
            ("long", UsageError, "texts are longer than the window of 48 tokens"),
            ("texts", TaskError, "has no choices"),
            ("again", TaskError, "all 200 rows of its training split are evaluated too"),
        ],
    )
    def test_tasks(self, base: Path, task_dir: Path, tmp_path: Path, name: str, error: Any, said: str) -> None:
        with pytest.raises(error, match=said):
            tuned(base, task_dir, name, tmp_path / "out")
        assert not (tmp_path / "out").exists()

    @pytest.mark.parametrize(
        ("settings", "said"),
        [
            ({"method": "magic"}, "unknown method 'magic'"),
            ({"examples": 1}, "cannot be learned from fewer than 2"),
            ({"examples": 5000}, "has 200 examples to train on, 5000 are asked for"),
            ({"epochs": 0}, "--epochs is 0"),
            ({"batch_size": 32, "accumulate": 5}, "does not divide"),
            ({"learning_rate": -1.0}, "--learning-rate is -1.0"),
            ({"dropout": 1.0}, "--dropout"),
        ],
    )
    def test_settings(self, base: Path, task_dir: Path, tmp_path: Path, settings: Any, said: str) -> None:
        with pytest.raises(UsageError, match=said):
            tuned(base, task_dir, "fox", tmp_path / "out", **settings)

    @pytest.mark.parametrize(
        ("options", "said"),
        [
            (["--model", "nano", "--task", "fox"], "--model nano stands for 5 models"),
            (["--model", "gpt2-nano", "--task", "nano"], "--task nano stands for 10 tasks"),
            (["--model", "openai:gpt-4o", "--task", "fox"], "is behind an API"),
        ],
    )
    def test_names(self, task_dir: Path, tmp_path: Path, in_process: RunCli, options: list[str], said: str) -> None:
        done = in_process("finetune", *options, "--task-dir", task_dir, "--out", tmp_path / "out")
        assert done.returncode == 2
        assert said in done.stderr
        assert not (tmp_path / "out").exists()

    def test_without_accelerate(
        self, base: Path, task_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(training, "find_spec", lambda name: None)
        with pytest.raises(UsageError, match="needs accelerate"):
            tuned(base, task_dir, "fox", tmp_path / "out")

    def test_a_loss_that_is_not_finite(self, base: Path, task_dir: Path, tmp_path: Path) -> None:
        with pytest.raises(ModelError, match="the loss on the validation examples is not finite"):
            tuned(base, task_dir, "fox", tmp_path / "out", learning_rate=1e38, epochs=1)
        assert not (tmp_path / "out").exists(), "so that the corrected command can be given"

    def test_folders_that_hold_something_else(self, base: Path, task_dir: Path, tmp_path: Path) -> None:
        (tmp_path / "mine.txt").write_text("x")
        with pytest.raises(OutputError, match="is not empty"):
            tuned(base, task_dir, "fox", tmp_path)
        assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


class Warned(Listener):
    def __init__(self) -> None:
        self.said: list[str] = []

    def warned(self, message: str) -> None:
        self.said.append(message)


@pytest.fixture(scope="module")
def fox(base: Path, task_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("ft") / "fox"
    tuned(base, task_dir, "fox", out, epochs=4)
    return out


class TestTheTunedModel:
    def test_it_runs_like_any_other_and_beats_what_it_was(
        self, base: Path, fox: Path, task_dir: Path, tmp_path: Path
    ) -> None:
        first = evaluate([str(base), str(fox)], ("fox",), out=tmp_path / "run", device="cpu", task_dirs=(task_dir,))
        assert not first.failures
        results = json.loads((tmp_path / "run" / "results.json").read_text())["results"]
        primary = {row["model"]: row for row in results if row["primary"]}
        before, after = primary[base.name], primary[fox.name]
        assert (before["protocol"], before["metric"]) == ("zero_shot", "acc_char")
        assert (after["protocol"], after["metric"]) == ("finetune", "acc")
        assert after["value"] > 0.95
        assert after["n"] == 60
        assert any("tuned for this task: full" in note for note in after["notes"])
        again = evaluate([str(fox)], ("fox",), out=tmp_path / "run", device="cpu", task_dirs=(task_dir,))
        assert not again.failures

    @pytest.mark.parametrize(
        ("old", "new"),
        [
            ("A fox?", "Is there one?"),
            ('[" no", " yes"], gold=item["fox"]', '[" no", " yes"], gold=1 - item["fox"]'),
            ('gold=item["fox"])', 'gold=item["fox"], parts=[item["text"][::-1]])'),
        ],
    )
    def test_another_task_of_its_name_and_classes_is_another(
        self, fox: Path, task_dir: Path, tmp_path: Path, old: str, new: str
    ) -> None:
        other = tmp_path / "tasks"
        shutil.copytree(task_dir, other)
        source = (other / "things.py").read_text()
        assert old in source
        (other / "things.py").write_text(source.replace(old, new))
        told = Warned()
        found = evaluate([str(fox)], ("fox",), out=tmp_path / "run", task_dirs=(other,), limit=20, listener=told)
        assert not found.failures
        assert {row.protocol for row in found.results} == {"zero_shot"}
        assert "tuned for a task fox that asks otherwise than this one" in " ".join(told.said)
        assert not any("tuned for this task" in note for row in found.results for note in row.notes)

    def test_another_limit_and_seed_are_the_same_task(self, fox: Path, task_dir: Path, tmp_path: Path) -> None:
        found = evaluate([str(fox)], ("fox",), out=tmp_path / "run", task_dirs=(task_dir,), limit=3, seed=9)
        assert {row.protocol for row in found.results} == {"finetune"}

    def test_other_processes_ask_the_head_too(self, fox: Path, task_dir: Path, tmp_path: Path) -> None:
        common: dict[str, Any] = {"device": "cpu", "cache": False, "task_dirs": (task_dir,)}
        evaluate([str(fox)], ("fox",), out=tmp_path / "one", **common)
        evaluate([str(fox)], ("fox",), out=tmp_path / "two", executor="process", workers=1, **common)
        one, two = (json.loads((tmp_path / name / "results.json").read_text())["results"] for name in ("one", "two"))
        assert [row | {"seconds": 0} for row in one] == [row | {"seconds": 0} for row in two]

    def test_examples_in_the_prompt_ask_its_language_model(self, fox: Path, task_dir: Path, tmp_path: Path) -> None:
        evaluate([str(fox)], ("fox",), out=tmp_path, device="cpu", task_dirs=(task_dir,), shots=[1])
        results = json.loads((tmp_path / "results.json").read_text())["results"]
        assert {row["protocol"] for row in results} == {"one_shot"}

    def test_what_it_was_trained_on_is_not_evaluated(self, fox: Path, task_dir: Path, tmp_path: Path) -> None:
        about = json.loads((fox / ABOUT).read_text())
        other = tmp_path / "other"
        other.mkdir()
        for path in fox.iterdir():
            if path.is_file():
                (other / path.name).write_bytes(path.read_bytes())
        train = (task_dir / "train.jsonl").read_text()
        moved = tmp_path / "tasks"
        moved.mkdir()
        (moved / "things.py").write_text((task_dir / "things.py").read_text())
        (moved / "test.jsonl").write_text(train)
        (moved / "train.jsonl").write_text(train)
        outcome = evaluate([str(other)], (about["task"],), out=tmp_path / "run", device="cpu", task_dirs=(moved,))
        assert "was trained on 200 of these 200 items" in outcome.failures[0].error

    def test_the_report_shows_what_was_trained(self, base: Path, fox: Path, task_dir: Path, tmp_path: Path) -> None:
        evaluate([str(base), str(fox)], ("fox",), out=tmp_path / "run", device="cpu", task_dirs=(task_dir,))
        page = build_report([tmp_path / "run"], tmp_path / "report.html").read_text()
        about = read_tuned(fox)
        assert about
        view = page[page.index('<section id="tuning"') :]
        assert f"<td><bdi>{about.trained:,}</bdi></td>" in view
        assert f"<td><bdi>{about.examples:,}</bdi></td>" in view
        assert f"step {about.validation_losses[-1][0]}: validation loss {about.validation_losses[-1][1]:.3f}" in page
        evaluate([str(base)], ("fox",), out=tmp_path / "plain", device="cpu", task_dirs=(task_dir,))
        assert "#tuning" not in build_report([tmp_path / "plain"], tmp_path / "plain.html").read_text()

    def test_plain_transformers_loads_it(self, fox: Path) -> None:
        model = transformers.AutoModelForCausalLM.from_pretrained(fox)
        words = transformers.AutoTokenizer.from_pretrained(fox)
        ids = words("the quick", return_tensors="pt")["input_ids"]
        assert model.generate(ids, max_new_tokens=3, do_sample=False, pad_token_id=0).shape[1] > ids.shape[1]

    def test_a_damaged_one_says_so(self, fox: Path, task_dir: Path, tmp_path: Path) -> None:
        for path in fox.iterdir():
            if path.is_file():
                (tmp_path / path.name).write_bytes(path.read_bytes())
        (tmp_path / ABOUT).write_text("{}")
        outcome = evaluate([str(tmp_path)], ("fox",), out=tmp_path / "run", device="cpu", task_dirs=(task_dir,))
        assert "tune the model again" in outcome.failures[0].error
        assert (tmp_path / HEAD).is_file()

    def test_it_is_not_tuned_twice(self, base: Path, fox: Path, task_dir: Path) -> None:
        with pytest.raises(OutputError, match="holds a tuned model already"):
            tuned(base, task_dir, "fox", fox, epochs=4)

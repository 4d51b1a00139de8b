"""The right model's numbers: what belongs to a model's key, which files are taken, rows that other weights made."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from gpteval.core.errors import ModelError
from gpteval.models.catalogue import ModelInfo, resolve_models
from gpteval.models.checkpoint import INDEX
from gpteval.models.loader import HFModel, LoadOptions
from gpteval.run.config import RunConfig
from gpteval.run.evaluate import evaluate
from gpteval.run.runner import execute
from gpteval.run.units import Listener
from gpteval.store.runs import read_runs
from gpteval.tasks.registry import task_registry
from tests.tiny import save_tiny

TASK = """
from gpteval import Choice, generated, task
rows = [{"n": n} for n in range(8)]
@task(family="qa", source=generated(lambda split: rows, revision="1"), metric="acc", metrics=["macro_f1"])
def count(item):
    return Choice(f"the dog {item['n']} is", [" the fox", " a lazy sky"], gold=item["n"] % 2)
"""
# A model whose own code turns its logits around.
CODE = """
from transformers import GPT2LMHeadModel
class Turned(GPT2LMHeadModel):
    def forward(self, *args, **kwargs):
        out = super().forward(*args, **kwargs)
        out.logits = -out.logits
        return out
"""


@pytest.fixture
def tasks(tmp_path: Path) -> Path:
    folder = tmp_path / "tasks"
    folder.mkdir()
    (folder / "count.py").write_text(TASK)
    return folder


def load(folder: Path, **options: bool) -> HFModel:
    return HFModel(ModelInfo(name=folder.name, location=str(folder), local=True), LoadOptions("cpu", **options))


def in_parts(folder: Path, *names: str) -> dict[str, str]:
    """Split a folder's weights over files of these names; the index's map."""
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    of_tensor = {tensor: names[number % len(names)] for number, tensor in enumerate(sorted(tensors))}
    for name in names:
        part = {tensor: tensors[tensor] for tensor, file in of_tensor.items() if file == name}
        (folder / name).parent.mkdir(exist_ok=True)
        if name.endswith(".safetensors"):
            save_file(part, folder / name, metadata={"format": "pt"})
        else:
            torch.save(part, folder / name)
    index = {"metadata": {"total_size": 1}, "weight_map": of_tensor}
    (folder / INDEX).write_text(json.dumps(index))
    return of_tensor


class TestKey:
    def test_the_models_own_code_is_another_model(self, tmp_path: Path, tasks: Path) -> None:
        folder = save_tiny(tmp_path / "m")
        config = json.loads((folder / "config.json").read_text())
        config["auto_map"] = {"AutoModelForCausalLM": "turned.Turned"}
        (folder / "config.json").write_text(json.dumps(config))
        (folder / "turned.py").write_text(CODE)
        values = {}
        for trusted in (False, True):
            options = LoadOptions("cpu", trust_remote_code=trusted)
            out = tmp_path / f"trusted {trusted}"
            run = execute(RunConfig((str(folder),), ("count",), load=options, task_dirs=(tasks,), out=out))
            assert not run.failures, run.failures
            values[trusted] = run.results[0].value
        plain, turned = (load(folder, trust_remote_code=t) for t in (False, True))
        assert type(turned.module).__name__ == "Turned"
        assert plain.key != turned.key
        assert values[True] == pytest.approx(1 - values[False]), "turned logits prefer what the others did not"

    def test_changed_code_is_another_model(self, tmp_path: Path) -> None:
        folder = save_tiny(tmp_path / "m")
        config = json.loads((folder / "config.json").read_text())
        config["auto_map"] = {"AutoModelForCausalLM": "turned.Turned"}
        (folder / "config.json").write_text(json.dumps(config))
        (folder / "turned.py").write_text(CODE)
        before = load(folder).fingerprint
        (folder / "turned.py").write_text(CODE.replace("-out.logits", "2 * out.logits"))
        assert load(folder).fingerprint != before

    def test_a_part_in_a_subfolder_belongs_to_the_fingerprint(self, tmp_path: Path) -> None:
        folder = save_tiny(tmp_path / "m")
        in_parts(folder, "parts/a.safetensors", "parts/b.safetensors")
        model = load(folder)
        before, logits = model.fingerprint, model.module(input_ids=torch.tensor([[5, 6, 7]])).logits
        part = load_file(folder / "parts" / "b.safetensors")
        save_file(
            {name: -tensor for name, tensor in part.items()}, folder / "parts" / "b.safetensors", {"format": "pt"}
        )
        changed = load(folder)
        assert changed.fingerprint != before
        assert not torch.allclose(changed.module(input_ids=torch.tensor([[5, 6, 7]])).logits, logits)


class TestFiles:
    def test_an_index_may_not_smuggle_a_pickle_in(self, tmp_path: Path) -> None:
        folder = save_tiny(tmp_path / "m")
        in_parts(folder, "a.safetensors", "b.bin")
        with pytest.raises(ModelError, match=r"names b\.bin, which is not a safetensors file(.|\n)*--allow-pickle"):
            load(folder)

    def test_a_broken_index_is_named(self, tmp_path: Path) -> None:
        folder = save_tiny(tmp_path / "m")
        (folder / INDEX).write_text('{"weight_map": 3}')
        with pytest.raises(ModelError, match=INDEX):
            load(folder)

    @pytest.mark.parametrize("architecture", ["gpt2", "openai-gpt", "gpt_neox"])
    def test_a_folder_without_a_tokenizer_is_refused(self, tmp_path: Path, architecture: str) -> None:
        folder = save_tiny(tmp_path / "m", architecture)
        for path in folder.glob("*token*"):
            path.unlink()
        with pytest.raises(ModelError, match="tokenizer"):
            load(folder)

    def test_tokens_beyond_the_embedding_matter_where_they_occur(self, tmp_path: Path, tasks: Path) -> None:
        folder = save_tiny(tmp_path / "m")
        tokenizer = load(folder).codec.tokenizer
        tokenizer.add_tokens(["zebra"])
        tokenizer.save_pretrained(folder)
        fine = evaluate(str(folder), "count", task_dirs=(tasks,), out=tmp_path / "fine")
        assert fine.results[0].coverage == 1
        (tasks / "count.py").write_text(TASK.replace('"the dog', "\"the {'zebra' if item['n'] == 3 else 'dog'}"))
        task_registry.cache_clear()
        some = evaluate(str(folder), "count", task_dirs=(tasks,), out=tmp_path / "some")
        assert some.results[0].coverage == 7 / 8
        assert any("'zebra') is beyond the model's embedding" in note for note in some.results[0].notes)

    def test_three_folders_of_one_name_all_run(
        self, tmp_path: Path, tasks: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        folders = [f"{parent}/a/m" for parent in "xyz"]
        for seed, folder in enumerate(folders):
            save_tiny(tmp_path / folder, seed=seed)
        run = evaluate(folders, "count", task_dirs=(tasks,), out=tmp_path / "run")
        assert [r.model for r in run.results if r.primary] == folders == [i.name for i in resolve_models(folders)]
        assert len(list((tmp_path / "run" / "samples").iterdir())) == 3


class TestStaleRows:
    def run(self, model: Path, tasks: Path, out: Path, names: str | list[str] = "count") -> Any:
        outcome = evaluate(str(model), names, task_dirs=(tasks,), out=out)
        return outcome, json.loads((out / "results.json").read_text())["results"]

    def test_a_row_says_whose_it_is(self, tmp_path: Path, tasks: Path) -> None:
        folder = save_tiny(tmp_path / "m")
        _, rows = self.run(folder, tasks, tmp_path / "run")
        assert {row["fingerprint"] for row in rows} == {load(folder).fingerprint}
        assert not any(row["stale"] for row in rows)

    def test_rows_of_other_weights_are_marked_until_they_are_made_again(self, tmp_path: Path, tasks: Path) -> None:
        folder, out = save_tiny(tmp_path / "m"), tmp_path / "run"
        (tasks / "other.py").write_text(TASK.replace("def count", "def other"))
        _, before = self.run(folder, tasks, out, ["count", "other"])
        save_tiny(folder, seed=5)
        _, rows = self.run(folder, tasks, out, "other")
        assert {row["task"]: row["stale"] for row in rows} == {"count": True, "other": False}
        kept = [row | {"stale": False} for row in rows if row["task"] == "count"]
        assert kept == [row for row in before if row["task"] == "count"]
        shown = read_runs([out]).merged
        assert {row["task"] for row in shown.rows if any("stale" in note for note in row["notes"])} == {"count"}
        _, rows = self.run(folder, tasks, out, ["count"])
        assert not any(row["stale"] for row in rows)

    def test_a_failed_load_leaves_a_stale_row_with_its_own_fingerprint(self, tmp_path: Path, tasks: Path) -> None:
        folder, out = save_tiny(tmp_path / "m"), tmp_path / "run"
        _, (row, _) = self.run(folder, tasks, out)
        weights = folder / "model.safetensors"
        weights.write_bytes(weights.read_bytes()[:1000])
        outcome, (after, _) = self.run(folder, tasks, out)
        assert outcome.failures
        assert after == row | {"stale": True}


def test_a_digit_changed_in_the_journal_is_not_believed(tmp_path: Path, tasks: Path) -> None:
    model, out = save_tiny(tmp_path / "m"), tmp_path / "run"

    def run() -> list[float]:
        outcome = evaluate(str(model), "count", task_dirs=(tasks,), out=out, cache=False, listener=listener)
        return [result.value for result in outcome.results]

    class Warnings(Listener):
        told: list[str] = []  # noqa: RUF012

        def warned(self, message: str) -> None:
            self.told.append(message)

    listener = Warnings()
    first = run()
    assert not listener.told
    with sqlite3.connect(out / "journal.sqlite") as db:
        ((key, value),) = db.execute("SELECT key, value FROM rows LIMIT 1").fetchall()
        assert b",-" in value
        db.execute("UPDATE rows SET value = ? WHERE key = ?", (value.replace(b",-", b",-9", 1), key))
    db.close()
    assert run() == first
    assert "1 result in journal.sqlite is not what was written" in listener.told[0]

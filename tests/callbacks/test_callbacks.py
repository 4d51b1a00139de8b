"""Scoring in the middle of a training: the numbers of the saved checkpoint, within the time, and nothing disturbed."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import transformers

from gpteval.callbacks import EvaluateDuringTraining, score
from gpteval.core.errors import ModelError, UsageError
from gpteval.report.training_view import training
from gpteval.run.evaluate import evaluate
from gpteval.store.runs import read_runs
from tests.tiny import byte_level_tokenizer, save_tiny

TASKS = """
from gpteval import Choice, Generate, file, task

@task(family="qa", source=file("rows.jsonl"), metric="acc")
def weather(item):
    return Choice(f"The {item['text']} is", [" up", " down"], gold=item["label"])

@task(family="summarization", source=file("rows.jsonl"), metric="exact_match")
def told(item):
    return Generate(f"The {item['text']} is", ["up"], max_new_tokens=4)
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GPTEVAL_CACHE", str(tmp_path / "cache"))
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks" / "mine.py").write_text(TASKS)
    rows = [{"text": f"number {n}", "label": n % 2} for n in range(40)]
    (tmp_path / "tasks" / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path


def trainer(folder: Path, steps: int = 4, **settings: Any) -> transformers.Trainer:
    save_tiny(folder / "start", attn_pdrop=0.1, resid_pdrop=0.1)
    model = transformers.AutoModelForCausalLM.from_pretrained(folder / "start")
    ids = torch.randint(3, 300, (64, 16), generator=torch.Generator().manual_seed(0))
    return transformers.Trainer(
        model=model,
        args=transformers.TrainingArguments(
            output_dir=str(folder / "out"),
            max_steps=steps,
            per_device_train_batch_size=4,
            learning_rate=1e-2,
            logging_steps=1,
            save_steps=2,
            report_to=[],
            disable_tqdm=True,
            use_cpu=True,
            **settings,
        ),
        data_collator=transformers.default_data_collator,
        train_dataset=[{"input_ids": row, "labels": row} for row in ids],
        processing_class=byte_level_tokenizer(),
    )


def losses(one: transformers.Trainer) -> list[float]:
    return [entry["loss"] for entry in one.state.log_history if "loss" in entry]


def values(run: Path, model: str) -> dict[tuple[str, str], float]:
    rows = json.loads((run / "results.json").read_text())["results"]
    return {(row["task"], row["metric"]): row["value"] for row in rows if row["model"] == model}


def items(run: Path, model: str, task: str) -> list[Any]:
    import pyarrow.parquet as pq

    listed = json.loads((run / "manifest.json").read_text())["samples"]
    (file,) = [s["file"] for s in listed if s["model"] == model and s["task"] == task]
    table = pq.read_table(run / file)
    return [x for column in ("item_id", "logprobs", "generated") for x in table[column].to_pylist()]


def test_the_numbers_of_the_saved_checkpoint_and_the_training_undisturbed(folder: Path) -> None:
    plain = trainer(folder)
    plain.train()
    watched = trainer(folder)
    suite = {"tasks": ["weather", "told"], "task_dirs": (folder / "tasks",), "limit": 20}
    EvaluateDuringTraining(suite["tasks"], every=2, limit=20, task_dirs=suite["task_dirs"]).attach(watched)
    watched.train()
    assert losses(watched) == losses(plain), "dropout draws the same, and gradients are the same"
    logged = [entry for entry in watched.state.log_history if "gpteval/weather/acc" in entry]
    assert [entry["step"] for entry in logged] == [2, 4], "and not once more at the end"
    saved = evaluate(str(folder / "out" / "checkpoint-*"), **suite, out=folder / "saved")
    assert saved.failures == ()
    for step in (2, 4):
        live, there = f"out@step{step}", f"checkpoint-{step}"
        assert values(folder / "runs/out", live) == values(folder / "saved", there)
        assert items(folder / "runs/out", live, "told") == items(folder / "saved", there, "told")
        close = [
            [
                pytest.approx(x, abs=1e-5) if isinstance(x, list) else x
                for x in items(folder / "saved", there, "weather")
            ]
        ]
        assert [items(folder / "runs/out", live, "weather")] == close
    assert logged[1]["gpteval/weather/acc"] == values(folder / "saved", "checkpoint-4")["weather", "acc"]
    views = training(read_runs([folder / "runs/out"]).merged)
    assert {(view.task, view.lines[0].name, view.steps) for view in views} == {
        ("weather", "out", (2, 4)),
        ("told", "out", (2, 4)),
    }


def test_the_budget(folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Each batch takes a tenth of a second of a clock that nothing else moves."""
    tokenizer = byte_level_tokenizer()
    model = transformers.AutoModelForCausalLM.from_pretrained(save_tiny(folder / "m"))
    settings: dict[str, Any] = {"task_dirs": (folder / "tasks",), "batch_tokens": 32}
    batches: list[float] = []
    monkeypatch.setattr("gpteval.callbacks.time", SimpleNamespace(monotonic=lambda: 0.1 * len(batches)))
    slow = model.transformer.register_forward_hook(lambda *_: batches.append(0.1))
    assert score(model, tokenizer, "weather,told", max_seconds=0.6, out=folder / "r", **settings) == {}
    assert 0 < len(batches) < 12, "without a budget there are 40"
    said = capsys.readouterr().err
    assert "training on weather: the time budget of 0.6 s is used up" in said
    assert "training on told: the time budget" in said
    slow.remove()
    found = score(model, tokenizer, "weather,told", max_seconds=60, out=folder / "r", **settings)
    assert set(found) == {"weather/acc", "told/exact_match"}
    document = json.loads((folder / "r" / "results.json").read_text())
    assert document["failures"] == []


def test_a_plain_loop(folder: Path) -> None:
    tokenizer = byte_level_tokenizer()
    model = transformers.AutoModelForCausalLM.from_pretrained(save_tiny(folder / "m")).train()
    model.transformer.h[0].eval()  # as somebody who freezes a part may have it
    before = torch.get_rng_state()
    found = [
        score(model, tokenizer, "weather", step=step, shots=(0, 2), out=folder / "r", task_dirs=(folder / "tasks",))
        for step in (1, 1)
    ]
    assert found[0] == found[1]
    assert set(found[0]) == {"weather/acc", "weather@2/acc"}
    assert model.training
    assert not model.transformer.h[0].training
    assert model.transformer.h[1].mlp.training
    assert torch.equal(torch.get_rng_state(), before)
    wrapped = torch.nn.DataParallel(model)
    again = score(wrapped, tokenizer, "weather", out=folder / "s", task_dirs=(folder / "tasks",))
    assert again == {"weather/acc": found[0]["weather/acc"]}


def test_other_weights_are_another_model(folder: Path) -> None:
    """The journal must not give one step's answers to another of the same name."""
    tokenizer = byte_level_tokenizer()
    suite: dict[str, Any] = {"out": folder / "r", "task_dirs": (folder / "tasks",)}
    model = transformers.AutoModelForCausalLM.from_pretrained(save_tiny(folder / "m"))
    score(model, tokenizer, "weather", **suite)
    first = items(folder / "r", "training", "weather")
    with torch.no_grad():
        head = model.transformer.wte.weight
        head[[5, 7]] = head[[7, 5]]  # the sum of all stays the same
    score(model, tokenizer, "weather", **suite)
    assert items(folder / "r", "training", "weather") != first


def test_what_cannot_be_scored(folder: Path) -> None:
    with pytest.raises(ModelError, match="Linear is not a causal language model"):
        score(torch.nn.Linear(2, 2), byte_level_tokenizer(), "weather")
    with pytest.raises(UsageError, match="every is 0"):
        EvaluateDuringTraining("weather", every=0)
    one = trainer(folder)
    one.add_callback(EvaluateDuringTraining("weather", every=1))
    with pytest.raises(UsageError, match="not attached"):
        one.train()
    one.processing_class = None
    with pytest.raises(UsageError, match="no tokenizer"):
        EvaluateDuringTraining("weather", every=1).attach(one)

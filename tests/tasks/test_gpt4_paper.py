"""GPT-4's own protocol: what of its report can be run, by which prompts, and what stands beside the numbers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gpteval.core.errors import UsageError
from gpteval.core.types import Choice, Generate, Item
from gpteval.models.catalogue import resolve_models
from gpteval.prompts.build import build_prompts, load_task
from gpteval.reference.counterpart import beside
from gpteval.run.config import RunConfig
from gpteval.tasks.profiles import GPT4_PAPER
from gpteval.tasks.registry import select_tasks, task_registry
from tests.conftest import RunCli

SHOTS = {"mmlu_anatomy": 5, "hellaswag": 10, "arc_challenge": 25, "winogrande": 5, "drop": 3, "gsm8k": 5}
PUBLISHED = {
    "mmlu": 0.864,
    "hellaswag": 0.953,
    "arc_challenge": 0.963,
    "winogrande": 0.875,
    "drop": 0.809,
    "gsm8k": 0.92,
}


@pytest.fixture
def rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """GSM8K in its format."""
    folder = tmp_path / "hub" / "openai" / "gsm8k" / "main"
    folder.mkdir(parents=True)
    for split, count in (("test", 6), ("train", 8)):
        made = [
            {
                "question": f"Ann has {n} bags of 500 nails. How many nails ({split})?",
                "answer": f"She has {n} * 500 = <<{n}*500={500 * n}>>{500 * n} nails.\n#### {500 * n:,}",
            }
            for n in range(1, count + 1)
        ]
        (folder / f"{split}.jsonl").write_text("\n".join(map(json.dumps, made)) + "\n", encoding="utf-8")
    monkeypatch.setenv("GPTEVAL_DATA", str(tmp_path / "hub"))
    return tmp_path


def test_the_suite_and_its_examples() -> None:
    tasks = select_tasks(task_registry(), ["gpt4-paper"])
    names = [task.name for task in tasks]
    assert sum(name.startswith("mmlu_") for name in names) == 57
    assert [name for name in names if not name.startswith("mmlu_")] == list(SHOTS)[1:]
    for name, shots in SHOTS.items():
        task = task_registry()[name].under(GPT4_PAPER)
        assert task is not None
        assert (task.shots if task.shots_inside is None else task.shots_inside) == shots, name
        if name not in ("drop", "gsm8k"):
            assert task.metric == "acc"


def test_options_stand_in_the_prompt() -> None:
    scene = {
        "activity_label": "Rowing",
        "ctx_a": "A man sits.",
        "ctx_b": "he",
        "endings": ["rows.", "flies."],
        "label": 0,
    }
    asked = task_registry()["hellaswag"].under(GPT4_PAPER)
    assert asked is not None
    request = asked.prompt(Item("1", scene))
    assert isinstance(request, Choice)
    assert request.context == "Rowing: A man sits. He\nA. rows.\nB. flies.\nAnswer:"
    assert (request.continuations, request.gold) == ((" A", " B"), 0)
    choices = {"text": ["ice", "fire", "air"], "label": ["1", "2", "3"]}
    asked = task_registry()["arc_challenge"].under(GPT4_PAPER)
    assert asked is not None
    request = asked.prompt(Item("1", {"question": "What is cold?", "choices": choices, "answerKey": "1"}))
    assert request.prompt == "Question: What is cold?\nA. ice\nB. fire\nC. air\nAnswer:"
    blank = {
        "sentence": "The cup fell off the shelf as _ was small.",
        "option1": "cup",
        "option2": "shelf",
        "answer": "2",
    }
    asked = task_registry()["winogrande"].under(GPT4_PAPER)
    assert asked is not None
    request = asked.prompt(Item("1", blank))
    assert request.prompt == "The cup fell off the shelf as _ was small.\nA. cup\nB. shelf\nAnswer:"
    assert isinstance(request, Choice)
    assert request.gold == 1


def test_profile_paper_of_the_suite_is_its_own() -> None:
    config: Any = {"models": ("gpt2",), "profile": "paper"}
    assert RunConfig(tasks=("gpt4-paper",), **config).profile == GPT4_PAPER
    assert RunConfig(tasks=("gpt3-paper",), **config).profile == "paper"
    with pytest.raises(UsageError, match="has a protocol of its own"):
        RunConfig(tasks=("gpt4-paper", "lambada_openai"), **config)


def test_what_runs_code_is_left_out(rows: Path, in_process: RunCli) -> None:
    with pytest.raises(UsageError, match="humaneval is no task of gpteval: to score it, code that a model wrote"):
        select_tasks(task_registry(), ["humaneval"])
    asked = ("--models", "gpt2-nano", "--tasks", "gpt4-paper", "--profile", "paper", "--limit", "2", "--dry-run")
    done = in_process("run", *asked, "--out", rows / "run")
    assert "gpt4-paper: humaneval is left out" in done.stderr


def test_gsm8k_shows_steps_and_takes_the_number(rows: Path) -> None:
    task = task_registry()["gsm8k"]
    (prompt, *_) = build_prompts(load_task(task, shots=5), shots=5)
    assert len(prompt.examples) == 5
    assert "<<" not in prompt.text()
    assert all("\n#### " in example for example in prompt.examples)
    paper = task.under(GPT4_PAPER)
    assert paper is not None
    assert paper.answer_rule is not None
    (prompt, *_) = build_prompts(load_task(paper), shots=5)
    assert prompt.text().count("#### ") == 5, "the five of ours, and none of the data"
    for example in paper.preamble.strip().split("\n\n"):
        question, _, solution = example.partition("\nAnswer: ")
        answer = paper.answer_rule.taken(solution)
        steps = solution.rpartition("\n####")[0]
        assert question.startswith("Question: ")
        assert answer in steps.replace(",", "").rstrip("."), "the steps come to the answer"


def test_gsm8k_runs(rows: Path, in_process: RunCli) -> None:
    texts = ["Right.\n#### 500", "#### 1,000", "It is 1500.", "#### $2,000.00", "no idea", "#### 2999\n#### 3000"]
    task = task_registry()["gsm8k"]
    found = {
        next(n for n in range(6) if item["question"].startswith(f"Ann has {n + 1} ")): item.id
        for item in load_task(task).items
    }
    lines = [json.dumps({"item_id": found[n], "answer": text}) for n, text in enumerate(texts)]
    (rows / "given.jsonl").write_text("\n".join(lines), encoding="utf-8")
    asked = ("--models", f"answers:{rows / 'given.jsonl'}", "--tasks", "gsm8k", "--out", rows / "run", "--json")
    document = json.loads(in_process("run", *asked).stdout)
    values = {row["metric"]: row for row in document["results"]}
    assert values["number_match"]["value"] == pytest.approx(3 / 6)
    assert values["last_number"]["value"] == pytest.approx(5 / 6)
    assert values["number_match"]["shots"] == 5
    assert "answer:/" in values["number_match"]["signature"]
    assert "in 2 texts no answer was found by the task's rule" in values["number_match"]["notes"]
    samples = json.loads(
        in_process("samples", rows / "run", "--model", "answers:given.jsonl", "--task", "gsm8k", "--json").stdout
    )
    assert "taken" in json.dumps(samples)
    shown = in_process("samples", rows / "run", "--model", "answers:given.jsonl", "--task", "gsm8k").stdout
    assert "taken: '2,000.00'" in shown or "taken: '$2,000.00'" in shown


def test_published_numbers_stand_beside() -> None:
    (info,) = resolve_models(["openai:gpt-4"])
    for task, value in PUBLISHED.items():
        metric = {"drop": "f1", "gsm8k": "number_match"}.get(task, "acc")
        shots = {"mmlu": 5}.get(task) or SHOTS[task]
        found = beside({info.name, *info.aliases}, task, metric, shots, split="test", limit=None, profile=GPT4_PAPER)
        assert found is not None, task
        assert found["value"] == pytest.approx(value)
        assert not found["comparable"]
        (reason,) = found["reasons"]
        assert reason.startswith("the report shows neither its prompt")
        assert ("gpteval's own" in reason) == (task == "gsm8k")
    asked = ("acc", 10)
    other = beside({"gpt4"}, "hellaswag", *asked, split="validation", limit=None)
    assert other is not None
    assert other["reasons"] == ["the GPT-4 report's own protocol"]


def test_a_task_may_name_how_its_answer_is_taken() -> None:
    task = task_registry()["gsm8k"]
    request = task.prompt(Item("1", {"question": "How many?", "answer": "1 + 1 = <<1+1=2>>2\n#### 2"}))
    assert isinstance(request, Generate)
    assert request.references == ("1 + 1 = 2\n#### 2",)
    assert task.answer_rule is not None
    assert task.answer_rule.of_request(request).references == ("2",)  # type: ignore[union-attr]

"""Choices by letter: the prompt, the items, the metrics, and which tasks have none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gpteval.core.errors import UsageError
from gpteval.core.types import Choice
from gpteval.prompts.build import build_prompts, load_task
from gpteval.prompts.letters import by_letter, with_letters
from gpteval.run.config import RunConfig
from gpteval.run.evaluate import evaluate
from gpteval.tasks.registry import task_registry
from tests.conftest import RunCli


def test_the_prompt() -> None:
    asked = by_letter(Choice("Question: Is it red?\nAnswer:", [" yes", " no"], 1, neutral="Answer:"))
    assert asked.context == "Question: Is it red?\nA. yes\nB. no\nAnswer:"
    assert (asked.continuations, asked.gold, asked.neutral) == ((" A", " B"), 1, None)
    asked = by_letter(Choice("Review: fine\nSentiment:", [" negative", " positive"], 0))
    assert asked.context == "Review: fine\nSentiment:\nA. negative\nB. positive\nAnswer:"
    led = Choice("", [" was late.", " was late."], 0, leads=["Ann met Bo because Ann", "Ann met Bo because Bo"])
    assert by_letter(led).context == (
        "A. Ann met Bo because Ann was late.\nB. Ann met Bo because Bo was late.\nAnswer:"
    )
    already = Choice("A. one\nB. two\nAnswer:", [" A", " B"], 0)
    assert by_letter(already) is already
    assert by_letter(asked) is asked


@pytest.mark.parametrize("name", ["nano_topic", "nano_facts", "nano_sentiment"])
def test_the_same_items_and_examples(name: str) -> None:
    data = load_task(task_registry()[name], shots=2, limit=20)
    found = with_letters(data, 0.01)
    assert found is not None
    assert (found.task.label, found.task.metric) == (f"{name}:letters", "acc")
    assert [item.id for item in found.items] == [item.id for item in data.items]
    for plain, lettered in zip(build_prompts(data, shots=2), build_prompts(found, shots=2), strict=True):
        assert isinstance(plain.request, Choice)
        assert isinstance(lettered.request, Choice)
        assert lettered.request.gold == plain.request.gold
        for before, after in zip(plain.examples, lettered.examples, strict=True):
            assert before.split("\n")[0] == after.split("\n")[0], "the same example"
            assert after.rstrip("\n")[-1] in "ABCD"
    assert name in task_registry()
    assert "letters" not in task_registry()[name].templates, "the registry's task is as it was"


@pytest.mark.parametrize("name", ["nano_prose", "nano_lastword", "nano_en_fr"])
def test_tasks_without_choices_stay_as_they_are(name: str) -> None:
    assert with_letters(load_task(task_registry()[name], limit=5), 0.01) is None


def test_normalised_accuracies_become_plain_ones(shared_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPTEVAL_DATA", str(shared_data))
    found = with_letters(load_task(task_registry()["openbookqa"], limit=5), 0.01)
    assert found is not None
    assert found.task.all_metrics == ("acc",)


@pytest.mark.parametrize(
    ("choices", "labels"),
    [
        ("text", ["nano_topic", "nano_prose"]),
        ("letters", ["nano_topic:letters", "nano_prose"]),
        ("both", ["nano_topic", "nano_topic:letters", "nano_prose"]),
    ],
)
def test_a_run_with_choices_in_each_way(tmp_path: Path, choices: str, labels: list[str]) -> None:
    made = evaluate("gpt2-nano", ["nano_topic", "nano_prose"], limit=4, out=tmp_path, choices=choices, cache=False)
    assert made.failures == ()
    rows = json.loads((tmp_path / "results.json").read_text())["results"]
    assert list(dict.fromkeys(row["task"] for row in rows)) == labels
    assert {row["template"] for row in rows if row["task"].endswith(":letters")} <= {"letters"}


@pytest.mark.parametrize(("before", "now"), [("letters", "letters"), ("default", "text")])
def test_names_of_the_version_before(tmp_path: Path, in_process: RunCli, before: str, now: str) -> None:
    for name, options in (("before", {"protocol": before}), ("now", {"choices": now})):
        evaluate("gpt2-nano", ["nano_topic"], limit=4, out=tmp_path / name, cache=False, **options)
    labels = [
        [row["task"] for row in json.loads((tmp_path / name / "results.json").read_text())["results"]]
        for name in ("before", "now")
    ]
    assert labels[0] == labels[1]
    asked = ["run", "--models", "gpt2-nano", "--tasks", "nano_topic", "--limit", "4", "--dry-run", "--json"]
    plans = [json.loads(in_process(*asked, *option).stdout) for option in (("--protocol", before), ("--choices", now))]
    assert plans[0] == plans[1]


def test_choices_that_there_are_not() -> None:
    with pytest.raises(UsageError, match="--choices is one of auto, text, letters, both"):
        RunConfig(("gpt2",), ("piqa",), choices="chat")
    with pytest.raises(UsageError, match="none of the profile paper"):
        RunConfig(("gpt2",), ("piqa",), choices="letters", profile="paper")

"""``gpteval samples``: one item, wrong ones, where two models part, and what there is where nothing was found."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conftest import RunCli
from tests.made_runs import make_run, scores


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Two models on a quiz with and without examples, and on translation; old is right on 0 and 1, new on 1 and 2."""
    answers = {("old", "quiz"): scores([1, 1, 0, 0]), ("new", "quiz"): scores([0, 1, 1, 0])}
    answers |= {("old", "quiz@4"): scores([1, 1, 1, 1])}
    answers |= {("new", "sums"): scores([0.0, 1.0]), ("new", "words"): [(0.5, 1.0), (0.25, 1.0)]}
    return make_run(tmp_path / "run", answers, metrics={"words": "f1"})


def ids(text: str) -> list[str]:
    return [line.removeprefix("--- item ").partition(":")[0] for line in text.splitlines() if line.startswith("--- ")]


def test_wrong_ones_alone(run: Path, in_process: RunCli) -> None:
    done = in_process("samples", run, "--model", "old", "--task", "quiz", "--shots", 0, "--wrong")
    assert ids(done.stdout) == ["quiz-item-2", "quiz-item-3"]
    some = in_process("samples", run, "--model", "new", "--task", "quiz", "--wrong", "--limit", 1, "--jsonl")
    assert json.loads(some.stdout)["item_id"] == "quiz-item-0"


def test_where_two_models_part_side_by_side(run: Path, in_process: RunCli) -> None:
    words = ("samples", run, "--model", "old", "--task", "quiz", "--shots", 0, "--differ", "new")
    done = in_process(*words)
    assert ids(done.stdout) == ["quiz-item-0", "quiz-item-2"]
    assert done.stdout.count("prompt 0") == 1, "both had the same"
    assert "old: acc 1\n" in done.stdout
    assert "new: acc 0\n" in done.stdout
    rows = [json.loads(line) for line in in_process(*words, "--wrong", "--jsonl").stdout.splitlines()]
    assert [(row["model"], row["item_id"], row["metrics"]["acc"]) for row in rows] == [
        ("old", "quiz-item-2", 0.0),
        ("new", "quiz-item-2", 1.0),
    ]


def test_one_item_by_its_id_or_how_that_begins(run: Path, in_process: RunCli) -> None:
    words = ("samples", run, "--model", "new", "--task", "quiz")
    assert ids(in_process(*words, "--item", "quiz-item-3").stdout) == ["quiz-item-3"]
    several = in_process(*words, "--item", "quiz")
    assert (several.returncode, several.stdout) == (2, "")
    assert "--item quiz stands for 4 items\n  such as quiz-item-0, quiz-item-1" in several.stderr
    assert "quiz has no item 'quiz-item-9'" in in_process(*words, "--item", "quiz-item-9").stderr


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--model", "odl", "--task", "quiz"], "unknown model 'odl'\n  nearest: old; "),
        (["--model", "old", "--task", "sums"], "has of old quiz"),
        (["--model", "old", "--task", "quiz"], "with several numbers of examples\n  --shots is one of 0, 4"),
        (["--model", "old", "--task", "quiz", "--shots", "2"], "with 2 examples\n  --shots is one of 0, 4"),
        (["--model", "new", "--task", "words", "--wrong"], "words has no right and wrong answers: it has f1"),
        (["--model", "new", "--task", "sums", "--differ", "old"], "has of old quiz"),
    ],
)
def test_what_is_not_there_is_told_with_what_is(run: Path, in_process: RunCli, words: list[str], says: str) -> None:
    done = in_process("samples", run, *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert says in done.stderr


def test_the_marks_are_explained_where_there_are_choices(in_process: RunCli, tmp_path: Path) -> None:
    asked = ("--models", "gpt1-nano", "--tasks", "nano_topic,nano_en_fr", "--limit", 2, "--no-report")
    assert in_process("run", *asked, "--out", tmp_path / "r").returncode == 0
    first, *rest = in_process(
        "samples", tmp_path / "r", "--model", "gpt1-nano", "--task", "nano_topic"
    ).stdout.splitlines()
    assert first.startswith("(* the right answer, > the model's")
    assert sum(line.startswith(("*", " >")) for line in rest) >= 2
    text = in_process("samples", tmp_path / "r", "--model", "gpt1-nano", "--task", "nano_en_fr").stdout
    assert text.startswith("--- item ")
    assert text.count("references: ") == 2

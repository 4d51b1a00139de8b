"""Rows that give no request: left out for all, named, and too many fail the task."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gpteval.core.errors import ColumnError, DataError, GptevalError, ItemError, TaskError
from gpteval.core.types import Choice, Generate, Item, Rolling
from gpteval.data.sources import file, generated
from gpteval.prompts.build import build_prompts, load_task
from gpteval.prompts.items import all_items
from gpteval.tasks.task import PromptFunction
from gpteval.tasks.task import task as declare
from tests.made_tasks import halves, make, numbered


def refused(prompt: PromptFunction) -> tuple[GptevalError, str]:
    task = make(numbered(1, 2), prompt=prompt)
    with pytest.raises(TaskError) as caught:
        load_task(task)
    return caught.value, all_items(task, task.source.load().rows)[0].id


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        (lambda item: Choice("x", [" a", ""], gold=0), "continuation 1 is empty: ''"),
        (lambda item: Choice("x", [" ", " b"], gold=0), "continuation 0 is empty: ' '"),
        (lambda item: Choice("x", [], gold=0), "no continuations"),
        (lambda item: Choice("x", " yes", gold=0), "not one string"),
        (lambda item: Choice("x", [" a", " b"], gold=2), r"gold index 2 is outside 0\.\.1"),
        (lambda item: Choice("x", [" a", " b"], gold=-1), "gold index -1"),
        (lambda item: Generate("", ["a"]), "the prompt is empty"),
        (lambda item: Generate("x", []), "no reference"),
        (lambda item: Generate("x", ["a"], max_new_tokens=0), "max_new_tokens is 0"),
        (lambda item: Rolling(""), "the text to be scored is empty"),
        (lambda item: Rolling(item["n"] / 0), "ZeroDivisionError"),
        (lambda item: None, "gave a NoneType, not a Choice, Rolling or Generate"),
        (lambda item: "text", "gave a str, not a Choice"),
    ],
)
def test_a_bad_request_names_the_task_and_the_item(prompt: Any, message: str) -> None:
    error, item = refused(prompt)
    assert isinstance(error, ItemError)
    assert error.message.startswith(f"task numbers: 2 of 2 rows cannot be posed, the first: item {item}: ")
    with pytest.raises(ItemError, match=message):
        raise error


def test_a_missing_column_is_named_with_those_that_are_there() -> None:
    error, item = refused(lambda item: Rolling(item["m"]))
    assert isinstance(error, ColumnError)
    assert error.message.endswith(f"the first: item {item} has no column 'm'; it has 'n'")


def with_nulls(count: int, *bad: int) -> list[dict[str, Any]]:
    return [{"n": n, "word": None if n in bad else f"w{n}"} for n in range(count)]


def test_a_bad_row_is_left_out_and_named() -> None:
    task = make(with_nulls(300, 7, 9), prompt=halves)
    data = load_task(task)
    assert [item["n"] for item in data.items] == [n for n in range(300) if n not in (7, 9)]
    (note,) = data.notes
    first = all_items(task, with_nulls(300, 7, 9))[7].id
    assert note == (f"2 of 300 rows cannot be posed and are left out, the first: item {first}: column 'word' is null")
    assert len(build_prompts(data)) == 298


@pytest.mark.parametrize(
    ("count", "bad", "share", "fine"),
    [
        (10, 1, 0.01, True),
        (10, 2, 0.01, False),
        (300, 3, 0.01, True),
        (300, 4, 0.01, False),
        (10, 2, 0.2, True),
        (10, 1, 0, False),
        (1, 1, 1.0, False),
    ],
)
def test_too_many_bad_rows_fail_the_task(count: int, bad: int, share: float, fine: bool) -> None:
    task = make(with_nulls(count, *range(bad)), prompt=halves)
    if fine:
        assert len(load_task(task, max_bad_rows=share).items) == count - bad
        return
    with pytest.raises(ItemError, match=f"{bad} of {count} rows cannot be posed") as caught:
        load_task(task, max_bad_rows=share)
    assert "--max-bad-rows" in caught.value.hint


def test_a_bad_row_is_never_an_example() -> None:
    data = load_task(make(with_nulls(100, 3), prompt=halves), shots=90)
    prompts = build_prompts(data, shots=90)
    assert not any("None" in prompt.text() for prompt in prompts)
    with pytest.raises(TaskError, match="99 examples asked for, but only 98 others"):
        build_prompts(data, shots=99)


@pytest.mark.parametrize(
    "row", [{"x": None}, {"x": ["a", None]}, {"x": {"de": None, "en": "a"}}, {"x": {"texts": ["a", None]}}], ids=str
)
def test_null_is_found_wherever_it_lies(row: dict[str, Any]) -> None:
    def prompt(item: Item) -> Rolling:
        value = item["x"]
        if isinstance(value, dict):
            value = value[next(iter(value))]
        return Rolling(str(value))

    with pytest.raises(ItemError, match=r"column '(x|de|texts)' (is|holds a) null"):
        load_task(make([row], prompt=prompt))
    assert Item("i", row).get("x") == row["x"]
    assert Item("i", row).get("y", 1) == 1


def test_a_generator_that_raises_is_its_tasks_failure() -> None:
    def broken(split: str) -> list[dict[str, Any]]:
        raise KeyError("gone")

    with pytest.raises(DataError, match=r"task numbers: its data cannot be made: KeyError: 'gone'"):
        load_task(replace(make([{"n": 1}]), source=generated(broken, revision="1")))


@pytest.mark.parametrize("lacking", [0, 4, 6])
def test_rows_without_labels_among_the_examples_are_counted(tmp_path: Path, lacking: int) -> None:
    rows = [{"text": f"row {n}", "label": None if n < lacking else n % 2} for n in range(6)]
    (tmp_path / "test.jsonl").write_text('{"text": "asked", "label": 1}\n')
    (tmp_path / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))

    source = file(tmp_path / "test.jsonl", train=tmp_path / "train.jsonl")

    @declare(family="qa", source=source, metric="acc", shots_from="train")
    def mine(item: Item) -> Choice:
        return Choice(item["text"], [" no", " yes"], gold=item["label"])

    with pytest.raises(TaskError) as caught:
        build_prompts(load_task(mine, shots=7), shots=7)
    left = 6 - lacking
    assert f"7 examples asked for, but only {left} others are there" in caught.value.message
    said = f"{lacking} of 6 rows cannot be shown as examples, the first: task mine"
    assert (said in caught.value.message) == bool(lacking)
    assert caught.value.hint.startswith(f"use --shots {left}")

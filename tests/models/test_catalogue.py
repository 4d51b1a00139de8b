"""The rest of the catalogue: the exact request that an invented row in the Hub's layout makes, with examples too."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gpteval.core.errors import ColumnError, UsageError
from gpteval.core.text import without_paths
from gpteval.core.types import Choice, Rolling
from gpteval.data.sources import generated
from gpteval.metrics.named import metric_registry
from gpteval.prompts.build import build_prompts, load_task
from gpteval.prompts.items import all_items
from gpteval.tasks.registry import GENERATED_SUITE, select_tasks, task_registry
from gpteval.tasks.suites import SUITES
from gpteval.tasks.task import Task
from tests.tasks.golden import ALIKE, ROWS, request, row_of

REAL = {task.name: task for task in task_registry().values() if GENERATED_SUITE not in task.suites}


def on(task: Task, rows: list[Mapping[str, Any]]) -> Task:
    return replace(task, source=generated(lambda split: rows, revision="1"), prepare=None)


ASKED = {name: request(name, row_of(name)) for name in REAL}


@pytest.mark.parametrize("name", [name for name, asked in ASKED.items() if asked.answer and asked.prompt])
def test_two_examples_go_before_it(name: str) -> None:
    task = replace(REAL[name], shots_may_repeat=True)
    row = row_of(name)
    data = load_task(on(task, [row | {"number": n} for n in range(4)]), shots=2)
    for prompt in build_prompts(data, shots=2):
        asked = prompt.request
        assert prompt.text() == task.preamble + 2 * (asked.prompt + asked.answer + task.separator) + asked.prompt


def test_every_real_task_has_a_golden_request_and_all_fields() -> None:
    registry = task_registry()
    assert not registry.problems
    assert len(REAL) >= 80
    assert {name for name, _ in ROWS} <= set(REAL) == set(ASKED)
    for task in registry.values():
        assert task.description, task.name
        assert task.licence, task.name
        assert set(task.all_metrics) <= set(metric_registry()), task.name
        assert task.description[-1] in ".)", task.name


def test_dbpedia() -> None:
    row = {"label": 12, "title": "A Door", "content": " A film of 1999. "}
    (item,) = all_items(REAL["dbpedia"], [row])
    asked = REAL["dbpedia"].prompt(item)
    assert isinstance(asked, Choice)
    assert asked.context.startswith("A Door: A film of 1999.\nQuestion: Is this company, school, artist,")
    assert (asked.answer, len(asked.continuations)) == (" film", 14)


@pytest.mark.parametrize("suite", SUITES)
def test_a_suites_members_exist(suite: str) -> None:
    found = {task.name for task in select_tasks(task_registry(), [suite])}
    for member in SUITES[suite]:
        assert member in found or member in ALIKE, member
    assert len(found) >= 3


def test_mmlu_has_57_subjects_and_says_which() -> None:
    tasks = select_tasks(task_registry(), ["mmlu"])
    assert len(tasks) == 57
    assert "about us foreign policy.\n\n" in REAL["mmlu_us_foreign_policy"].preamble


def test_a_conversations_turns_each_become_an_item() -> None:
    turns = REAL["coqa"].prepare
    assert turns is not None
    row = {"story": "Ann fell.", "questions": ["Who?", "Why?"], "answers": {"input_text": ["Ann", "rain"]}}
    first, second = turns([row])
    assert (first["before"], first["answer"]) == ([], "Ann")
    assert second == {"story": "Ann fell.", "before": ["Q: Who?\nA: Ann"], "question": "Why?", "answer": "rain"}


class TestTextFiles:
    def names(self, *asked: str) -> list[str]:
        return [task.name for task in select_tasks(task_registry(), asked)]

    def test_a_file_becomes_a_task(self, tmp_path: Path) -> None:
        (tmp_path / "my notes.txt").write_text("It rains.\n\nIt pours.")
        (task,) = select_tasks(task_registry(), [f"text:{tmp_path / 'my notes.txt'}"])
        (prompt,) = build_prompts(load_task(task))
        assert (task.name, prompt.request) == ("text-my-notes", Rolling("It rains.\n\nIt pours."))

    def test_rows_with_a_text(self, tmp_path: Path) -> None:
        (tmp_path / "a.jsonl").write_text('{"text": "one"}\n{"text": "two"}\n')
        (task,) = select_tasks(task_registry(), [f"text:{tmp_path / 'a.jsonl'}"])
        assert [p.request.prompt for p in build_prompts(load_task(task))] == ["one", "two"]

    def test_rows_without_one_name_their_columns(self, tmp_path: Path) -> None:
        (tmp_path / "a.jsonl").write_text('{"content": "one"}\n')
        (task,) = select_tasks(task_registry(), [f"text:{tmp_path / 'a.jsonl'}"])
        with pytest.raises(ColumnError, match="no column 'text'; it has 'content'"):
            load_task(task)

    def test_where_it_lies_is_not_recorded(self) -> None:
        assert without_paths("run --tasks text:/home/ann/notes.txt,piqa") == "run --tasks text:notes.txt,piqa"
        assert without_paths("see https://a.b/c/d") == "see https://a.b/c/d"

    def test_a_missing_file_and_two_of_one_name(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match="no such file"):
            self.names("text:nowhere.txt")
        for folder in ("a", "b"):
            (tmp_path / folder).mkdir()
            (tmp_path / folder / "x.txt").write_text("x")
        with pytest.raises(UsageError, match="two tasks would be named text-x"):
            self.names(f"text:{tmp_path}/a/x.txt", f"text:{tmp_path}/b/x.txt")
        assert self.names(f"text:{tmp_path}/a/x.txt", f"text:{tmp_path}/a/x.txt") == ["text-x"]

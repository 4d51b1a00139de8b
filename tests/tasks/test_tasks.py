"""The shipped tasks: the exact request that an invented row in the Hub's layout makes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gpteval.core.errors import ItemError
from gpteval.core.types import Choice
from gpteval.data.sources import generated
from gpteval.prompts.build import load_task
from gpteval.prompts.items import all_items
from gpteval.tasks.registry import select_tasks, task_registry
from tests.tasks.golden import ALIKE, PAGE, TASKS, page, request, row_of

FOUR = {"text": ["heat", "light", "rain", "a small stone"], "label": ["A", "B", "C", "D"]}


def test_what_is_asked_of_a_row_is_on_the_page() -> None:
    assert page() == PAGE.read_text(encoding="utf-8"), "read what changed: python -m tests.tasks.golden; git diff"


def test_a_suite_of_one_prompt_asks_the_same_in_all_its_tasks() -> None:
    for suite, name in ALIKE.items():
        asked = request(name, row_of(name))
        for task in select_tasks(task_registry(), [suite]):
            assert request(task.name, row_of(task.name)) == asked


def test_banking77() -> None:
    asked = request("banking77", {"text": "Where is my card?", "label": 12})
    assert isinstance(asked, Choice)
    assert asked.context == "Message: Where is my card?\nIntent:"
    assert asked.answer == " card arrival"
    assert len(set(asked.continuations)) == 77
    assert asked.continuations[0] == " refund not showing up"
    assert asked.continuations[53] == " reverted card payment"
    assert list(asked.continuations[1:]) == sorted(asked.continuations[1:])


def test_an_answer_key_that_is_no_label_names_the_item() -> None:
    rows = [{"question": "What wets?", "choices": FOUR, "answerKey": "E"}]
    task = replace(TASKS["arc_easy"], source=generated(lambda split: rows, revision="1"))
    (item,) = all_items(task, rows)
    with pytest.raises(ItemError, match=f"task arc_easy: 1 of 1 rows .* first: item {item.id}: ValueError: 'E'"):
        load_task(task)


@pytest.mark.parametrize("name", ["sst2", "multi30k_en_de", "copa"])
def test_an_example_is_the_prompt_with_its_answer(name: str) -> None:
    shown = {
        "sst2": "a fine door \nQuestion: Is this sentence positive or negative?\nAnswer: positive\n\n",
        "multi30k_en_de": "English: A red door.\nGerman: Eine rote Tür.\n\n",
        "copa": "The door fell because it was old.\n\n",
    }
    asked = request(name, row_of(name))
    assert asked.prompt + asked.answer + TASKS[name].separator == shown[name]

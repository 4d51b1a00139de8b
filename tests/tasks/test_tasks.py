"""The shipped tasks: the exact request that an invented row in the Hub's layout makes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from gpteval.core.errors import ItemError
from gpteval.core.types import Choice, Generate, Request, Rolling
from gpteval.data.sources import generated
from gpteval.prompts.build import load_task
from gpteval.prompts.items import all_items
from gpteval.tasks.registry import GENERATED_SUITE, task_registry

TASKS = {task.name: task for task in task_registry().values() if GENERATED_SUITE not in task.suites}


def request(name: str, row: Mapping[str, Any]) -> Request:
    task = TASKS[name]
    (item,) = all_items(replace(task, prepare=None), [row])
    return task.prompt(item)


FOUR = {"text": ["heat", "light", "rain", "a small stone"], "label": ["A", "B", "C", "D"]}
NUMBERED = {"text": ["heat", "light", "rain"], "label": ["1", "2", "3"]}
BOTH = {"translation": {"en": "It rains.", "de": "Es regnet."}}
CAPTION = {"en": "A red door.", "de": "Eine rote Tür.", "fr": "Une porte rouge."}

# Rows have the Hub's columns, those that no prompt needs included.
GOLDEN: list[tuple[str, dict[str, Any], Request]] = [
    (
        "lambada_openai",
        {"text": "She opened the door.\n\n“Come in,” he said"},
        Choice("She opened the door.\n\n“Come in,” he", [" said"], 0),
    ),
    (
        "wikitext2",
        {"page": " = A Door = \n \n It is 3 @.@ 5 m high . \n"},
        Rolling(" = A Door =\n\nIt is 3.5 m high.\n", " = A Door = \n \n It is 3 @.@ 5 m high . \n"),
    ),
    (
        "piqa",
        {"goal": "open a door", "sol1": "push it.", "sol2": "eat it.", "label": 0},
        Choice("Question: open a door\nAnswer:", [" push it.", " eat it."], 0),
    ),
    (
        "arc_easy",
        {"id": "x", "question": "What wets?", "choices": FOUR, "answerKey": "C"},
        Choice("Question: What wets?\nAnswer:", [" heat", " light", " rain", " a small stone"], 2, "Answer:"),
    ),
    (
        "arc_easy",
        {"id": "x", "question": "What wets?", "choices": NUMBERED, "answerKey": "3"},
        Choice("Question: What wets?\nAnswer:", [" heat", " light", " rain"], 2, "Answer:"),
    ),
    (
        "openbookqa",
        {"id": "x", "question_stem": "Plants drink", "choices": FOUR, "answerKey": "C"},
        Choice("Plants drink", [" heat", " light", " rain", " a small stone"], 2, "Answer:"),
    ),
    (
        "boolq",
        {"question": "is a door red", "passage": "Doors are red.", "idx": 0, "label": 1},
        Choice("Doors are red.\nQuestion: is a door red?\nAnswer:", [" no", " yes"], 1),
    ),
    (
        "copa",
        {
            "premise": "The door fell.",
            "choice1": "It was old.",
            "choice2": "I'm tall.",
            "question": "cause",
            "idx": 0,
            "label": 0,
        },
        Choice("The door fell because", [" it was old.", " I'm tall."], 0),
    ),
    (
        "copa",
        {
            "premise": "The door fell.",
            "choice1": "I ran.",
            "choice2": "It sang.",
            "question": "effect",
            "idx": 0,
            "label": 0,
        },
        Choice("The door fell therefore", [" I ran.", " it sang."], 0),
    ),
    (
        "triviaqa",
        {"question": "Who painted the door?", "answer": {"value": "Ann B.", "aliases": ["Ann", "Ann B."]}},
        Generate("Question: Who painted the door?\nAnswer:", ["Ann B.", "Ann"], ["\n"], 32),
    ),
    (
        "triviaqa",
        {"question": "A Tale of Two Doors", "answer": {"value": "Ann", "aliases": []}},
        Generate("Question: A Tale of Two Doors?\nAnswer:", ["Ann"], ["\n"], 32),
    ),
    (
        "webqs",
        {"url": "", "question": "who painted it?", "answers": ["Ann", "Bo"]},
        Generate("Question: who painted it?\nAnswer:", ["Ann", "Bo"], ["\n"], 32),
    ),
    ("multi30k_en_de", CAPTION, Generate("English: A red door.\nGerman:", ["Eine rote Tür."], ["\n"], 96)),
    ("multi30k_en_fr", CAPTION, Generate("English: A red door.\nFrench:", ["Une porte rouge."], ["\n"], 96)),
    ("wmt21_en_de", BOTH, Generate("English: It rains.\nGerman:", ["Es regnet."], ["\n"], 256)),
    ("wmt21_de_en", BOTH, Generate("German: Es regnet.\nEnglish:", ["It rains."], ["\n"], 256)),
    (
        "dialogsum",
        {"id": "x", "dialogue": "#Person1#: Hi.\n#Person2#: Bye.", "summary": "They part.", "topic": "t"},
        Generate("#Person1#: Hi.\n#Person2#: Bye.\nTL;DR:", ["They part."], ["\n"], 100),
    ),
    (
        "sst2",
        {"idx": 0, "sentence": "a fine door ", "label": 1},
        Choice(
            "a fine door \nQuestion: Is this sentence positive or negative?\nAnswer:", [" negative", " positive"], 1
        ),
    ),
    (
        "cola",
        {"sentence": "Doors the fell.", "label": 0, "idx": 0},
        Choice("Doors the fell.\nQuestion: Does this sentence make sense?\nAnswer:", [" no", " yes"], 0),
    ),
    (
        "ag_news",
        {"text": "Doors sell well", "label": 2},
        Choice(
            "Doors sell well\nQuestion: Is this article about World, Sports, Business or Technology?\nAnswer:",
            [" World", " Sports", " Business", " Technology"],
            2,
        ),
    ),
]


@pytest.mark.parametrize(("name", "row", "expected"), GOLDEN, ids=[name for name, _, _ in GOLDEN])
def test_the_request_of_a_row(name: str, row: dict[str, Any], expected: Request) -> None:
    if text := {"sst2": "sentence", "cola": "sentence", "ag_news": "text"}.get(name):  # what the question is about
        assert isinstance(expected, Choice)
        expected = replace(expected, parts=(row[text],))
    assert request(name, row) == expected


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
    row = next(row for golden, row, _ in GOLDEN if golden == name)
    asked = request(name, row)
    assert asked.prompt + asked.answer + TASKS[name].separator == shown[name]

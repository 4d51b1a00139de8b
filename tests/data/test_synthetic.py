"""The tasks that are made by rules: the rules are the paper's, checked on its own released words too."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from gpteval.tasks.registry import task_registry, task_suites
from gpteval.tasks.task import Task

SUITES = task_suites(task_registry())
# Whether a text is the word scrambled by the rule, and the folder of the released words.
RULES: dict[str, tuple[str, Callable[[str, str], bool]]] = {
    "cycle_letters": ("cycle_letters_in_word", lambda a, b: len(a) == len(b) and a in b + b),
    "anagrams1": ("mid_word_1_anagrams", lambda a, b: shuffled(a, b, 1)),
    "anagrams2": ("mid_word_2_anagrams", lambda a, b: shuffled(a, b, 2)),
    "random_insertion": (
        "random_insertion_in_word",
        lambda a, b: a[::2] == b and len(a) == 2 * len(b) - 1 and set(a[1::2]) <= set("./! "),
    ),
    "reversed_words": ("reversed_words", lambda a, b: a == b[::-1]),
}


def shuffled(a: str, b: str, ends: int) -> bool:
    return sorted(a) == sorted(b) and a[:ends] == b[:ends] and a[-ends:] == b[-ends:]


@pytest.mark.parametrize("task", SUITES["arithmetic"], ids=lambda task: task.name)
def test_sums_are_right_and_spread_as_in_the_paper(task: Task) -> None:
    rows = task.source.load().rows
    assert len(rows) == 2000
    assert rows == task.source.load().rows
    for row in rows:
        words = row["asked"].replace("plus", "+").replace("minus", "-").replace("times", "*")
        assert eval(words) == row["result"]
    digits = int(task.name[-3]) if task.name[-3].isdigit() else 1
    numbers = [int(part) for row in rows for part in row["asked"].split() if part.isdigit()]
    if digits > 1:
        assert max(numbers) < 10**digits
        assert 0.45 < sum(numbers) / len(numbers) / 10**digits < 0.55


@pytest.mark.parametrize("name", RULES)
def test_words_are_scrambled_by_the_rule(name: str) -> None:
    _, rule = RULES[name]
    task = task_registry()[f"unscramble_{name}"]
    rows = task.source.load().rows
    assert rows == task.source.load().rows
    assert len({row["word"] for row in rows}) == len(rows) > 1500
    for row in rows:
        assert re.fullmatch("[a-z]{5,14}", row["word"])
        assert row["scrambled"] != row["word"]
        assert rule(row["scrambled"], row["word"]), row


@pytest.mark.shared_data
@pytest.mark.parametrize("name", RULES)
def test_the_released_words_follow_the_same_rule(name: str, shared_data: Path) -> None:
    folder, rule = RULES[name]
    lines = (shared_data / "EleutherAI/unscramble" / folder / "validation.jsonl").read_text().splitlines()
    for row in map(json.loads, lines):
        assert rule(row["context"].strip("\n").removesuffix(" ="), row["completion"].strip()), row

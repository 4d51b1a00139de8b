"""Answers that are numbers, and the rules by which an answer is taken out of a text."""

from __future__ import annotations

import re
from fractions import Fraction

import numpy as np
import pytest

from gpteval.core.errors import PluginError, TaskError
from gpteval.core.outcomes import Failed, Generated
from gpteval.core.types import Generate
from gpteval.metrics.named import metric_registry
from gpteval.metrics.numeric import number_of, numbers_in
from gpteval.tasks.answer_rule import AnswerRule
from gpteval.tasks.registry import task_registry

MATCH, LAST = metric_registry()["number_match"], metric_registry()["last_number"]
RULE = task_registry()["gsm8k"].answer_rule
REFERENCE = "Natalia sold 48/2 = 24 clips in May.\nTogether 48 + 24 = 72.\n#### 72"


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1,000", 1000),
        ("$5.00", 5),
        ("5", 5),
        ("12,345,678.50", Fraction("12345678.5")),
        ("1\u202f000", 1000),
        ("72 apples", 72),
        ("apples: 72.", 72),
        ("-3", -3),
        ("−3", -3),  # the minus sign
        ("-$3.50", Fraction(-7, 2)),
        ("+4", 4),
        (".5", Fraction(1, 2)),
        ("0.50", Fraction(1, 2)),
        ("3/4", Fraction(3, 4)),
        ("1e3", 1000),
        ("50%", 50),
        ("7 = 7.0", 7),
        ("", None),
        ("none", None),
        ("3 or 4", None),
        ("1,00", None),  # no thousands: two numbers
        ("5/0", None),
        ("x7 is no number, nor 7x", 7),
        ("9" * 100, None),
    ],
)
def test_the_one_number_of_a_text(text: str, number: Fraction | int | None) -> None:
    assert number_of(text) == number


def test_numbers_of_a_range_are_not_negative() -> None:
    assert numbers_in("5-6 or 7 - 8") == [5, 6, 7, 8]
    assert numbers_in("2 + 3 = 5, so 5.") == [2, 3, 5, 5]
    assert numbers_in("on 2024-01-05 at 10:30") == [2024, 1, 5, 10, 30]


def scored(text: str, reference: str = REFERENCE) -> tuple[float, float]:
    """Whether a text is right by the published rule, and by its last number."""
    assert RULE is not None
    outcome = RULE.of_outcome(Generated(text, "stop", 9))
    request = RULE.of_request(Generate("Q?", [reference]))
    found = [metric.value(np.asarray(metric.stats(request, outcome))) for metric in (MATCH, LAST)]
    return float(found[0]), float(found[1])


@pytest.mark.parametrize(
    ("text", "reference", "by_rule", "by_last"),
    [
        ("48 / 2 = 24\n#### 72", "#### 72", 1, 1),
        ("#### 1,000", "#### 1000", 1, 1),  # commas
        ("#### 1000", "so 1,000\n#### 1,000", 1, 1),
        ("#### 72 clips", "#### 72", 1, 1),  # units
        ("#### $72", "#### 72", 1, 1),
        ("#### 72.00", "#### 72", 1, 1),  # decimals
        ("#### 0.5", "#### .5", 1, 1),
        ("#### 72.5", "#### 72", 0, 0),
        ("#### -5", "#### -5", 1, 1),  # negative
        ("#### 5", "#### -5", 0, 0),
        ("#### 72 or 73", "#### 72", 1, 0),  # two numbers: the one behind the mark, the last one
        ("#### 71\n#### 72", "#### 72", 0, 1),
        ("The answer is 72.", "#### 72", 0, 1),  # no mark
        ("I do not know", "#### 72", 0, 0),  # none
        ("", "#### 72", 0, 0),
        ("####", "#### 72", 0, 0),
        ("####72", "#### 72", 1, 1),
        ("#### seventy-two, as 72", "#### 72", 0, 1),
    ],
)
def test_the_hard_cases_of_gsm8k(text: str, reference: str, by_rule: int, by_last: int) -> None:
    assert scored(text, reference) == (by_rule, by_last)


def test_as_the_authors_score() -> None:
    """Where their own expression finds an answer, ours finds the same number (Cobbe et al. 2021, dataset.py)."""
    theirs = re.compile(r"#### (\-?[0-9\.\,]+)")
    assert RULE is not None
    for text in ("x\n#### 72", "#### -5", "#### 1,234,567", "#### 3.50", "#### 72\n#### 5", "so #### 0"):
        match = theirs.search(text)
        assert match is not None
        assert number_of(RULE.taken(text)) == Fraction(match[1].replace(",", ""))


def test_rules() -> None:
    assert AnswerRule(r"answer is (\w+)|(\d+)!").taken("the answer is blue, 5!") == "blue"
    assert AnswerRule(r"(?:a|b)c").taken("bc ac") == "bc"
    assert AnswerRule(lambda text: text.partition("=")[2] or None).taken("x = 5") == "5"
    assert AnswerRule(lambda text: None).taken("x") == ""
    assert AnswerRule("x").of_outcome(Failed("no")) == Failed("no")
    with pytest.raises(TaskError, match="is no regular expression"):
        AnswerRule("(")
    with pytest.raises(TaskError, match="answer is 5"):
        AnswerRule(5)  # type: ignore[arg-type]
    with pytest.raises(PluginError, match="gives 5"):
        AnswerRule(lambda text: 5).taken("x")  # type: ignore[arg-type,return-value]
    with pytest.raises(PluginError, match="answer function fails: IndexError"):
        AnswerRule(lambda text: text[10]).taken("x")


def test_other_metrics_judge_what_was_taken() -> None:
    rule = AnswerRule(r"answer: (.*)")
    request = rule.of_request(Generate("Q?", ["Well.\nanswer: Paris", "Lutetia"]))
    assert list(request.references) == ["Paris", "Lutetia"]  # type: ignore[union-attr]
    outcome = rule.of_outcome(Generated("I think.\nanswer: paris", "stop", 5))
    assert metric_registry()["exact_match"].stats(request, outcome)[0] == 1.0
    none = rule.of_outcome(Generated("Paris", "stop", 5))
    assert metric_registry()["exact_match"].stats(request, none)[0] == 0.0

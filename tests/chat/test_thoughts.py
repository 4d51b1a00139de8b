"""What a chat thinks is kept and not scored; a thought that is cut is no answer."""

from __future__ import annotations

import pytest

from gpteval.chat.channels import parted
from gpteval.chat.chat_engine import ChatPrompt
from gpteval.core.kinds import CUT, NO_LETTER
from gpteval.core.outcomes import Failed, Generated, Scored
from gpteval.core.types import Choice, Generate
from gpteval.tokens.queries import QueryResult

LETTERS = Choice("Which?", [" A", " B", " C"], 1)
HARMONY = "<|channel|>analysis<|message|>The user asks.\nSo B.<|end|><|start|>assistant<|channel|>final<|message|>"


@pytest.mark.parametrize(
    ("text", "answer", "thought"),
    [
        ("Paris", "Paris", ""),
        ("<think>\nhm\n</think>\n\nParis", "\n\nParis", "<think>\nhm\n</think>"),
        ("so it is\n</think>Paris", "Paris", "so it is\n</think>"),
        ("<think>\nit goes on", None, "<think>\nit goes on"),
        (f"{HARMONY}Paris<|return|>", "Paris", "The user asks.\nSo B."),
        (f"{HARMONY}Paris", "Paris", "The user asks.\nSo B."),
        ("<|channel|>analysis<|message|>It goes on", None, "It goes on"),
        (
            "<|channel|>analysis<|message|>a<|end|><|start|>assistant<|channel|>commentary<|message|>b<|end|>",
            None,
            "a\n\nb",
        ),
        ("<|channel|>final <|constrain|>json<|message|>{}<|return|>", "{}", ""),
        ("<|channel|>final<|message|>", "", ""),
    ],
)
def test_answer_and_thought(text: str, answer: str | None, thought: str) -> None:
    assert parted(text, in_answer=False) == (answer, thought)


def test_a_prompt_that_begins_the_answer_has_no_channel_to_look_for() -> None:
    assert parted("a <|channel|> b", in_answer=True) == ("a <|channel|> b", "")


def written(request: Choice | Generate, text: str, finish: str = "eos") -> object:
    return ChatPrompt(request, (), in_answer=False).outcome([QueryResult(9, text=text, finish=finish)])


def test_letters_behind_a_thought() -> None:
    found = written(LETTERS, f"{HARMONY}B")
    assert isinstance(found, Scored)
    assert [score.greedy for score in found.scores] == [False, True, False]
    assert (found.text, found.thought) == ("B", "The user asks.\nSo B.")
    cut = written(LETTERS, "<think>A or B or", "length")
    assert isinstance(cut, Failed)
    assert cut.answered
    assert cut.error.startswith(CUT)
    none = written(LETTERS, "<think>well</think>I do not know")
    assert isinstance(none, Failed)
    assert none.answered
    assert none.error.startswith(NO_LETTER)
    assert none.thought == "<think>well</think>"


def test_texts_behind_a_thought_end_at_their_stop_string() -> None:
    request = Generate("Capital?", ["Paris"])
    found = written(request, "<think>\nParis\nor Lyon\n</think>\n\nParis\nsurely", "length")
    assert isinstance(found, Generated)
    assert (found.text, found.finish, found.thought) == ("Paris", "stop", "<think>\nParis\nor Lyon\n</think>")
    cut = written(request, "<think>\nParis\n</think>\n\n", "length")
    assert isinstance(cut, Failed)
    assert cut.error.startswith(CUT)

"""Forms that many prompts share, for task files: they are loaded by path and cannot import each other."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from string import ascii_uppercase

from gpteval.core.types import Choice

NORMALISED = ("acc_char", "acc_token", "acc_byte")  # accuracies that take a choice's length out
LETTERS = ascii_uppercase
NO_YES = (" no", " yes")


def spaced(answers: Iterable[str]) -> list[str]:
    """Answers as continuations of a context that ends without a space."""
    return [f" {answer}" for answer in answers]


def lettered(
    question: str,
    answers: Sequence[str],
    gold: int,
    *,
    letters: Sequence[str] = LETTERS,
    neutral: str | None = None,
) -> Choice:
    """All answers in the prompt, one a line, and the letter of one as the continuation."""
    letters = letters[: len(answers)]
    listed = "\n".join(f"{letter}. {answer}" for letter, answer in zip(letters, answers, strict=True))
    asked = "\n".join(filter(None, [question, listed, "Answer:"]))
    return Choice(asked, spaced(letters), gold, neutral=neutral)

"""A text that a chat model wrote, as thought and answer."""

from __future__ import annotations

import re

from gpteval.backends.thinking import answer_behind
from gpteval.chat.template import CHANNEL

_MESSAGE = re.compile(
    r"<\|channel\|>\s*(\w+)[^<]*(?:<\|constrain\|>[^<]*)?<\|message\|>(.*?)(?=<\|(?:end|return|call|start|channel)\|>|\Z)",
    re.DOTALL,
)
_ANSWERS = "final"


def parted(text: str, *, in_answer: bool) -> tuple[str | None, str]:
    """The answer in a text, None where nothing but a thought is there, and what was thought before it.

    ``in_answer``: the text begins in the answer, since the prompt went that far.
    """
    if in_answer or CHANNEL not in text:
        answer, thinks = answer_behind(text)
        if answer is None:
            return None, text
        return answer, text[: len(text) - len(answer)] if thinks else ""
    said = [(found[1], found[2]) for found in _MESSAGE.finditer(text)]
    answers = [content for channel, content in said if channel == _ANSWERS]
    thought = "\n\n".join(content.strip() for channel, content in said if channel != _ANSWERS)
    return (answers[-1] if answers else None), thought

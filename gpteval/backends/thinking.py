"""What a model thinks aloud before it answers, and the answer behind it."""

from __future__ import annotations

import re

_MARKS = ("think", "thinking", "thought", "reasoning")
_OPEN = re.compile(rf"\s*(?:<(?:{'|'.join(_MARKS)})>|◁think▷|\[THINK\])", re.IGNORECASE)
_CLOSE = re.compile(rf"<(?:/(?:{'|'.join(_MARKS)}))>|◁/think▷|\[/THINK\]", re.IGNORECASE)


def answer_behind(text: str) -> tuple[str | None, bool]:
    """The answer of a text, and whether a thought stands before it; None for one behind which nothing but a thought
    that does not end stands.

    A thought may begin without a mark, since some templates put that into the prompt.
    """
    ends = [found.end() for found in _CLOSE.finditer(text)]
    rest = text[ends[-1] :] if ends else text
    return (None, True) if _OPEN.match(rest) else (rest, bool(ends))

"""How chat models are asked, whether they are behind an API or here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gpteval.core.errors import UsageError
from gpteval.core.types import digest

TEXT, TURNS = "text", "turns"
SHOTS_AS = (TEXT, TURNS)


@dataclass(frozen=True)
class ChatOptions:
    """``system``: a message that goes before all others. ``shots_as``: examples stand in the one message of the user,
    or are turns of a conversation. ``thinking``: whether a model whose template is applied here may think before it
    answers; what is behind an API does as it was set there.
    """

    system: str = ""
    shots_as: str = TEXT
    thinking: bool = False

    def __post_init__(self) -> None:
        if self.shots_as not in SHOTS_AS:
            raise UsageError(f"--shots-as is one of {' and '.join(SHOTS_AS)}, not {self.shots_as!r}")

    @property
    def rule(self) -> str:
        """What makes numbers others than those of chats that are asked as by default; for the signature."""
        said = f"system message {digest(self.system, size=3)}" if self.system else ""
        turns = f"shots as {self.shots_as}" if self.shots_as != TEXT else ""
        return "|".join(filter(None, [said, turns, "thinking" * self.thinking]))

    @property
    def changed(self) -> dict[str, Any]:
        """What is otherwise than by default: a part of a run's settings."""
        return {name: value for name, value in vars(self).items() if value != getattr(_PLAIN, name)}


_PLAIN = ChatOptions()

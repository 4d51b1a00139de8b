"""A tokenizer's chat template, with all of it fixed that would make two runs differ: its date, whether it thinks."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from gpteval.backends.chat_options import TURNS, ChatOptions
from gpteval.backends.text_queries import Spoken
from gpteval.core.errors import ModelError
from gpteval.core.types import digest

# The day that templates are told, whenever it is: in the place of the clock that they may ask, since what is handed to
# a template is text.
DAY = {
    "%Y": "2025",
    "%y": "25",
    "%m": "01",
    "%d": "01",
    "%-d": "1",
    "%e": "1",
    "%B": "January",
    "%b": "Jan",
    "%A": "Wednesday",
    "%a": "Wed",
    "%H": "00",
    "%M": "00",
    "%S": "00",
    "%j": "001",
}
_REPLACED = "".join(f"|replace('{sign}', '{text}')" for sign, text in DAY.items())
_CLOCK = "{%- macro strftime_now(format) -%}{{ format" + _REPLACED + " }}{%- endmacro -%}"
CHANNEL, FINAL = "<|channel|>", "<|channel|>final<|message|>"  # of templates whose answers come in channels
_SWITCHES = ("enable_thinking", "thinking")  # by which templates are told whether the model may think
_OPENED = re.compile(r"<(think|thinking|reasoning)>\s*$")
_USER, _SYSTEM, _ANSWER = "Qz7 first", "Qz7 system", "Qz7 answer"  # that stand in no template


class ChatTemplate:
    """Raises ModelError for a model that has none, or whose template cannot be used.

    ``takes_system``: else what it would say goes before the user's first message. ``opened``: what is put behind the
    template's own beginning of an answer, so that no thought goes before it.
    """

    def __init__(self, tokenizer: Any, options: ChatOptions, name: str) -> None:
        if not tokenizer.chat_template:
            raise ModelError(
                f"model {name} has no chat template: it is a base model, which is asked by going on with a text",
                f"name it as {name.removeprefix('chat:')}, without --protocol chat; its chat version may have one",
            )
        self.tokenizer, self.options, self.name = tokenizer, options, name
        self.source = str(tokenizer.get_chat_template())
        self.told: dict[str, Any] = dict.fromkeys(_SWITCHES, options.thinking)
        self.told |= {"date_string": f"{DAY['%d']} {DAY['%b']} {DAY['%Y']}"}
        self._fixed = (_CLOCK if "strftime_now" in self.source else "") + self.source
        self.channels = CHANNEL in self.source
        self.takes_system = True
        self.opened = ""
        self.takes_system = self._has(_SYSTEM, [_said("system", _SYSTEM), _said("user", _USER)])
        try:
            self.frame = self.render([_said("user", _USER)])
        except ModelError as error:
            raise ModelError(f"{error.message}, to a plain question", error.hint) from None
        if _USER not in self.frame:
            raise ModelError(f"model {name}: its chat template leaves out what the user says", "mend the template")
        if options.shots_as == TURNS and not self._has(
            _ANSWER, [_said("user", _USER), _said("assistant", _ANSWER), _said("user", _USER)]
        ):
            raise ModelError(
                f"model {name}: its chat template takes no conversation of several turns", "use --shots-as text"
            )
        self.has_switch = self._rendered(True) != self._rendered(False)
        self.opened = "" if options.thinking else self._without_thought()
        self.frame += self.opened

    def _rendered(self, thinking: bool) -> str:
        told = {**self.told, **dict.fromkeys(_SWITCHES, thinking)}
        text: str = self._applied([_said("user", _USER)], told)
        return text

    def _without_thought(self) -> str:
        """What ends a thought before it begins, where the template cannot do so itself."""
        if self.channels:
            return FINAL
        if opened := _OPENED.search(self.frame):
            return f"{'' if self.frame.endswith(chr(10)) else chr(10)}\n</{opened[1]}>\n\n"
        return "<think>\n\n</think>\n\n" if "</think>" in self.source and not self.has_switch else ""

    def _has(self, sentinel: str, messages: Sequence[Spoken]) -> bool:
        try:
            return sentinel in self.render(messages)
        except ModelError:
            return False

    def render(self, messages: Sequence[Spoken]) -> str:
        """The text of a conversation up to where its answer begins. Raises ModelError for what a template refuses."""
        if not self.takes_system and messages[0]["role"] == "system":
            system, user, *others = messages
            messages = [_said("user", f"{system['content']}\n\n{user['content']}"), *others]
        return f"{self._applied(messages, self.told)}{self.opened}"

    def _applied(self, messages: Sequence[Spoken], told: Mapping[str, Any]) -> str:
        try:
            text: str = self.tokenizer.apply_chat_template(
                list(messages), chat_template=self._fixed, tokenize=False, add_generation_prompt=True, **told
            )
        except Exception as error:  # jinja's own, or whatever a template's code comes to
            raise ModelError(f"model {self.name}: its chat template says: {error}", "mend the template") from error
        return text

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of rendered conversations, which bring all special tokens themselves."""
        written = [text.encode("utf-8", "replace").decode("utf-8") for text in texts]
        ids: list[list[int]] = self.tokenizer(written, add_special_tokens=False, verbose=False)["input_ids"]
        return ids

    @property
    def ends(self) -> frozenset[int]:
        """Special tokens by which a turn of the model ends, beside those that the model's files name."""
        if self.channels and self.options.thinking:  # a thought is a message of its own
            return frozenset()
        try:
            text = self.render([_said("user", _USER), _said("assistant", _ANSWER), _said("user", _USER)])
        except ModelError:
            return frozenset()
        behind = self.encode([text.rpartition(_ANSWER)[2]])[0][:1]
        special = {number for number, token in self.tokenizer.added_tokens_decoder.items() if token.special}
        return frozenset(behind) & special

    @property
    def digest(self) -> str:
        """Of all that makes a prompt of a question."""
        return digest(self.source, self.frame, self.takes_system, sorted(vars(self.options).items()))

    @property
    def notes(self) -> list[str]:
        """What a reader of results should know."""
        found = [f"asked as a chat, by its template ({self.digest[:8]})"]
        if self.options.system and not self.takes_system:
            found.append("its template takes no system message: that stands before the user's first")
        if self.options.thinking:
            found.append("it may think before it answers")
        elif self.opened or self.has_switch:
            found.append("it answers without thinking")
        return found


def _said(role: str, content: str) -> Spoken:
    return {"role": role, "content": content}

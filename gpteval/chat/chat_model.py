"""A model of transformers with its chat template."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from gpteval.backends.chat_options import ChatOptions
from gpteval.chat.template import ChatTemplate
from gpteval.models.catalogue import ModelInfo
from gpteval.models.loader import HFModel, LoadOptions


class ChatModel(HFModel):
    """``template`` is a part of what identifies it: asked by another, it is another model. Raises ModelError."""

    def __init__(self, info: ModelInfo, options: LoadOptions, chat: ChatOptions) -> None:
        super().__init__(info, options)
        self.template = ChatTemplate(self.codec.tokenizer, chat, info.name)
        self.codec.eos |= self.template.ends

    @cached_property
    def fingerprint(self) -> str:
        return f"{super().fingerprint}+chat:{self.template.digest}"

    def described(self) -> dict[str, Any]:
        """The template for the manifest: what a question looks like in it."""
        return {
            "template": self.template.digest,
            "question_in_it": self.template.frame,
            "system_message_taken": self.template.takes_system,
            **vars(self.template.options),
        }

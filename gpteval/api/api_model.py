"""A model behind an API, as the run takes it."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from gpteval.backends.api_options import ApiOptions
from gpteval.backends.interface import PlainText
from gpteval.core.errors import GptevalError, ModelError
from gpteval.core.types import digest
from gpteval.models.catalogue import ModelInfo, resolve_models
from gpteval.models.loader import HFModel

VERSION = 2  # raise when what is asked, or how answers are read, changes


class ApiModel:
    """``kind`` is ``chat`` or ``completions``. Nothing is asked before the first batch.

    A completions model needs the tokenizer of the model that is served: prompts are sent as its tokens, so that what
    is context and what is scored is the same as for a local model. Raises ModelError where it cannot be loaded.
    """

    device = place = revision = "api"
    dtype = source = ""

    def __init__(self, info: ModelInfo, options: ApiOptions, kind: str) -> None:
        self.options, self.kind = options, kind
        self.window: int | None = None
        self.codec: Any = PlainText()
        self.architecture = f"{kind} API"
        self.vocabulary: int | None = None
        self.info = info
        if kind == "completions":
            local = self._served(info)
            self.codec = local.codec
            self.window = local.window
            self.vocabulary = local.config.get_text_config().vocab_size
            found = local.info
            self.info = replace(info, generation=found.generation, n_params=found.n_params, window=local.window)

    def _served(self, info: ModelInfo) -> HFModel:
        """Tokenizer and configuration of the model that is served; its weights are not loaded."""
        name = self.options.tokenizer or info.location
        try:
            (named,) = resolve_models([name])
            return HFModel(named)
        except (GptevalError, ValueError) as error:
            reason = error.message if isinstance(error, GptevalError) else str(error).split("\n")[0]
            raise ModelError(
                f"model {info.name}: the tokenizer and configuration of {name} cannot be loaded: {reason}",
                "that folder needs the served model's config.json beside its tokenizer's files"
                if self.options.tokenizer
                else "name the served model's folder or Hub id with --tokenizer",
            ) from error

    @property
    def fingerprint(self) -> str:
        """Where it is asked and by what name; what answered is told apart by ``answered_as``."""
        place = re.sub(r"//[^/@]*@", "//", self.options.url)
        return f"api:{digest(place, self.info.location, self.kind)}"

    @property
    def key(self) -> str:
        return digest(VERSION, self.fingerprint, self.options.tokenizer)

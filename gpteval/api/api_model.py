"""A model behind an API, as the run takes it."""

from __future__ import annotations

import re
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

from gpteval.api.api_options import ApiOptions
from gpteval.core.errors import GptevalError, ModelError
from gpteval.core.types import digest
from gpteval.models.catalogue import ModelInfo, resolve_models
from gpteval.models.loader import HFModel

VERSION = 2  # raise when what is asked, or how answers are read, changes


class NoCodec:
    """In place of a tokenizer, where texts go out and come back as they are."""

    lossy = False
    notes: tuple[str, ...] = ()

    def round_trip(self, text: str) -> str:
        return text


class ApiModel:
    """``info.api`` is ``chat`` or ``completions``. Nothing is asked before the first batch.

    A completions model needs the tokenizer of the model that is served: prompts are sent as its tokens, so that what
    is context and what is scored is the same as for a local model. Raises ModelError where it cannot be loaded.
    """

    device = "api"
    dtype = ""
    loaded = True
    module: Any = None
    attention = ""
    revision = "api"

    def __init__(self, info: ModelInfo, options: ApiOptions) -> None:
        self.options = options
        self.window: int | None = None
        self.codec: Any = NoCodec()
        self.config = SimpleNamespace(model_type=f"{info.api} API")
        self.vocabulary: int | None = None
        self.info = info
        if info.api == "completions":
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
        return f"api:{digest(place, self.info.location, self.info.api)}"

    @property
    def key(self) -> str:
        return digest(VERSION, self.fingerprint, self.options.tokenizer)

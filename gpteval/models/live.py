"""A model that is in memory already, such as one in training, as the engine takes it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from gpteval.core.errors import ModelError
from gpteval.core.types import digest
from gpteval.models.catalogue import GENERATION_OF, ModelInfo, window_of
from gpteval.models.loader import FALLBACK_WINDOW, HFModel, LoadOptions
from gpteval.tokens.tokenizer import Codec


class LiveModel(HFModel):
    """``module``: a causal language model of transformers, as it is now; wrappers of torch (compiled, data-parallel)
    are looked through. ``name``, ``family`` and ``step`` are those of its results. Raises ModelError for another
    module.
    """

    def __init__(self, module: Any, tokenizer: Any, name: str, family: str = "", step: int | None = None) -> None:
        while hasattr(module, "_orig_mod") or (not hasattr(module, "config") and hasattr(module, "module")):
            module = module._orig_mod if hasattr(module, "_orig_mod") else module.module
        if not hasattr(module, "config") or not hasattr(module, "get_output_embeddings"):
            raise ModelError(
                f"{type(module).__name__} is not a causal language model of transformers",
                "save a checkpoint and name it with gpteval run --models",
            )
        text = module.config.get_text_config()
        configured = (text.eos_token_id, getattr(module.generation_config, "eos_token_id", None))
        ends = {token for one in configured for token in (one if isinstance(one, list) else [one])}
        self.options = LoadOptions(str(module.device), str(module.dtype).removeprefix("torch."))
        self.device = str(module.device)
        self.attention = str(getattr(module.config, "_attn_implementation", "") or "")
        self.config = module.config
        self.revision, self.source = "live", ""
        self.codec = Codec(tokenizer, extra_eos=sorted(token for token in ends if isinstance(token, int)))
        self.window = window_of(text.to_dict()) or FALLBACK_WINDOW
        self.info = ModelInfo(
            name=name,
            location=name,
            local=True,
            generation=GENERATION_OF.get(text.model_type, "other"),
            n_params=int(module.num_parameters()),
            window=self.window,
            family=family,
            step=step,
        )
        self._code = type(module).__name__
        self.__dict__["module"] = module  # in memory: what the class would load
        self.__dict__["fingerprint"] = _checksum(module)
        self.__dict__["weights"] = {}  # no file has them

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """The module in evaluation mode, and the random state as it was."""
        import torch

        devices = [self.module.device] if self.device.startswith("cuda") else []
        training = [part for part in self.module.modules() if part.training]
        with torch.random.fork_rng(devices=devices):
            self.module.eval()
            try:
                yield
            finally:
                for part in training:
                    part.training = True


def _checksum(module: Any) -> str:
    """Of all weights, by two sums each, so that none leaves its device."""
    import torch

    with torch.inference_mode():
        sums = []
        for weight in module.parameters():
            flat = weight.detach().flatten()
            places = torch.arange(1, len(flat) + 1, device=flat.device, dtype=torch.float32).sin_()
            sums += [flat.sum(dtype=torch.float64), (flat.float() * places).sum(dtype=torch.float64)]
        return f"live:{digest(torch.stack(sums).tolist(), size=12)}"

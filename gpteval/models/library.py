"""The calls of libraries that read a model's files, all of them, each told in so many words what it may do.

Left to themselves these calls run a repository's code, read pickles, or ask on the terminal whether they may.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from gpteval.models.sizes import refuse_layers

Where = str | Path
CORES = ("core", "_core")  # as numpy calls its own, before version 2 and since


@dataclass(frozen=True)
class Trust:
    """What of a model's files may be used beyond plain data: the repository's ``code``, weights in ``pickles``."""

    code: bool = False
    pickles: bool = False


NO_TRUST = Trust()
CODE_HINT = "read that code first; --trust-remote-code lets it run on your machine"


def needs_code(error: Exception) -> bool:
    """Whether a call failed because the files want code of theirs to run."""
    return any(sign in str(error) for sign in ("trust_remote_code", "custom code"))


def quiet() -> None:
    """transformers tells of errors alone, and shows no progress of its own."""
    from transformers import logging

    if logging.get_verbosity() != logging.ERROR:  # to set it takes milliseconds
        logging.set_verbosity_error()
    logging.disable_progress_bar()


def config_of(where: Where, trust: Trust = NO_TRUST, **how: Any) -> Any:
    """The configuration of a folder or Hub id."""
    import transformers

    return transformers.AutoConfig.from_pretrained(str(where), trust_remote_code=trust.code, **how)


def tokenizer_of(where: Where, trust: Trust = NO_TRUST, **how: Any) -> Any:
    """The tokenizer of a folder or Hub id."""
    import transformers

    return transformers.AutoTokenizer.from_pretrained(str(where), trust_remote_code=trust.code, **how)


def untrained(config: Any, trust: Trust = NO_TRUST) -> Any:
    """A causal language model with new weights. Raises ModelError for more layers than any model has."""
    import transformers

    refuse_layers(config)
    return transformers.AutoModelForCausalLM.from_config(config, trust_remote_code=trust.code)


def skeleton_of(config: Any, trust: Trust = NO_TRUST) -> Any:
    """The same with the shapes of its weights alone."""
    import torch

    with torch.device("meta"), _no_draws_on_meta():
        return untrained(config, trust)


def weights_of(where: Where, trust: Trust = NO_TRUST, **how: Any) -> tuple[Any, dict[str, Any]]:
    """The causal language model of a folder or Hub id, and what transformers says of its tensors."""
    import transformers

    with _no_draws_on_meta():
        model, loading = transformers.AutoModelForCausalLM.from_pretrained(
            str(where),
            trust_remote_code=trust.code,
            use_safetensors=None if trust.pickles else True,
            weights_only=True,
            output_loading_info=True,
            **how,
        )
    return model, loading


def _no_draws_on_meta() -> Any:
    """A context in which weights that are shapes alone are not drawn: nothing comes of it, and torch takes its time."""
    from torch.nn import init
    from torch.overrides import TorchFunctionMode

    draws = {init.constant_, init.kaiming_uniform_, init.normal_, init.uniform_}

    class NoDraws(TorchFunctionMode):
        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            if func in draws:
                tensor: Any = (kwargs or {}).get("tensor", args[0] if args else None)
                if tensor.is_meta:
                    return tensor
            return func(*args, **(kwargs or {}))

    return NoDraws()


def gguf_names(config: Any, architecture: str) -> frozenset[str] | None:
    """The tensors of a GGUF file that have a place in a model, by transformers' account; None where it tells of those
    without one itself, when it loads them.
    """
    from transformers import modeling_gguf_pytorch_utils as utils

    try:
        from transformers.integrations.gguf.gguf_conversion_mapping import GGUF_ARCHS
    except ImportError:  # versions before 5.20 or so
        GGUF_ARCHS = {}
    if architecture in GGUF_ARCHS:
        return None
    model = skeleton_of(config)
    processor = utils.TENSOR_PROCESSORS.get(architecture, utils.TensorProcessor)
    return frozenset(utils.get_gguf_hf_weights_map(model, processor(config=config.to_dict())))


@contextmanager
def gguf_unpacking() -> Iterator[None]:
    """transformers makes the table of GGUF's names anew for each part of a model: here it is made once. And it shows
    its progress, whatever it was told.
    """
    import gguf
    from transformers import modeling_gguf_pytorch_utils as utils

    names, bar = gguf.get_tensor_name_map, getattr(utils, "tqdm", None)
    gguf.get_tensor_name_map = cache(names)
    utils.tqdm = lambda tensors, **how: tensors
    try:
        yield
    finally:
        gguf.get_tensor_name_map, utils.tqdm = names, bar


def gguf_splits() -> frozenset[str]:
    """The pre-tokenizers of GGUF files that transformers knows by their names."""
    try:
        from transformers.integrations.gguf.gguf_tokenizer_mapping import GGUF_PRE_TOKENIZER_SPLITS
    except ImportError:
        return frozenset()
    return frozenset(GGUF_PRE_TOKENIZER_SPLITS)


def with_adapter(model: Any, folder: Path) -> Any:
    """``model`` with peft's adapter of a folder, whose weights are safetensors: peft takes those first."""
    import peft

    return peft.PeftModel.from_pretrained(model, str(folder), is_trainable=False)


def tensors_of(path: Path) -> Any:
    """What a pickle of torch holds: tensors, numbers (also numpy's), texts; nothing else in it is made or run."""
    import torch

    with torch.serialization.safe_globals(_numbers_of_numpy()):
        return torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))


def _numbers_of_numpy() -> list[Any]:
    """What numpy's scalars and arrays are made with, by the names that its versions write."""
    import numpy as np
    from numpy._core.multiarray import _reconstruct, scalar

    kinds = [type(np.dtype(kind)) for kind in ("?", "b", "B", "h", "H", "i", "I", "l", "L", "q", "Q", "e", "f", "d")]
    made = [(call, f"numpy.{core}.multiarray.{call.__name__}") for call in (_reconstruct, scalar) for core in CORES]
    return [*dict.fromkeys(kinds), np.dtype, np.ndarray, *made]

"""``.gguf`` files, as llama.cpp has them: read by transformers, which undoes their quantisation.

What transformers would leave out is put into the configuration or refused by its name (``gguf_keys``); each tensor of
the file has to have its place in the model.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from gpteval.core.errors import ModelError, UsageError
from gpteval.models.checkpoint import refuse_left_over
from gpteval.models.foreign.gguf_keys import ANOTHER, FACTORS, Keys, follow, hold, hold_tokenizer
from gpteval.models.foreign.gguf_parts import joined
from gpteval.models.library import (
    NO_TRUST,
    Trust,
    config_of,
    gguf_names,
    gguf_splits,
    gguf_unpacking,
    tokenizer_of,
    weights_of,
)
from gpteval.models.sizes import refuse_sizes


def write_gguf(path: Path, folder: Path, trust: Trust = NO_TRUST) -> int:
    """Write the model and its tokenizer into ``folder`` in the Hub's format, in float32.

    What lies beside the file takes no part, but for the other parts of a split one. Raises ModelError, UsageError.
    """
    if find_spec("gguf") is None:
        raise UsageError(f"{path.name} is a GGUF file, which needs gguf", "pip install 'gpteval[gguf]'")
    try:
        with tempfile.TemporaryDirectory(dir=folder.parent) as alone, gguf_unpacking():
            whole = joined(path, Path(alone))
            if whole == path:
                whole = Path(alone) / path.name
                whole.symlink_to(path.resolve())
            _write(whole, folder, path.name)
    except ModelError:
        raise
    except Exception as error:  # transformers and gguf raise many kinds
        reason = str(error).split("\n")[0][:200]
        raise ModelError(
            f"{path.name} cannot be read: {type(error).__name__}: {reason}",
            "transformers reads the GGUF files of some architectures only; a folder of the Hub's format always works",
        ) from error
    return 0


def _write(file: Path, folder: Path, name: str) -> None:
    """``file``: its whole path, or transformers would take one of that name in the working folder. ``name``: what the
    person calls it.
    """
    import gguf
    import transformers

    reader = gguf.GGUFReader(file)
    keys = Keys.of(reader, name)
    config = config_of(file.parent, gguf_file=str(file))
    layers = getattr(config.get_text_config(), "num_hidden_layers", 1)
    refuse_sizes(name, {"block_count": layers}, layers, len(reader.tensors))
    factors = next((tensor.data for tensor in reader.tensors if tensor.name == FACTORS), None)
    follow(config, keys, factors)
    hold(config, keys)
    known = gguf_names(config, keys.architecture)
    if known is not None and (over := sorted(keys.tensors - known - {FACTORS})):
        raise ModelError(
            f"{name}: {len(over)} of its tensors have no place in a {config.model_type} model, first {over[0]}", ANOTHER
        )
    tokenizer = tokenizer_of(file.parent, gguf_file=str(file))
    hold_tokenizer(tokenizer, keys, gguf_splits())
    plain = {}
    if hasattr(transformers, "GgufConfig"):  # the versions that can also keep the weights packed
        plain["quantization_config"] = transformers.GgufConfig(dequantize=True)
    model, loading = weights_of(file.parent, gguf_file=str(file), config=config, dtype="float32", **plain)
    loading["unexpected_keys"] = set(loading["unexpected_keys"]) - {FACTORS}
    loading["missing_keys"] = set(loading["missing_keys"]) - _without_bias(model, keys, loading["missing_keys"])
    refuse_left_over(name, loading)
    if getattr(model, "hf_quantizer", None) is not None:
        model.hf_quantizer.remove_quantization_config(model)  # or it would refuse to be saved
    _add_ends(model, keys)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _without_bias(model: Any, keys: Keys, missing: Iterable[str]) -> set[str]:
    """The biases of output projections that a file with biases of queries, keys and values has not: zeros."""
    if "blk.0.attn_q.bias" not in keys.tensors or any("attn_output.bias" in name for name in keys.tensors):
        return set()
    found = {name for name in missing if name.endswith("self_attn.o_proj.bias")}
    for name in found:
        model.get_parameter(name).data.zero_()
    return found


def _add_ends(model: Any, keys: Keys) -> None:
    """The tokens that end a text, of which the file may tell several."""
    ends = {keys.tokenizer.get(f"{end}_token_id") for end in ("eos", "eot", "eom")} - {None}
    if len(ends) > 1:
        model.generation_config.eos_token_id = sorted(ends)

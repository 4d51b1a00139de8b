"""Checkpoints of the programs that train GPT-2s: nanoGPT's ``ckpt.pt`` and llm.c's ``.bin``.

Of a pickle nothing is executed: see ``library.tensors_of``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from gpteval.core.errors import ModelError
from gpteval.models.library import NO_TRUST, Trust, tensors_of
from gpteval.models.sizes import numbers_of, refuse_sizes

GPT2_VOCABULARIES = (50_257, 50_304)  # the second is padded to a multiple of 64
LLMC_MAGIC, _LLMC_HEADER = 20240326, 256
_CUT = "copy it once more from where it was written"
_OWN = "where the program was changed, save the model with transformers' save_pretrained and give that folder"
_WRAPPED = re.compile(r"(^|\.)(?:(?:_orig_mod|module)\.)+")  # by torch.compile, by DistributedDataParallel
Tensors = dict[str, Any]


def write_nanogpt(path: Path, folder: Path, trust: Trust = NO_TRUST) -> int:
    """Write nanoGPT's checkpoint into ``folder`` in the Hub's format, without a tokenizer; its vocabulary's size."""
    return _save(*_nanogpt(path), folder)


def write_llmc(path: Path, folder: Path, trust: Trust = NO_TRUST) -> int:
    """The same for a model that llm.c wrote."""
    return _save(*_llmc(path), folder)


def _nanogpt(path: Path) -> tuple[dict[str, Any], Tensors]:
    """Configuration and tensors of a ``ckpt.pt`` of karpathy/nanoGPT.

    Its layers are ``Linear``, whose weights are those of GPT-2's transposed. Biases it has all or none, which are zero
    then, as its arguments say; before they did, all. Its GELU is the exact one.
    The output layer is the embedding, padding included, as nanoGPT's own softmax has it.
    """
    import torch

    try:
        found = tensors_of(path)
        state, arguments = found["model"], found["model_args"]
        sizes = {name: int(arguments[name]) for name in ("n_layer", "n_head", "n_embd", "block_size", "vocab_size")}
    except Exception as error:  # unpickling, a cut archive, another program's keys
        raise ModelError(
            f"{path.name} is not a checkpoint of nanoGPT: {_reason(error)}",
            "expected a dict of 'model' (tensors) and 'model_args' (numbers); nothing else in it is loaded",
        ) from error
    state = {_WRAPPED.sub(r"\1", name): tensor for name, tensor in state.items()}
    width, layers = sizes["n_embd"], sizes["n_layer"]
    refuse_sizes(path.name, sizes, layers * len(_LAYERS), len(state))
    _refuse_heads(path, width, sizes["n_head"])
    stretched = [name for name, tensor in state.items() if tensor.numel() * tensor.element_size() > path.stat().st_size]
    if stretched:
        raise ModelError(f"{path.name}: {stretched[0]} is larger than the whole file", _CUT)
    expected = _shapes(sizes["vocab_size"], sizes["block_size"], width, layers)
    given = {n for n in state if not n.endswith((".attn.bias", ".attn.masked_bias"))} - {"lm_head.weight"}
    wanted = {name for name in expected if arguments.get("bias", True) or not name.endswith(".bias")}
    if wrong := sorted(wanted ^ given):
        raise ModelError(f"{path.name} is not a checkpoint of nanoGPT: {wrong[0]} is {_lacking(wrong[0], given)}", _OWN)
    tensors = {}
    for name, shape in expected.items():
        linear = name.endswith(".weight") and any(part in name for part in (".c_attn.", ".c_proj.", ".c_fc."))
        stored = (shape[1], shape[0]) if linear else shape
        tensor = state[name].float() if name in state else torch.zeros(shape)
        if name in state and tuple(tensor.shape) != stored:
            raise ModelError(f"{path.name}: {name} has shape {tuple(tensor.shape)}, expected {stored}", _OWN)
        tensors[name] = tensor.t() if linear else tensor
    head = state.get("lm_head.weight")
    if head is not None and not torch.equal(head.float(), tensors["transformer.wte.weight"]):
        raise ModelError(f"{path.name}: its output layer is not its embedding, as nanoGPT has them", _OWN)
    return _config(sizes["vocab_size"], sizes["block_size"], width, layers, sizes["n_head"], "gelu"), tensors


def _refuse_heads(path: Path, width: int, heads: int) -> None:
    if width % heads:
        raise ModelError(f"{path.name} states {heads:,} heads, which do not divide its width of {width:,}", _CUT)


def _reason(error: Exception) -> str:
    """Of torch's advice of many lines what it was that could not be read."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", str(error))
    foreign = re.search(r"Unsupported (?:global: GLOBAL|class|operand) (\S+)", text)
    if foreign:
        return f"it holds {foreign[1].rstrip('.,')}, which is neither a tensor nor a number, and is not loaded"
    return f"{type(error).__name__}: {text.split(chr(10))[0][:200]}"


def _lacking(name: str, given: set[str]) -> str:
    return "not expected" if name in given else "missing"


def _llmc(path: Path) -> tuple[dict[str, Any], Tensors]:
    """Configuration and tensors of a model that karpathy/llm.c wrote: version 3 is float32, version 5 bfloat16.

    The vocabulary's padding is left out, as llm.c's softmax leaves it out; its GELU is the tanh form.
    """
    import torch

    header = np.fromfile(path, dtype=np.int32, count=_LLMC_HEADER)
    if len(header) < _LLMC_HEADER:
        raise ModelError(
            f"{path.name} is cut: its header has {4 * len(header)} bytes, expected {4 * _LLMC_HEADER}", _CUT
        )
    version, window, vocabulary, layers, heads, width, padded = (int(number) for number in header[1:8])
    if version not in (3, 5):
        raise ModelError(f"{path.name} has llm.c's version {version}, expected 3 (float32) or 5 (bfloat16)", _OWN)
    size = 4 if version == 3 else 2
    need, have = numbers_of(padded, window, width, layers) * size, path.stat().st_size - 4 * _LLMC_HEADER
    sizes = {"layers": layers, "width": width, "heads": heads, "window": window, "vocabulary": vocabulary}
    refuse_sizes(path.name, sizes, 0, 0)
    _refuse_heads(path, width, heads)
    if need != have or vocabulary > padded:
        raise ModelError(f"{path.name} has {have:,} bytes of weights, expected {need:,}: it is cut, or another's", _CUT)
    ours = _shapes(padded, window, width, layers)
    parts = [("wte.weight", 0), ("wpe.weight", 0)]
    parts += [(f"{layer}.{kind}", layers) for layer in _LAYERS for kind in ("weight", "bias")]
    parts += [("ln_f.weight", 0), ("ln_f.bias", 0)]
    names = [f"transformer.h.{n}.{name}" if of else f"transformer.{name}" for name, of in parts for n in range(of or 1)]
    data = np.fromfile(path, dtype=np.float32 if size == 4 else np.int16, offset=4 * _LLMC_HEADER)
    flat = torch.from_numpy(data) if size == 4 else torch.from_numpy(data).view(torch.bfloat16).float()
    tensors, begin = {}, 0
    for name in names:
        shape = ours[name]
        count = int(np.prod(shape))
        linear = name.endswith(".weight") and len(shape) == 2 and ".h." in name
        part = flat[begin : begin + count]
        tensors[name] = part.view(shape[1], shape[0]).t() if linear else part.view(shape)
        begin += count
    tensors["transformer.wte.weight"] = tensors["transformer.wte.weight"][:vocabulary]
    return _config(vocabulary, window, width, layers, heads, "gelu_new"), tensors


_LAYERS = ("ln_1", "attn.c_attn", "attn.c_proj", "ln_2", "mlp.c_fc", "mlp.c_proj")


def _shapes(vocabulary: int, window: int, width: int, layers: int) -> dict[str, tuple[int, ...]]:
    """The tensors of transformers' GPT-2, weights of its layers [in, out]."""
    outs = {"attn.c_attn": (width, 3 * width), "attn.c_proj": (width, width)}
    outs |= {"mlp.c_fc": (width, 4 * width), "mlp.c_proj": (4 * width, width)}
    shapes: dict[str, tuple[int, ...]] = {
        "transformer.wte.weight": (vocabulary, width),
        "transformer.wpe.weight": (window, width),
    }
    for number in range(layers):
        for layer in _LAYERS:
            shape = outs.get(layer, (width,))
            shapes[f"transformer.h.{number}.{layer}.weight"] = shape
            shapes[f"transformer.h.{number}.{layer}.bias"] = shape[-1:]
    return shapes | {"transformer.ln_f.weight": (width,), "transformer.ln_f.bias": (width,)}


def _config(vocabulary: int, window: int, width: int, layers: int, heads: int, activation: str) -> dict[str, Any]:
    end = 50_256 if vocabulary in GPT2_VOCABULARIES else None
    return {
        "architectures": ["GPT2LMHeadModel"],
        "model_type": "gpt2",
        "vocab_size": vocabulary,
        "n_positions": window,
        "n_embd": width,
        "n_layer": layers,
        "n_head": heads,
        "activation_function": activation,
        "tie_word_embeddings": True,
        "bos_token_id": end,
        "eos_token_id": end,
    }


def _save(config: Mapping[str, Any], tensors: Tensors, folder: Path) -> int:
    from safetensors.torch import save_file

    (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")
    whole = {name: tensor.contiguous() for name, tensor in tensors.items()}
    save_file(whole, folder / "model.safetensors", metadata={"format": "pt"})
    return int(config["vocab_size"])

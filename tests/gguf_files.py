"""GGUF files of small random models, as llama.cpp's converter writes them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import gguf
import torch
import transformers

from tests.tiny import byte_level_tokenizer

WINDOW = 64
SMALL = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 64,
    "max_position_embeddings": WINDOW,
    "bos_token_id": 0,
    "eos_token_id": 0,
    "pad_token_id": 0,
    "tie_word_embeddings": False,
}
GEMMA = {"head_dim": 8, "sliding_window": 16, "query_pre_attn_scalar": 8, "tie_word_embeddings": True}
# By an architecture's name in GGUF: its configuration in transformers, and what of it is other than SMALL.
CONFIGS: dict[str, tuple[str, dict[str, Any]]] = {
    "gpt2": ("GPT2Config", {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": WINDOW}),
    "llama": ("LlamaConfig", {}),
    "qwen2": ("Qwen2Config", {}),
    "qwen3": ("Qwen3Config", {"head_dim": 16}),
    "phi3": ("Phi3Config", {}),
    "starcoder2": ("Starcoder2Config", {"sliding_window": None}),
    "stablelm": ("StableLmConfig", {"partial_rotary_factor": 0.5}),
    "nemotron": ("NemotronConfig", {}),
    "gemma2": ("Gemma2Config", GEMMA),
    "gemma3": ("Gemma3TextConfig", GEMMA),
}


def model_of(architecture: str, seed: int = 0, **settings: Any) -> Any:
    """A random model with weights large enough that positions and biases matter."""
    name, own = CONFIGS[architecture]
    base = {"bos_token_id": 0, "eos_token_id": 0} if architecture == "gpt2" else SMALL
    config = getattr(transformers, name)(**{**base, "vocab_size": len(byte_level_tokenizer()), **own, **settings})
    torch.manual_seed(seed)
    model = transformers.AutoModelForCausalLM.from_config(config).eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(torch.randn_like(weight) * 0.25)
    model.tie_weights()
    return model


def write(
    path: Path,
    model: Any,
    architecture: str,
    keys: dict[str, Any] | None = None,
    *,
    tensors: dict[str, Any] | None = None,
    quantised: bool = False,
    each: int = 0,
    tokenizer: Any = None,
) -> Path:
    """``keys``: more of them, in the place of what would be written; None takes one away. ``tensors``: more of them.

    ``quantised``: matrices of the layers in 8 bits. ``each``: tensors in each part of a split file; 0 for one file.
    ``tokenizer``: of the architecture's kind (byte-level; pieces for Gemma), in the place of the tests' own.
    """
    writer = gguf.GGUFWriter(path, architecture, split_max_tensors=each)
    for key, value in (own_keys(model.config, architecture) | (keys or {})).items():
        _add(writer, key if key.startswith(("general.", "tokenizer.")) else f"{architecture}.{key}", value)
    if architecture.startswith("gemma"):
        _add_pieces(writer, tokenizer) if tokenizer else _add_letters(writer)
    else:
        _add_tokenizer(writer, tokenizer or byte_level_tokenizer())
    for name, data in (tensors_of(model, architecture) | (tensors or {})).items():
        if quantised and name.startswith("blk.") and data.ndim == 2:
            kind = gguf.GGMLQuantizationType.Q8_0
            writer.add_tensor(name, gguf.quants.quantize(data, kind), raw_dtype=kind)
        else:
            writer.add_tensor(name, data)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def own_keys(config: Any, architecture: str) -> dict[str, Any]:
    """What llama.cpp's converter writes of a configuration."""
    rms = getattr(config, "rms_norm_eps", None)
    named = ("layer_norm_epsilon", "layer_norm_eps", "norm_epsilon", "norm_eps")
    eps = next((found for name in named if (found := getattr(config, name, None))), None)
    rope = getattr(config, "rope_parameters", None) or {}
    whole = rope.get("full_attention", rope)
    head = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return {
        "context_length": config.max_position_embeddings,
        "embedding_length": config.hidden_size,
        "block_count": config.num_hidden_layers,
        "feed_forward_length": getattr(config, "intermediate_size", None) or 4 * config.hidden_size,
        "vocab_size": config.vocab_size if architecture in ("llama", "phi3") else None,
        "attention.head_count": config.num_attention_heads,
        "attention.head_count_kv": getattr(config, "num_key_value_heads", None),
        "attention.key_length": head if architecture.startswith(("gemma", "qwen3")) else None,
        "attention.value_length": head if architecture.startswith(("gemma", "qwen3")) else None,
        "attention.layer_norm_rms_epsilon": rms,
        "attention.layer_norm_epsilon": eps,
        "attention.sliding_window": getattr(config, "sliding_window", None),
        "attn_logit_softcapping": getattr(config, "attn_logit_softcapping", None),
        "final_logit_softcapping": getattr(config, "final_logit_softcapping", None),
        "rope.freq_base": whole.get("rope_theta"),
        "rope.dimension_count": int(head * whole.get("partial_rotary_factor", 1.0)) if whole else None,
    }


def _add(writer: Any, key: str, value: Any) -> None:
    kinds = {bool: "BOOL", int: "UINT32", float: "FLOAT32", str: "STRING"}
    if isinstance(value, list):
        kind = gguf.GGUFValueType[kinds[type(value[0])]]
        writer.add_key_value(key, value, gguf.GGUFValueType.ARRAY, sub_type=kind)
    elif value is not None:
        writer.add_key_value(key, value, gguf.GGUFValueType[kinds[type(value)]])


def _add_tokenizer(writer: Any, tokenizer: Any) -> None:
    vocabulary = sorted(tokenizer.get_vocab().items(), key=lambda entry: entry[1])
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list([token for token, _ in vocabulary])
    writer.add_token_types([gguf.TokenType.NORMAL] * len(vocabulary))
    merges = json.loads(tokenizer.backend_tokenizer.to_str())["model"]["merges"]
    writer.add_token_merges([pair if isinstance(pair, str) else " ".join(pair) for pair in merges])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(0)


def _add_pieces(writer: Any, tokenizer: Any) -> None:
    """A vocabulary of sentencepiece's kind, as the Hub's format has it: pairs are joined in the order of its merges,
    which are scores here.
    """
    kinds = gguf.TokenType
    merges = json.loads(tokenizer.backend_tokenizer.to_str())["model"]["merges"]
    joined: dict[str, int] = {}
    for rank, (left, right) in enumerate(merges):
        joined.setdefault(left + right, rank)
    size = max(tokenizer.get_vocab().values()) + 1
    tokens, types, scores = [""] * size, [kinds.UNUSED] * size, [0.0] * size
    for token, number in tokenizer.get_vocab().items():
        tokens[number], types[number] = token, kinds.NORMAL
        scores[number] = -float(joined.get(token, len(merges)))
        if re.fullmatch("<0x[0-9A-F]{2}>", token):
            types[number] = kinds.BYTE
    for number, added in tokenizer.added_tokens_decoder.items():
        tokens[number], types[number] = added.content, kinds.CONTROL if added.special else kinds.USER_DEFINED
    writer.add_tokenizer_model("llama")
    writer.add_token_list(tokens)
    writer.add_token_scores(scores)
    writer.add_token_types(types)
    for name in ("pad", "eos", "bos", "unk"):
        getattr(writer, f"add_{name}_token_id")(getattr(tokenizer, f"{name}_token_id"))
    writer.add_add_space_prefix(False)


def _add_letters(writer: Any) -> None:
    """A vocabulary of sentencepiece's kind: bytes and single letters, as many tokens as the other has."""
    size = len(byte_level_tokenizer())
    special, each_byte = ["<pad>", "<eos>", "<bos>", "<unk>"], [f"<0x{byte:02X}>" for byte in range(256)]
    letters = ["▁", *"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,!?;:"]
    tokens = special + each_byte + letters
    tokens += [f"<unused{number}>" for number in range(size - len(tokens))]
    kinds = gguf.TokenType
    types = [kinds.CONTROL] * 4 + [kinds.BYTE] * 256 + [kinds.NORMAL] * (size - 260)
    writer.add_tokenizer_model("llama")
    writer.add_token_list(tokens)
    writer.add_token_scores([-float(number) for number in range(size)])
    writer.add_token_types(types)
    writer.add_pad_token_id(0)
    writer.add_eos_token_id(1)
    writer.add_bos_token_id(2)
    writer.add_unk_token_id(3)
    writer.add_add_space_prefix(False)


def tensors_of(model: Any, architecture: str) -> dict[str, Any]:
    """A model's tensors by their names in GGUF, in the order and with the offsets that they have there."""
    config = model.config
    kind = next(key for key, value in gguf.MODEL_ARCH_NAMES.items() if value == architecture)
    names = gguf.get_tensor_name_map(kind, config.num_hidden_layers)
    found = {}
    for name, tensor in model.state_dict().items():
        if name == "lm_head.weight" and config.tie_word_embeddings:
            continue
        ours = names.get_name(name, try_suffixes=(".weight", ".bias"))
        assert ours is not None, name
        dense = name.endswith(".weight") and any(part in name for part in (".c_attn.", ".c_proj.", ".c_fc."))
        if architecture == "gpt2" and dense:
            tensor = tensor.t()
        if architecture == "llama" and (".q_proj." in name or ".k_proj." in name):
            heads = config.num_attention_heads if ".q_proj." in name else config.num_key_value_heads
            halves = tensor.reshape(heads, 2, tensor.shape[0] // heads // 2, *tensor.shape[1:])
            tensor = halves.swapaxes(1, 2).reshape(tensor.shape)
        if architecture in ("nemotron", "gemma2", "gemma3") and name.endswith("norm.weight"):
            tensor = tensor + 1
        found[ours] = tensor.contiguous().numpy()
    return found

"""What the keys of a GGUF file mean, and whether a configuration that transformers made of them says the same.

transformers passes over what it does not know. Here each key of the architecture is either held by the configuration,
or the file is refused by that key's name. The keys are those of llama.cpp's ``gguf-py/gguf/constants.py``, their
defaults those of its ``llama-model.cpp``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from gpteval.core.errors import ModelError

ANOTHER = "name the model's folder in the Hub's format, or another conversion of it"
FACTORS = "rope_freqs.weight"  # what each frequency of the rotary embedding is divided by
_SCALING = {f"rope.scaling.{key}" for key in ("type", "factor", "original_context_length", "finetuned")}
# Values of keys that leave YaRN as it is without them.
_NEUTRAL = {
    "rope.scaling.attn_factor": 1.0,
    "rope.scaling.yarn_ext_factor": 1.0,
    "rope.scaling.yarn_attn_factor": 1.0,
    "rope.scaling.yarn_beta_fast": 32.0,
    "rope.scaling.yarn_beta_slow": 1.0,
}
_SLIDING = {"mistral", "phi3", "starcoder2"}  # whose layers all slide, where they do
_SCORES = {"gemma2": 46, "gemma3_text": 62}  # the layers of their 27B models
# Names of pre-tokenizers that split a text with GPT-2's expression, by llama.cpp's ``llama-vocab.cpp``.
_AS_GPT2 = {"gpt-2", "phi-2", "olmo", "mpt"}


@dataclass(frozen=True)
class Keys:
    """The keys of a file with single values. ``own``: those of its architecture, without its name before them."""

    name: str
    architecture: str
    own: Mapping[str, Any]
    tokenizer: Mapping[str, Any]
    tensors: frozenset[str]

    @staticmethod
    def of(reader: Any, name: str) -> Keys:
        """Raises ModelError for a file that holds no model."""
        values = {key: field for key, field in reader.fields.items() if not key.startswith("GGUF.")}
        kind = values["general.type"].contents() if "general.type" in values else "model"
        if kind != "model" or "general.architecture" not in values:
            raise ModelError(f"{name} holds no model ({kind})", "name the file that has the model's weights")
        architecture = str(values["general.architecture"].contents())
        tokenizer = {key: field for key, field in values.items() if key.startswith("tokenizer.ggml.")}
        return Keys(
            name,
            architecture,
            {key: field.contents() for key, field in _below(values, architecture).items()},
            {key: field.contents() for key, field in _below(tokenizer, "tokenizer.ggml").items() if _single(field)},
            frozenset(tensor.name for tensor in reader.tensors),
        )

    def refused(self, key: str, why: str) -> ModelError:
        """What is said of a key that cannot be followed."""
        return ModelError(f"{self.name}: its key {self.architecture}.{key} {why}", ANOTHER)


def _below(values: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    return {key.removeprefix(f"{prefix}."): value for key, value in values.items() if key.startswith(f"{prefix}.")}


def _single(field: Any) -> bool:
    return len(field.data) == 1 and field.types[0].name != "ARRAY"


def follow(config: Any, keys: Keys, factors: np.ndarray | None) -> None:
    """Put into a configuration what transformers leaves out of it. ``factors``: of the rotary embedding's frequencies.

    Raises ModelError for what cannot be put there.
    """
    own = keys.own
    if config.model_type == "gpt2":
        config.n_positions = own.get("context_length", config.n_positions)
        wide = own.get("feed_forward_length", 4 * config.n_embd)
        if wide != 4 * config.n_embd:
            why = f"is {wide}: GPT-2's inner layers (n_inner) are read where they are {4 * config.n_embd} wide"
            raise keys.refused("feed_forward_length", f"{why}, four times the model's width")
    if config.model_type == "bloom":
        config.seq_length = own.get("context_length", 2048)
    if hasattr(config, "head_dim") and not hasattr(config, "global_head_dim"):
        config.head_dim = own.get("attention.key_length", config.hidden_size // config.num_attention_heads)
    if config.model_type in _SCORES:  # what scores are divided by has no key: llama.cpp goes by the number of layers
        own_way = config.num_hidden_layers == _SCORES[config.model_type]
        config.query_pre_attn_scalar = config.hidden_size // config.num_attention_heads if own_way else config.head_dim
    for role in ("bos", "eos", "padding"):
        setattr(config, f"{role[:3]}_token_id", keys.tokenizer.get(f"{role}_token_id"))
    if config.model_type in _SLIDING:
        config.sliding_window = own.get("attention.sliding_window")
    config.tie_word_embeddings = "output.weight" not in keys.tensors
    for option, tensor in (("attention_bias", "attn_q.bias"), ("mlp_bias", "ffn_up.bias")):
        if hasattr(config, option):
            setattr(config, option, f"blk.0.{tensor}" in keys.tensors)
    rope = getattr(config, "rope_parameters", None) or {}
    if "rope_type" in rope:
        config.rope_parameters = rope | _rope(config, keys, rope, factors)
    elif "full_attention" in rope:  # layers of two kinds, of which those with the whole context are scaled
        whole = rope["full_attention"]
        config.rope_parameters = rope | {"full_attention": whole | _rope(config, keys, whole, factors)}
    elif factors is not None or any(key.startswith("rope.") for key in own):
        raise ModelError(f"{keys.name}: its keys {keys.architecture}.rope have no place in the model", ANOTHER)


def _rope(config: Any, keys: Keys, rope: Mapping[str, Any], factors: np.ndarray | None) -> dict[str, Any]:
    """The rotary embedding as the file's keys have it."""
    own = keys.own
    for key, value in own.items():
        if key.startswith("rope.scaling.") and key not in _SCALING and value != _NEUTRAL.get(key):
            raise keys.refused(key, f"({str(value)[:60]}) is not known here")
    found: dict[str, Any] = {"rope_theta": float(own.get("rope.freq_base", 10_000.0))}
    if "partial_rotary_factor" in rope and "rope.dimension_count" in own:
        found["partial_rotary_factor"] = own["rope.dimension_count"] / _head(config)
    # Without a type a factor is linear; a factor of 0 is none.
    kind = own.get("rope.scaling.type", "linear")
    factor = float(own.get("rope.scaling.factor", own.get("rope.scale_linear", 0.0))) or 1.0
    window = int(own.get("rope.scaling.original_context_length", config.max_position_embeddings))
    if kind not in ("none", "linear", "yarn"):
        raise keys.refused("rope.scaling.type", f"is {kind!r}, which is not known here")
    if not factor >= 1:
        raise keys.refused("rope.scaling.factor", f"is {factor}, which stretches nothing")
    if kind == "none":
        factor = 1.0
    if factors is None:
        scaled = {"linear": {"factor": factor}, "yarn": {"factor": factor, "original_max_position_embeddings": window}}
        return found | ({"rope_type": kind} | scaled[kind] if factor > 1 else {"rope_type": "default"})
    each = [float(one) * factor for one in factors]
    if len(each) != _rotary(config, found) // 2 or not all(math.isfinite(one) and one > 0 for one in each):
        raise ModelError(f"{keys.name}: its tensor {FACTORS} is not one factor above 0 for each frequency", ANOTHER)
    if kind == "yarn":
        raise ModelError(f"{keys.name}: its tensor {FACTORS} beside YaRN is not known here", ANOTHER)
    # The one kind of transformers that takes a factor for each frequency; with both lists the same it never changes.
    lists = {"rope_type": "longrope", "short_factor": each, "long_factor": each, "attention_factor": 1.0}
    return found | lists | {"original_max_position_embeddings": window}


def _first(*names: str) -> Callable[[Any], Any]:
    def get(config: Any) -> Any:
        return next((found for name in names if (found := getattr(config, name, None)) is not None), None)

    return get


def _head(config: Any) -> int:
    return int(getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads)


def _rotary(config: Any, rope: Mapping[str, Any]) -> int:
    return int(_head(config) * rope.get("partial_rotary_factor", 1.0))


def _rope_of(config: Any, layers: str = "full_attention") -> Mapping[str, Any]:
    rope = getattr(config, "rope_parameters", None) or {}
    found: Mapping[str, Any] = rope.get(layers, {}) if "full_attention" in rope else rope
    return found


def _key_value_heads(config: Any) -> int:
    if config.model_type == "falcon" and not config.new_decoder_architecture:
        return 1 if config.multi_query else int(config.num_attention_heads)
    return int(_first("num_kv_heads", "num_key_value_heads")(config) or config.num_attention_heads)


def _wide(config: Any) -> int:
    return int(_first("intermediate_size", "n_inner", "ffn_hidden_size")(config) or 4 * config.hidden_size)


# By a key, what a configuration says of it; None where it says nothing.
_SAYS: dict[str, Callable[[Any], Any]] = {
    "vocab_size": _first("vocab_size"),
    "context_length": _first("max_position_embeddings", "n_positions", "seq_length"),
    "embedding_length": _first("hidden_size"),
    "block_count": _first("num_hidden_layers"),
    "feed_forward_length": _wide,
    "use_parallel_residual": _first("use_parallel_residual"),
    "expert_count": lambda config: _first("num_experts", "num_local_experts")(config) or 0,
    "expert_used_count": lambda config: _first("num_experts_per_tok")(config) or 0,
    "expert_feed_forward_length": _first("moe_intermediate_size"),
    "expert_shared_feed_forward_length": _first("shared_expert_intermediate_size"),
    "full_attention_interval": _first("full_attention_interval"),
    "shortconv.l_cache": _first("conv_L_cache"),
    "attn_logit_softcapping": _first("attn_logit_softcapping"),
    "final_logit_softcapping": _first("final_logit_softcapping"),
    "logit_scale": lambda config: _first("logit_scale")(config) or 1.0,
    "attention.head_count": _first("num_attention_heads"),
    "attention.head_count_kv": _key_value_heads,
    "attention.key_length": _head,
    "attention.value_length": _head,
    "attention.layer_norm_epsilon": _first("layer_norm_epsilon", "layer_norm_eps", "norm_epsilon", "norm_eps"),
    "attention.layer_norm_rms_epsilon": _first("rms_norm_eps", "norm_eps"),
    "attention.causal": lambda config: True,
    "attention.sliding_window": lambda config: _first("sliding_window")(config) or 0,
    "attention.clamp_kqv": lambda config: 0.0,
    "attention.max_alibi_bias": lambda config: 8.0 if getattr(config, "alibi", config.model_type == "bloom") else 0.0,
    "rope.freq_base": lambda config: _rope_of(config).get("rope_theta"),
    "rope.freq_base_swa": lambda config: _rope_of(config, "sliding_attention").get("rope_theta"),
    "rope.dimension_count": lambda config: _rotary(config, _rope_of(config)),
}


def hold(config: Any, keys: Keys) -> None:
    """Raise ModelError naming the first key of the file that a configuration does not say as the file does."""
    for key, stated in keys.own.items():
        if key == "tensor_data_layout" or key.startswith("rope.scal"):  # where from; and what was followed above
            continue
        if key not in _SAYS:
            raise keys.refused(key, f"({str(stated)[:60]}) is not known here")
        said = _SAYS[key](config)
        if not _alike(stated, said):
            raise keys.refused(key, f"is {str(stated)[:60]}, which transformers does not follow: {str(said)[:60]}")


def _alike(stated: Any, said: Any) -> bool:
    if said is None or isinstance(stated, str) or isinstance(said, str):
        return bool(stated == said)
    if isinstance(stated, list):
        return bool(stated) and all(_alike(one, said) for one in stated)
    return math.isclose(stated, said, rel_tol=1e-5)


def hold_tokenizer(tokenizer: Any, keys: Keys, splits: Iterable[str]) -> None:
    """Raise ModelError where a tokenizer does not take texts apart as the file says.

    ``splits``: the pre-tokenizers that transformers knows.
    """
    stated = keys.tokenizer
    plain = tokenizer("a", add_special_tokens=False)["input_ids"]
    whole = tokenizer("a")["input_ids"]
    added = len(whole) > len(plain)
    pre, model = stated.get("pre", "gpt-2"), stated.get("model")
    does: dict[str, Any] = {
        "pre": pre if model != "gpt2" or pre in _AS_GPT2 or pre in splits else "gpt-2",
        "add_bos_token": added and whole[0] == stated.get("bos_token_id"),
        "add_eos_token": added and whole[-1] == stated.get("eos_token_id"),
        "add_sep_token": False,
        "remove_extra_whitespaces": model == "t5",
    }
    if model == "llama":
        does["add_space_prefix"] = tokenizer.convert_ids_to_tokens(plain)[0].startswith("▁")
    for key, done in does.items():
        if key in stated and stated[key] != done:
            raise ModelError(
                f"{keys.name}: its key tokenizer.ggml.{key} is {stated[key]!r}, which transformers does not follow",
                ANOTHER,
            )

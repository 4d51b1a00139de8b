"""GGUF files: the model's numbers, or a refusal that names what of the file would be left out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import tokenizers
import torch
import transformers

from gpteval.core.errors import ModelError
from tests.gguf_files import CONFIGS, WINDOW, model_of, tensors_of, write
from tests.gguf_models import load, off
from tests.tiny import byte_level_tokenizer

LINEAR = {"rope_type": "linear", "factor": 4.0, "rope_theta": 10000.0}


YARN = {"rope_type": "yarn", "factor": 4.0, "rope_theta": 10000.0, "original_max_position_embeddings": 16}


LLAMA3 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 32,
    "rope_theta": 10000.0,
}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GPTEVAL_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "cache" / "converted"


def factors_of(model: Any) -> np.ndarray[Any, Any]:
    """What each frequency of a Llama is divided by, as its converter finds them."""
    head = model.config.head_dim
    plain = 1.0 / 10000.0 ** (torch.arange(0, head, 2).float() / head)
    factors: np.ndarray[Any, Any] = (plain / model.model.rotary_emb.inv_freq).numpy().astype(np.float32)
    return factors


@pytest.mark.parametrize("architecture", CONFIGS)
def test_the_models_numbers(tmp_path: Path, architecture: str) -> None:
    plain = model_of(architecture)
    found = load(write(tmp_path / "model.gguf", plain, architecture))
    assert off(found.module, plain) < 1e-4
    assert (found.info.name, found.window) == ("model.gguf", WINDOW)
    if architecture.startswith("gemma"):
        assert [found.codec.tokenizer.convert_ids_to_tokens(i) for i in found.codec.encode(["ab é"])[0]] == [
            *["a", "b", "▁", "<0xC3>", "<0xA9>"]
        ]
        assert found.codec.prefix == (2,)
    else:
        text = "The quick brown fox\njumps. Été!"
        assert found.codec.encode([text]) == byte_level_tokenizer()([text])["input_ids"]


def pieces(merges: list[tuple[str, str]]) -> transformers.PreTrainedTokenizerFast:
    """A tokenizer as Gemma's is: pieces that are joined in the order of their merges, bytes for what is no piece."""
    single = [*"▁abcdefghijklmnopqrstuvwxyz", *(f"<0x{byte:02X}>" for byte in range(256))]
    names = ["<pad>", "<eos>", "<bos>", "<unk>", *single, *("".join(pair) for pair in merges)]
    size = len(byte_level_tokenizer())
    names += [f"<unused{number}>" for number in range(size - len(names))]
    vocabulary = {name: number for number, name in enumerate(names)}
    model = tokenizers.models.BPE(vocabulary, merges, unk_token="<unk>", byte_fallback=True, fuse_unk=True)
    whole = tokenizers.Tokenizer(model)
    whole.normalizer = tokenizers.normalizers.Replace(" ", "▁")
    parts = [tokenizers.decoders.Replace("▁", " "), tokenizers.decoders.ByteFallback(), tokenizers.decoders.Fuse()]
    whole.decoder = tokenizers.decoders.Sequence(parts)
    special = {"pad_token": "<pad>", "eos_token": "<eos>", "bos_token": "<bos>", "unk_token": "<unk>"}
    return transformers.PreTrainedTokenizerFast(tokenizer_object=whole, **special)


def test_pieces_are_joined_as_by_the_originals_merges(tmp_path: Path) -> None:
    tokenizer = pieces([("t", "h"), ("e", "r"), ("h", "e"), ("th", "e"), ("▁", "the"), ("a", "b"), ("b", "c")])
    found = load(write(tmp_path / "model.gguf", model_of("gemma3"), "gemma3", tokenizer=tokenizer))
    for text in ("the other abc", "there  é", "abcabc the", "hehe"):
        assert found.codec.encode([text]) == [tokenizer(text, add_special_tokens=False)["input_ids"]], text


def test_weights_of_eight_bits(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    plain = model_of("gpt2")
    found = load(write(tmp_path / "model.gguf", plain, "gpt2", quantised=True))
    assert 1e-4 < off(found.module, plain) < 0.5
    assert "tensors" not in capfd.readouterr().err, "no progress of another program"


@pytest.mark.parametrize(
    ("settings", "keys"),
    [
        ({"rope_parameters": LINEAR}, {"rope.scaling.type": "linear", "rope.scaling.factor": 4.0}),
        ({"rope_parameters": LINEAR}, {"rope.scaling.factor": 4.0}),
        ({"rope_parameters": LINEAR}, {"rope.scale_linear": 4.0}),
        ({}, {"rope.scaling.type": "none", "rope.scaling.factor": 4.0}),
        (
            {"rope_parameters": YARN},
            {"rope.scaling.type": "yarn", "rope.scaling.factor": 4.0, "rope.scaling.original_context_length": 16},
        ),
        ({"rope_parameters": {"rope_type": "default", "rope_theta": 500.0}}, {}),
        ({"rms_norm_eps": 0.1}, {}),
        ({"attention_bias": True}, {}),
        ({"mlp_bias": True}, {}),
        ({"tie_word_embeddings": True}, {}),
    ],
)
def test_what_a_llama_can_have(tmp_path: Path, settings: dict[str, Any], keys: dict[str, Any]) -> None:
    plain = model_of("llama", **settings)
    found = load(write(tmp_path / "model.gguf", plain, "llama", keys)).module
    assert off(found, plain) < 1e-4
    if settings:
        assert off(model_of("llama"), plain) > 0.01  # it matters


@pytest.mark.parametrize(("architecture", "layers"), [("gemma2", 46), ("gemma3", 62)])
def test_what_the_large_gemmas_divide_scores_by(tmp_path: Path, architecture: str, layers: int) -> None:
    plain = model_of(architecture, num_hidden_layers=layers, head_dim=16, query_pre_attn_scalar=8)
    assert off(load(write(tmp_path / "model.gguf", plain, architecture)).module, plain) < 1e-3


@pytest.mark.parametrize("missing", ["attn_output", "attn_k"])
def test_biases_of_some_projections(tmp_path: Path, missing: str) -> None:
    plain = model_of("llama", attention_bias=True)
    for layer in plain.model.layers:
        layer.self_attn.o_proj.bias.data.zero_()
    tensors = {name: data for name, data in tensors_of(plain, "llama").items() if name.endswith(".bias")}
    kept = {name: data for name, data in tensors.items() if missing not in name and "attn_output" not in name}
    base = model_of("llama", attention_bias=True)
    base.load_state_dict(plain.state_dict())
    for layer in base.model.layers:
        for name in ("q_proj", "k_proj", "v_proj", "o_proj"):
            getattr(layer.self_attn, name).bias = None
    path = write(tmp_path / "model.gguf", base, "llama", tensors=kept)
    if missing == "attn_output":
        assert off(load(path).module, plain) < 1e-4
        assert off(base, plain) > 0.01
    else:
        with pytest.raises(ModelError, match=r"lacks 2 tensors, first model.layers.0.self_attn.k_proj.bias"):
            load(path)


@pytest.mark.parametrize("factor", [1.0, 4.0])
def test_factors_of_each_frequency(tmp_path: Path, factor: float) -> None:
    plain = model_of("llama", rope_parameters=LLAMA3)
    rope = {"rope_freqs.weight": factors_of(plain)}
    keys = {"rope.scaling.factor": factor} if factor > 1 else {}
    found = load(write(tmp_path / "model.gguf", plain, "llama", keys, tensors=rope)).module
    plain.model.rotary_emb.inv_freq /= factor
    plain.model.rotary_emb.original_inv_freq /= factor
    assert off(found, plain) < 1e-4
    assert off(model_of("llama"), plain) > 0.01
    again = transformers.AutoModelForCausalLM.from_pretrained(load(tmp_path / "model.gguf").info.location)
    assert off(again, plain) < 1e-4


def test_scaling_of_the_layers_that_see_all(tmp_path: Path) -> None:
    local, whole = {"rope_type": "default", "rope_theta": 10000.0}, {**LINEAR, "rope_theta": 1e6}
    plain = model_of(
        "gemma3", num_hidden_layers=6, rope_parameters={"sliding_attention": local, "full_attention": whole}
    )
    found = load(write(tmp_path / "model.gguf", plain, "gemma3", {"rope.scaling.factor": 4.0})).module
    assert off(found, plain) < 1e-4


def keys_of(*groups: Any) -> list[str]:
    return [
        value.removeprefix("{arch}.").replace("{dense}", "dense_2")
        for group in groups
        for name, value in vars(group).items()
        if isinstance(value, str) and value.startswith("{arch}.")
    ]


K = gguf.Keys


EVERY = keys_of(K.LLM, K.Attention, K.Attention.Indexer, K.Rope, K.SSM, K.KDA, K.WKV, K.PosNet, K.ShortConv)


# Of those that a Llama's configuration can hold: what they make of it.
FOLLOWED: dict[str, tuple[Any, dict[str, Any]]] = {
    "rope.freq_base": (500.0, {"rope_parameters": {"rope_type": "default", "rope_theta": 500.0}}),
    "rope.scaling.factor": (3.0, {"rope_parameters": {**LINEAR, "factor": 3.0}}),
    "attention.layer_norm_rms_epsilon": (0.125, {"rms_norm_eps": 0.125}),
}


# Those that say nothing of the numbers, and those that a model's file of any kind has.
SILENT = {"rope.scaling.original_context_length", "rope.scaling.finetuned", "tensor_data_layout", "context_length"}


@pytest.mark.parametrize("key", EVERY)
def test_every_key_is_followed_or_refused_by_name(tmp_path: Path, key: str) -> None:
    told, settings = FOLLOWED.get(key, (3, {}))
    texts = {"rope.scaling.type": "longrope", "tensor_data_layout": "Meta AI original pth"}
    path = write(tmp_path / "model.gguf", model_of("llama"), "llama", {key: texts.get(key, told)})
    if key in SILENT:
        assert off(load(path).module, model_of("llama")) < 1e-4
    elif key in FOLLOWED:
        assert off(load(path).module, model_of("llama", **settings)) < 1e-4
        assert off(load(path).module, model_of("llama")) > 0.01
    else:
        with pytest.raises(ModelError) as caught:
            load(path)
        named = key in caught.value.message or "has no place" in caught.value.message
        shapes = (
            "vocab_size",
            "embedding_length",
            "block_count",
            "feed_forward_length",
            "head_count",
            "head_count_kv",
            "key_length",
        )
        assert named or key.removeprefix("attention.") in shapes


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("attention.key_length", 8),
        ("attention.value_length", 8),
        ("attention.causal", True),
        ("attention.clamp_kqv", 0.0),
        ("attention.sliding_window", 0),
        ("expert_count", 0),
        ("rope.scaling.attn_factor", 1.0),
        ("logit_scale", 1.0),
    ],
)
def test_a_key_that_says_what_the_model_does_is_no_hindrance(tmp_path: Path, key: str, value: Any) -> None:
    plain = model_of("llama")
    assert off(load(write(tmp_path / "model.gguf", plain, "llama", {key: value})).module, plain) < 1e-4


@pytest.mark.parametrize(
    ("architecture", "key", "value"),
    [
        ("qwen2", "rope.dimension_count", 4),
        ("qwen2", "attention.sliding_window", 16),
        ("phi3", "rope.scaling.attn_factor", 1.19),
        ("gemma2", "attn_logit_softcapping", 20.0),
        ("gemma3", "rope.freq_base_swa", 500.0),
        ("gpt2", "attention.max_alibi_bias", 8.0),
        ("gpt2", "rope.freq_base", 500.0),
        ("gpt2", "feed_forward_length", 96),
    ],
)
def test_other_architectures_too(tmp_path: Path, architecture: str, key: str, value: Any) -> None:
    path = write(tmp_path / "model.gguf", model_of(architecture), architecture, {key: value})
    with pytest.raises(ModelError, match=key.split(".")[0]):
        load(path)


def test_layers_of_another_width_than_gpt2s(tmp_path: Path) -> None:
    path = write(tmp_path / "model.gguf", model_of("gpt2", n_inner=96), "gpt2", {"feed_forward_length": 96})
    with pytest.raises(ModelError, match=r"feed_forward_length is 96.*n_inner.*128 wide"):
        load(path)


@pytest.mark.parametrize(("window", "architecture"), [(16, "phi3"), (None, "phi3"), (16, "starcoder2")])
def test_a_window_that_slides(tmp_path: Path, window: int | None, architecture: str) -> None:
    plain = model_of(architecture, sliding_window=window)
    found = load(write(tmp_path / "model.gguf", plain, architecture)).module
    assert off(found, plain) < 1e-4

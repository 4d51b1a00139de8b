"""Checkpoints of other programs that are damaged, absurd, or hold something else."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gpteval.core.errors import GptevalError, ModelError
from gpteval.models.catalogue import resolve_models
from gpteval.models.foreign import gpt2_files
from gpteval.models.foreign.convert import convert
from gpteval.models.loader import HFModel, LoadOptions, open_base
from tests.nanogpt import (
    GPT,
    LAYERS,
    VOCABULARY,
    WIDTH,
    folder,  # noqa: F401  (fixtures)
    loaded,
    logprobs,
    save_llmc,
    save_nanogpt,
)
from tests.tiny import save_tiny


def wrong_shape(state: dict[str, Any]) -> None:
    state["transformer.h.1.mlp.c_fc.weight"] = torch.zeros(3, 3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: state.pop("transformer.h.1.attn.c_attn.weight"), "h.1.attn.c_attn.weight is missing"),
        (lambda state: state.update({"transformer.rope": torch.zeros(1)}), "transformer.rope is not expected"),
        (wrong_shape, r"c_fc.weight has shape \(3, 3\), expected \(64, 16\)"),
        (lambda state: state.update({"lm_head.weight": torch.zeros(VOCABULARY, WIDTH)}), "output layer"),
    ],
)
def test_a_checkpoint_of_another_shape_is_named(folder: Path, change: Callable[[Any], Any], message: str) -> None:
    state = GPT(VOCABULARY).state_dict()
    change(state)
    path = save_nanogpt(folder / "ckpt.pt", GPT(VOCABULARY), model=state)
    with pytest.raises(ModelError, match=message):
        loaded(path)


@pytest.mark.parametrize("keep", [600, 1500, -4])
def test_a_cut_file_says_what_was_expected(folder: Path, keep: int) -> None:
    whole = save_llmc(folder / "model.bin", GPT(VOCABULARY), VOCABULARY).read_bytes()
    (folder / "model.bin").write_bytes(whole[:keep])
    with pytest.raises(ModelError, match="expected"):
        loaded(folder / "model.bin")
    archive = save_nanogpt(folder / "ckpt.pt", GPT(VOCABULARY)).read_bytes()
    (folder / "ckpt.pt").write_bytes(archive[:keep])
    with pytest.raises(ModelError, match="not a checkpoint of nanoGPT"):
        loaded(folder / "ckpt.pt")


def test_another_version_and_a_missing_tokenizer(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"version 4, expected 3 \(float32\) or 5"):
        loaded(save_llmc(folder / "model.bin", GPT(VOCABULARY), VOCABULARY, 4))
    alone = tmp_path / "alone"
    alone.mkdir()
    path = save_nanogpt(alone / "ckpt.pt", GPT(VOCABULARY))
    with pytest.raises(GptevalError, match="no tokenizer beside it") as refused:
        loaded(path)
    assert "--tokenizer" in refused.value.hint
    converted = convert(path, tmp_path / "hub", open_base, str(folder))
    assert loaded(converted).codec.encode(["the dog"])
    assert not list((tmp_path / "cache/converted").iterdir()), "what failed leaves nothing"
    (info,) = resolve_models([str(path)])
    named = HFModel(info, LoadOptions(device="cpu", tokenizer=str(folder)))
    assert named.codec.encode(["the dog"]) == loaded(converted).codec.encode(["the dog"])


@pytest.mark.parametrize(
    "lost", [f"transformer.{name}" for name in ("h.1.mlp.c_fc.bias", "h.0.ln_1.bias", "ln_f.bias", "wpe.weight")]
)
@pytest.mark.parametrize("said", [True, None], ids=["bias: True", "nothing said"])
def test_a_checkpoint_that_lost_a_tensor_is_refused_by_its_name(folder: Path, lost: str, said: bool | None) -> None:
    """A bias as well: it is no zero because it is not there."""
    path = save_nanogpt(folder / "ckpt.pt", GPT(VOCABULARY))
    found = torch.load(path, weights_only=True)
    del found["model"][lost]
    if said is None:
        del found["model_args"]["bias"]
    torch.save(found, path)
    with pytest.raises(ModelError, match=f"{lost} is missing"):
        loaded(path)


def test_a_checkpoint_with_biases_that_says_it_has_none(folder: Path) -> None:
    path = save_nanogpt(folder / "ckpt.pt", GPT(VOCABULARY), bias=False)
    with pytest.raises(ModelError, match=r"bias is not expected"):
        loaded(path)


@pytest.mark.parametrize("new", [True, False])
def test_what_else_a_checkpoint_may_hold(folder: Path, new: bool) -> None:
    """Both forms of torch.save; layers that were compiled one by one; numpy's numbers and arrays beside the weights."""
    model = GPT(VOCABULARY)
    path = save_nanogpt(folder / "ckpt.pt", model)
    checkpoint = torch.load(path)
    checkpoint["model"] = {
        re.sub(r"transformer\.h\.(\d+)\.", r"module.transformer.h.\1._orig_mod.", name): tensor
        for name, tensor in checkpoint["model"].items()
    }
    numbers = [kind(1) for kind in (np.float16, np.float32, np.float64, np.int32, np.int64, np.uint8, np.bool_)]
    checkpoint |= {"best_val_loss": np.float64(3.2), "numbers": numbers, "state": np.arange(4.0)}
    torch.save(checkpoint, path, _use_new_zipfile_serialization=new)
    expected = logprobs(model)
    assert logprobs(lambda ids: loaded(path).module(input_ids=ids).logits.detach()) == pytest.approx(expected, abs=1e-5)


def test_what_cannot_be_loaded_is_named_without_torchs_advice(folder: Path) -> None:
    path = save_nanogpt(folder / "ckpt.pt", GPT(VOCABULARY), config=Path("/x"))
    with pytest.raises(
        ModelError, match=r"it holds pathlib\.PosixPath, which is neither a tensor nor a number"
    ) as refused:
        loaded(path)
    assert "\x1b" not in str(refused.value)


ABSURD = {"n_layer": 10**9, "n_embd": 2**40, "block_size": 10**12, "vocab_size": 10**12}


@pytest.mark.parametrize("name", ABSURD)
@pytest.mark.parametrize("value", [None, -1, 0])
def test_absurd_sizes_are_held_to_the_file_first(
    folder: Path, name: str, value: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of that size is made: the shapes of as many layers as are stated, nor a tensor of zeros."""
    made: list[int] = []
    shapes = gpt2_files._shapes
    monkeypatch.setattr(gpt2_files, "_shapes", lambda *sizes: made.append(sizes[-1]) or shapes(*sizes))
    path = save_nanogpt(folder / "ckpt.pt", GPT(VOCABULARY, bias=False), bias=False)
    checkpoint = torch.load(path)
    checkpoint["model_args"][name] = ABSURD[name] if value is None else value
    torch.save(checkpoint, path)
    with pytest.raises(ModelError, match=r"ckpt\.pt states |has shape"):
        loaded(path)
    assert all(layers == LAYERS for layers in made)


@pytest.mark.parametrize("place", [2, 4, 5, 6, 7])
@pytest.mark.parametrize("value", [2**31 - 1, -5, 0])
def test_absurd_headers_of_llmc(folder: Path, place: int, value: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpt2_files, "_shapes", lambda *sizes: pytest.fail("it makes what the header states"))
    path = save_llmc(folder / "model.bin", GPT(VOCABULARY), VOCABULARY)
    data = bytearray(path.read_bytes())
    data[4 * place : 4 * place + 4] = np.int32(value).tobytes()
    path.write_bytes(data)
    with pytest.raises(ModelError, match=r"states|bytes of weights, expected"):
        loaded(path)


def test_a_tensor_that_is_larger_than_its_file(folder: Path) -> None:
    """A view that repeats one number."""
    state = GPT(VOCABULARY).state_dict()
    state["transformer.wpe.weight"] = torch.zeros(1).expand(10**7, WIDTH)
    path = save_nanogpt(folder / "ckpt.pt", GPT(VOCABULARY), model=state)
    with pytest.raises(ModelError, match=r"transformer\.wpe\.weight is larger than the whole file"):
        loaded(path)


@pytest.mark.parametrize("layers", [10**9, 2**31, -3])
def test_a_configuration_of_more_layers_than_any_model_has(tmp_path: Path, layers: int) -> None:
    folder = save_tiny(tmp_path / "m")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"n_layer": layers}))
    with pytest.raises(ModelError, match="n_layer"):
        loaded(folder)


def test_a_mark_of_the_vocabulary_beyond_the_embedding_is_no_fault(tmp_path: Path) -> None:
    """[PAD] as the last token of the BPE vocabulary itself; a word there is another model's."""
    folder = save_tiny(tmp_path / "m")
    before = loaded(folder)
    expected = before.module(input_ids=torch.tensor([[5, 80]])).logits
    for token, fits in (("[PAD]", True), ("<pad>", True), ("padding", False)):
        tokenizer = json.loads((folder / "tokenizer.json").read_text())
        vocabulary = {name: n for name, n in tokenizer["model"]["vocab"].items() if n < len(expected[0, 0])}
        tokenizer["model"]["vocab"] = vocabulary | {token: before.module.config.vocab_size}
        (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
        if fits:
            assert torch.equal(loaded(folder).module(input_ids=torch.tensor([[5, 80]])).logits, expected)
        else:
            with pytest.raises(ModelError, match="its tokenizer has"):
                _ = loaded(folder).module

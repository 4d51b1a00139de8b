"""GGUF files that are refused by name, and files in parts."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gpteval.core.errors import GptevalError, ModelError
from tests.conftest import RunCli
from tests.gguf_files import model_of, tensors_of, write
from tests.gguf_models import load, off


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GPTEVAL_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "cache" / "converted"


@pytest.mark.parametrize(
    "name", ["blk.0.attn_q_norm.weight", "blk.1.attn_norm.bias", "rope_factors_long.weight", "blk.0.layer_out_scale"]
)
def test_a_tensor_without_a_place_is_named(tmp_path: Path, name: str) -> None:
    more = {name: np.full(32, 0.5, np.float32)}
    path = write(tmp_path / "model.gguf", model_of("llama"), "llama", tensors=more)
    with pytest.raises(ModelError, match=f"no place in a llama model, first {name}"):
        load(path)


@pytest.mark.parametrize("size", [3, 5])
def test_factors_that_do_not_fit(tmp_path: Path, size: int) -> None:
    more = {"rope_freqs.weight": np.ones(size, np.float32)}
    path = write(tmp_path / "model.gguf", model_of("llama"), "llama", tensors=more)
    with pytest.raises(ModelError, match="rope_freqs.weight"):
        load(path)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("pre", "starcoder"),
        ("add_bos_token", True),
        ("add_eos_token", True),
        ("add_sep_token", True),
        ("remove_extra_whitespaces", True),
    ],
)
def test_a_tokenizer_that_would_be_another(tmp_path: Path, key: str, value: Any) -> None:
    path = write(tmp_path / "model.gguf", model_of("llama"), "llama", {f"tokenizer.ggml.{key}": value})
    try:
        codec = load(path).codec
    except ModelError as error:
        assert f"tokenizer.ggml.{key}" in error.message
    else:
        assert (key, codec.prefix) in [("add_bos_token", (0,)), ("add_eos_token", ())]


def test_all_tokens_that_end_a_text(tmp_path: Path) -> None:
    keys = {"tokenizer.ggml.eot_token_id": 5, "tokenizer.ggml.eom_token_id": 9}
    assert load(write(tmp_path / "model.gguf", model_of("llama"), "llama", keys)).codec.eos == {0, 5, 9}


def test_a_file_that_holds_no_model(tmp_path: Path) -> None:
    path = write(tmp_path / "model.gguf", model_of("llama"), "llama", {"general.type": "adapter"})
    with pytest.raises(ModelError, match=r"holds no model \(adapter\)"):
        load(path)


def test_a_cut_file(tmp_path: Path) -> None:
    path = write(tmp_path / "model.gguf", model_of("llama"), "llama")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ModelError, match="model.gguf cannot be read"):
        load(path)


def split(folder: Path, architecture: str = "llama", seed: int = 0, **how: Any) -> list[Path]:
    folder.mkdir(exist_ok=True)
    write(folder / "model.gguf", model_of(architecture, seed), architecture, each=7, **how)
    return sorted(folder.glob("*.gguf"))


@pytest.mark.parametrize("quantised", [False, True])
def test_all_parts_of_a_split_file_are_found(tmp_path: Path, cache: Path, quantised: bool) -> None:
    whole = load(write(tmp_path / "model.gguf", model_of("llama"), "llama", quantised=quantised)).module
    parts = split(tmp_path / "parts", quantised=quantised)
    assert [part.name for part in parts] == [f"model-0000{n}-of-00003.gguf" for n in (1, 2, 3)]
    for part in parts:
        assert off(load(part).module, whole) == 0
    before = len(list(cache.iterdir()))
    split(tmp_path / "parts", seed=1)
    assert off(load(parts[0]).module, model_of("llama", 1)) < 1e-4  # other parts beside it: not what was kept
    assert len(list(cache.iterdir())) == before + 1


def test_parts_that_are_missing_or_others(tmp_path: Path, run_cli: RunCli) -> None:
    parts = split(tmp_path / "parts")
    kept = parts[1].read_bytes()
    parts[1].unlink()
    done = run_cli("run", "--models", parts[0], "--tasks", "nano_topic", "--limit", 2, "--out", tmp_path / "run")
    assert done.returncode != 0
    said = " ".join(done.stderr.split())
    assert "is part 1 of 3 of a model; model-00002-of-00003.gguf is not beside it" in said
    parts[1].write_bytes(parts[2].read_bytes())
    with pytest.raises(ModelError, match=r"model-00002-of-00003.gguf is not part 2 of 3"):
        load(parts[0])
    parts[1].write_bytes(kept)
    alone = parts[0].rename(tmp_path / "mine.gguf")
    with pytest.raises(ModelError, match=r"mine.gguf is part 1 of 3 of a model; its name does not tell the others'"):
        load(alone)


def test_what_the_writer_makes_is_what_the_converter_makes(tmp_path: Path) -> None:
    """The order of rows that Llama's keys and queries have in a file, by the definition: pairs beside each other."""
    plain = model_of("llama")
    weight = plain.model.layers[0].self_attn.q_proj.weight.detach()
    told = torch.from_numpy(tensors_of(plain, "llama")["blk.0.attn_q.weight"])
    for head in range(4):
        for place in range(4):
            assert torch.equal(told[head * 8 + 2 * place], weight[head * 8 + place])
            assert torch.equal(told[head * 8 + 2 * place + 1], weight[head * 8 + 4 + place])


def test_a_file_of_that_name_in_the_working_folder_is_another(tmp_path: Path) -> None:
    plain, other = model_of("llama"), model_of("llama", 1)
    (tmp_path / "mine").mkdir()
    write(tmp_path / "model.gguf", other, "llama")
    assert off(load(write(tmp_path / "mine" / "model.gguf", plain, "llama")).module, plain) < 1e-4


def test_nothing_is_left_of_what_is_refused(tmp_path: Path, cache: Path) -> None:
    path = write(tmp_path / "model.gguf", model_of("llama"), "llama", {"logit_scale": 0.5})
    with pytest.raises(GptevalError, match="logit_scale is 0.5, which transformers does not follow: 1.0"):
        load(path)
    assert not cache.exists() or list(cache.iterdir()) == []
    assert math.isfinite(off(model_of("llama"), model_of("llama", 1)))


@pytest.mark.parametrize("layers", [10**9, 1_900])
def test_more_layers_than_a_file_has_tensors(tmp_path: Path, layers: int) -> None:
    """Before a model of as many is made."""
    path = write(tmp_path / "model.gguf", model_of("llama"), "llama", {"block_count": layers})
    with pytest.raises(ModelError, match=f"block_count {layers:,}"):
        load(path)

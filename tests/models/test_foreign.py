"""Checkpoints of nanoGPT and llm.c: the numbers of the code that wrote them, and what is refused."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from gpteval.core.errors import ModelError, UsageError
from gpteval.models.catalogue import resolve_models
from gpteval.models.foreign.convert import convert
from gpteval.models.loader import HFModel, LoadOptions, open_base
from gpteval.run.evaluate import evaluate
from tests.conftest import RunCli
from tests.nanogpt import (
    GPT,
    VOCABULARY,
    WINDOW,
    folder,  # noqa: F401  (fixtures)
    loaded,
    logprobs,
    save_llmc,
    save_nanogpt,
)
from tests.tiny import byte_level_tokenizer


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("prefix", ["", "_orig_mod.", "module.", "module._orig_mod.", "_orig_mod.module._orig_mod."])
def test_nanogpts_numbers(folder: Path, bias: bool, prefix: str) -> None:
    model = GPT(VOCABULARY, bias=bias)
    path = save_nanogpt(folder / "ckpt.pt", model, bias=bias, prefix=prefix)
    found = loaded(path)
    assert (found.window, found.info.generation) == (WINDOW, "gpt2")
    expected = logprobs(model)
    assert logprobs(lambda ids: found.module(input_ids=ids).logits.detach()) == pytest.approx(expected, abs=1e-5)
    other = GPT(VOCABULARY, bias=bias, gelu=nn.GELU(approximate="tanh"))
    assert not torch.allclose(logprobs(other), expected, atol=1e-5), "this test tells the two forms of GELU apart"


@pytest.mark.parametrize(("version", "tolerance"), [(3, 1e-5), (5, 0.05)])
def test_llmcs_numbers_without_the_padding(folder: Path, version: int, tolerance: float) -> None:
    model = GPT(VOCABULARY + 24, gelu=nn.GELU(approximate="tanh"))
    path = save_llmc(folder / "model.bin", model, VOCABULARY, version)
    found = loaded(path)
    assert found.module.get_output_embeddings().weight.shape[0] == VOCABULARY
    if version == 5:
        with torch.no_grad():
            for weight in model.parameters():
                weight.copy_(weight.bfloat16().float())
        tolerance = 1e-5
    expected = logprobs(lambda ids: model(ids)[..., :VOCABULARY])
    assert logprobs(lambda ids: found.module(input_ids=ids).logits.detach()) == pytest.approx(expected, abs=tolerance)


def test_a_checkpoint_runs_as_it_is_and_as_a_folder(folder: Path, run_cli: RunCli, tmp_path: Path) -> None:
    path = save_nanogpt(folder / "ckpt.pt", GPT(VOCABULARY))
    done = run_cli("convert", path, tmp_path / "hub", env={"GPTEVAL_CACHE": str(tmp_path / "cache")})
    assert done.returncode == 0, done.stderr
    values = []
    for model in (path, tmp_path / "hub"):
        outcome = evaluate([str(model)], ["nano_topic"], limit=8, out=tmp_path / f"run-{model.name}", device="cpu")
        assert not outcome.failures
        values.append([(r.metric, r.value) for r in outcome.results])
    assert values[0] == values[1]
    assert json.loads((tmp_path / "run-ckpt.pt/results.json").read_text())["results"][0]["model"] == "ckpt.pt"
    made = list((tmp_path / "cache/converted").iterdir())
    assert len(made) == 1, "written once, nothing left beside it"
    again = run_cli("convert", path, tmp_path / "hub")
    assert again.returncode == 2
    assert "holds files already" in again.stderr


def test_nothing_in_a_pickle_is_executed(folder: Path, tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (tmp_path / "executed",))

    path = save_nanogpt(folder / "ckpt.pt", GPT(VOCABULARY), config=Evil())
    with pytest.raises(ModelError, match="not a checkpoint of nanoGPT"):
        loaded(path)
    bare = folder / "bare.pt"
    bare.write_bytes(pickle.dumps(Evil()))
    with pytest.raises(ModelError, match="not a model in a known format"):
        loaded(bare)
    assert not (tmp_path / "executed").exists()


def test_the_two_files_of_gpt2s_release_are_a_tokenizer(
    shared_tokenizers: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """vocab.json and merges.txt, with nothing that says of which class they are."""
    monkeypatch.setenv("GPTEVAL_CACHE", str(tmp_path / "cache"))
    path = save_nanogpt(tmp_path / "ckpt.pt", GPT(50_304))
    (info,) = resolve_models([str(path)])
    named = HFModel(info, LoadOptions(device="cpu", tokenizer=str(shared_tokenizers / "gpt2")))
    assert named.codec.encode(["Hello world"]) == [[15496, 995]]


def test_gpt2s_vocabulary_means_gpt2s_tokenizer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    class Tokenizer:
        def save_pretrained(self, folder: Path) -> None:
            byte_level_tokenizer().save_pretrained(folder)

    def from_pretrained(name: str, *, trust_remote_code: bool) -> Tokenizer:
        assert not trust_remote_code
        asked.append(name)
        return Tokenizer()

    monkeypatch.setattr("transformers.AutoTokenizer.from_pretrained", from_pretrained)
    for vocabulary in (50_257, 50_304):
        model = convert(save_nanogpt(tmp_path / "ckpt.pt", GPT(vocabulary)), tmp_path / str(vocabulary), open_base)
        config = json.loads((model / "config.json").read_text())
        assert (config["vocab_size"], config["eos_token_id"]) == (vocabulary, 50_256)
    assert asked == ["openai-community/gpt2"] * 2


def test_checkpoints_of_a_training_come_in_the_order_of_their_steps(folder: Path, tmp_path: Path) -> None:
    model = GPT(VOCABULARY)
    for step in (1000, 200, 50):
        save_nanogpt(folder / f"step{step}.pt", model)
    convert(folder / "step50.pt", folder / "checkpoint-9", open_base)
    convert(folder / "step50.pt", folder / "checkpoint-10", open_base)
    (folder / "checkpoint-11").mkdir()  # without a model, as one that is being written
    names = [info.name for info in resolve_models([f"{folder}/step*.pt", f"{folder}/checkpoint-*"])]
    assert names == ["step50.pt", "step200.pt", "step1000.pt", "checkpoint-9", "checkpoint-10"]
    (folder / "checkpoint-9").rename(folder / "odd[1]*")
    assert [info.name for info in resolve_models([f"{folder}/odd[1]*"])] == ["odd[1]*"], "a name goes before a pattern"
    with pytest.raises(UsageError, match="no model is named by"):
        resolve_models([f"{folder}/epoch-*"])

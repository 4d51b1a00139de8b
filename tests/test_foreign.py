"""Checkpoints of nanoGPT and llm.c: the numbers of the code that wrote them, and what is refused."""

from __future__ import annotations

import json
import math
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from gpteval.core.errors import GptevalError, ModelError, UsageError
from gpteval.models import gpt2_files
from gpteval.models.catalogue import resolve_models
from gpteval.models.foreign import convert
from gpteval.models.loader import HFModel, LoadOptions
from gpteval.run.api import evaluate
from tests.conftest import RunCli
from tests.tiny import byte_level_tokenizer, save_tiny

WINDOW, LAYERS, HEADS, WIDTH = 32, 2, 2, 16


class Attention(nn.Module):
    """As nanoGPT lays it out: one projection to queries, keys and values."""

    def __init__(self, bias: bool) -> None:
        super().__init__()
        self.c_attn = nn.Linear(WIDTH, 3 * WIDTH, bias=bias)
        self.c_proj = nn.Linear(WIDTH, WIDTH, bias=bias)
        self.register_buffer("bias", torch.tril(torch.ones(WINDOW, WINDOW)).view(1, 1, WINDOW, WINDOW))

    def forward(self, x: Any) -> Any:
        b, t, c = x.shape
        q, k, v = (part.view(b, t, HEADS, c // HEADS).transpose(1, 2) for part in self.c_attn(x).split(WIDTH, dim=2))
        scores = (q @ k.transpose(-2, -1)) / math.sqrt(c // HEADS)
        scores = scores.masked_fill(self.bias[:, :, :t, :t] == 0, -math.inf)
        return self.c_proj((scores.softmax(-1) @ v).transpose(1, 2).reshape(b, t, c))


class Norm(nn.Module):
    def __init__(self, bias: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(WIDTH) + 0.1 * torch.randn(WIDTH))
        self.bias = nn.Parameter(0.1 * torch.randn(WIDTH)) if bias else None

    def forward(self, x: Any) -> Any:
        return nn.functional.layer_norm(x, self.weight.shape, self.weight, self.bias, 1e-5)


class Block(nn.Module):
    def __init__(self, bias: bool, gelu: nn.Module) -> None:
        super().__init__()
        self.ln_1, self.attn, self.ln_2 = Norm(bias), Attention(bias), Norm(bias)
        wide = 4 * WIDTH
        self.mlp = nn.ModuleDict({"c_fc": nn.Linear(WIDTH, wide, bias), "c_proj": nn.Linear(wide, WIDTH, bias)})
        self.gelu = gelu

    def forward(self, x: Any) -> Any:
        x = x + self.attn(self.ln_1(x))
        return x + self.mlp["c_proj"](self.gelu(self.mlp["c_fc"](self.ln_2(x))))


class GPT(nn.Module):
    """nanoGPT's model; ``gelu`` is the exact one there, the tanh form in llm.c."""

    def __init__(self, vocabulary: int, *, bias: bool = True, gelu: nn.Module | None = None) -> None:
        super().__init__()
        torch.manual_seed(3)
        parts: dict[str, nn.Module] = {
            "wte": nn.Embedding(vocabulary, WIDTH),
            "wpe": nn.Embedding(WINDOW, WIDTH),
            "h": nn.ModuleList(Block(bias, gelu or nn.GELU()) for _ in range(LAYERS)),
            "ln_f": Norm(bias),
        }
        self.transformer = nn.ModuleDict(parts)
        self.lm_head = nn.Linear(WIDTH, vocabulary, bias=False)
        self.lm_head.weight = parts["wte"].weight

    @torch.inference_mode()
    def forward(self, ids: Any) -> Any:
        t = self.transformer
        x = t["wte"](ids) + t["wpe"](torch.arange(ids.shape[1]))
        for block in t["h"]:
            x = block(x)
        return self.lm_head(t["ln_f"](x))


def save_nanogpt(path: Path, written: GPT, *, bias: bool = True, prefix: str = "", **changes: Any) -> Path:
    arguments = {"n_layer": LAYERS, "n_head": HEADS, "n_embd": WIDTH, "block_size": WINDOW, "bias": bias}
    arguments |= {"vocab_size": written.lm_head.weight.shape[0], "dropout": 0.0}
    state = {f"{prefix}{name}": tensor for name, tensor in written.state_dict().items()}
    checkpoint = {"model": state, "model_args": arguments, "optimizer": {}, "iter_num": 5, "best_val_loss": 3.0}
    torch.save(checkpoint | {"config": {"dataset": "x"}} | changes, path)
    return path


def save_llmc(path: Path, model: GPT, vocabulary: int, version: int = 3) -> Path:
    """The layout of llm.c: a header of 256 numbers, then each kind of tensor for all layers."""
    header = np.zeros(256, dtype=np.int32)
    padded = model.lm_head.weight.shape[0]
    header[:8] = (20240326, version, WINDOW, vocabulary, LAYERS, HEADS, WIDTH, padded)
    state = model.state_dict()
    kinds = ("ln_1", "attn.c_attn", "attn.c_proj", "ln_2", "mlp.c_fc", "mlp.c_proj")
    names = ["wte.weight", "wpe.weight"]
    names += [f"h.{n}.{kind}.{what}" for kind in kinds for what in ("weight", "bias") for n in range(LAYERS)]
    tensors = [state[f"transformer.{name}"].flatten() for name in [*names, "ln_f.weight", "ln_f.bias"]]
    flat = torch.cat(tensors)
    data = flat.numpy() if version == 3 else flat.bfloat16().view(torch.int16).numpy()
    path.write_bytes(header.tobytes() + data.tobytes())
    return path


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a tokenizer of 400 tokens, for checkpoints that stand beside it."""
    monkeypatch.setenv("GPTEVAL_CACHE", str(tmp_path / "cache"))
    (tmp_path / "out").mkdir()
    byte_level_tokenizer().save_pretrained(tmp_path / "out")
    return tmp_path / "out"


def loaded(path: Path) -> HFModel:
    (info,) = resolve_models([str(path)])
    assert info.name == path.name
    return HFModel(info, LoadOptions(device="cpu"))


def logprobs(model: Callable[[Any], Any]) -> Any:
    ids = torch.tensor([[5, 80, 17, 300, 2, 2, 41, 399, 0, 11]])
    return model(ids).double().log_softmax(-1)


VOCABULARY = len(byte_level_tokenizer())


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
    with pytest.raises(ModelError, match="no checkpoint of nanoGPT"):
        loaded(path)
    bare = folder / "bare.pt"
    bare.write_bytes(pickle.dumps(Evil()))
    with pytest.raises(ModelError, match="no model in a format that is known"):
        loaded(bare)
    assert not (tmp_path / "executed").exists()


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
    with pytest.raises(ModelError, match="no checkpoint of nanoGPT"):
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
    converted = convert(path, tmp_path / "hub", str(folder))
    assert loaded(converted).codec.encode(["the dog"])
    assert not list((tmp_path / "cache/converted").iterdir()), "what failed leaves nothing"
    (info,) = resolve_models([str(path)])
    named = HFModel(info, LoadOptions(device="cpu", tokenizer=str(folder)))
    assert named.codec.encode(["the dog"]) == loaded(converted).codec.encode(["the dog"])


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
        model = convert(save_nanogpt(tmp_path / "ckpt.pt", GPT(vocabulary)), tmp_path / str(vocabulary))
        config = json.loads((model / "config.json").read_text())
        assert (config["vocab_size"], config["eos_token_id"]) == (vocabulary, 50_256)
    assert asked == ["openai-community/gpt2"] * 2


def test_checkpoints_of_a_training_come_in_the_order_of_their_steps(folder: Path, tmp_path: Path) -> None:
    model = GPT(VOCABULARY)
    for step in (1000, 200, 50):
        save_nanogpt(folder / f"step{step}.pt", model)
    convert(folder / "step50.pt", folder / "checkpoint-9")
    convert(folder / "step50.pt", folder / "checkpoint-10")
    (folder / "checkpoint-11").mkdir()  # without a model, as one that is being written
    names = [info.name for info in resolve_models([f"{folder}/step*.pt", f"{folder}/checkpoint-*"])]
    assert names == ["step50.pt", "step200.pt", "step1000.pt", "checkpoint-9", "checkpoint-10"]
    (folder / "checkpoint-9").rename(folder / "odd[1]*")
    assert [info.name for info in resolve_models([f"{folder}/odd[1]*"])] == ["odd[1]*"], "a name goes before a pattern"
    with pytest.raises(UsageError, match="no model is named by"):
        resolve_models([f"{folder}/epoch-*"])


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

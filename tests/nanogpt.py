"""nanoGPT's model as its code has it, and checkpoints in the formats of nanoGPT and llm.c."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from gpteval.models.catalogue import resolve_models
from gpteval.models.loader import HFModel, LoadOptions
from tests.tiny import byte_level_tokenizer

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

"""Fused kernels give transformers' own numbers: whole and step by step, padded or not, forwards and backwards."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM
from transformers.pytorch_utils import Conv1D

from gpteval.models.kernels import fuse, has_one_dnn, join_gelu, one_dnn, product
from tests.tiny import ARCHITECTURES, save_tiny

ROWS, LENGTH, PADDED = 3, 40, 7


@pytest.fixture(params=ARCHITECTURES)
def pair(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Any, Any]:
    """A random model as transformers has it, and fused."""
    original = AutoModelForCausalLM.from_pretrained(save_tiny(tmp_path / "model", request.param)).float().eval()
    with torch.no_grad():
        for weight in original.parameters():  # far from 0, so that attention is not uniform
            weight.add_(0.2 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(1)))
    fused = copy.deepcopy(original)
    assert fuse(fused) == "sdpa"
    return original, fused


def tokens(model: Any) -> torch.Tensor:
    size = model.config.get_text_config().vocab_size
    return torch.randint(2, size, (ROWS, LENGTH), generator=torch.Generator().manual_seed(2))


def test_whole_sequences(pair: tuple[Any, Any]) -> None:
    ids = tokens(pair[0])
    with torch.no_grad():
        expected, got = (model(input_ids=ids).logits for model in pair)
    assert expected.std() > 0.1
    torch.testing.assert_close(got, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("rows", [1, ROWS, 2 * ROWS])
@pytest.mark.parametrize("length", [1, LENGTH])
def test_linear_layers(pair: tuple[Any, Any], rows: int, length: int) -> None:
    original, fused = pair
    weight = fused.get_output_embeddings().weight
    stored = {name: each.data_ptr() for name, each in fused.state_dict().items()}
    one_dnn(fused)
    assert not any(type(part) in (torch.nn.Linear, Conv1D) for part in fused.modules()), "each is oneDNN's"
    assert fused.get_output_embeddings().weight is weight, "tied weights stay tied"
    assert {name: each.data_ptr() for name, each in fused.state_dict().items()} == stored, "nothing is copied"
    ids = tokens(original).repeat(2, 1)[:rows, :length]
    with torch.no_grad():
        expected, got = (model(input_ids=ids).logits for model in pair)
    torch.testing.assert_close(got, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("stored", ["as it is", "turned"])
@pytest.mark.parametrize("shape", [(0, 48), (1, 48), (2, 48), (1, 3, 48), (4, 48), (5, 48), (2, 1, 48), (130, 48)])
def test_a_product_is_that_of_float64(shape: tuple[int, ...], stored: str) -> None:
    assert has_one_dnn(), "on this project's machines"
    made = torch.Generator().manual_seed(len(shape))
    states, bias = torch.randn(*shape, generator=made), torch.randn(33, generator=made)
    weight = torch.randn(33, 48, generator=made) if stored == "as it is" else torch.randn(48, 33, generator=made).T
    expected = torch.nn.functional.linear(states.double(), weight.double())
    torch.testing.assert_close(product(states, weight).double(), expected, atol=1e-4, rtol=1e-5)
    torch.testing.assert_close(product(states, weight, bias).double(), expected + bias, atol=1e-4, rtol=1e-5)
    for form in ("none", "tanh"):
        after = torch.nn.functional.gelu(expected + bias, approximate=form)
        torch.testing.assert_close(product(states, weight, bias, "gelu", form).double(), after, atol=1e-4, rtol=1e-5)
    shown = torch.randn(*shape[:-1], 96, generator=made)[..., ::2]  # not side by side in memory
    torch.testing.assert_close(product(shown, weight), torch.nn.functional.linear(shown, weight), atol=1e-4, rtol=1e-5)


@pytest.mark.parametrize("rows", [1, 2 * ROWS])
def test_gelu_joined_with_the_layer_before_it(pair: tuple[Any, Any], rows: int) -> None:
    original, fused = pair
    one_dnn(fused)
    join_gelu(fused)
    kind = original.config.model_type
    joined = [type(m).__name__ == "_LinearGelu" for m in fused.modules()].count(True)
    layers = 0 if kind == "opt" else original.config.num_hidden_layers  # OPT has a ReLU
    assert joined == layers, "each layer's GELU, where the architecture has one"
    ids = tokens(original).repeat(2, 1)[:rows]
    with torch.no_grad():
        expected, got = (model(input_ids=ids).logits for model in pair)
    torch.testing.assert_close(got, expected, atol=1e-4, rtol=1e-4)


def test_a_gelu_behind_something_else_is_left_alone() -> None:
    class Twice(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.wide, self.act = torch.nn.Linear(16, 32), torch.nn.GELU()

        def forward(self, states: torch.Tensor) -> torch.Tensor:
            return self.act(2 * self.wide(states))

    model = torch.nn.Sequential(Twice())
    one_dnn(model)
    join_gelu(model)
    assert [type(part).__name__ for part in model[0].children()] == ["_OneDNN", "GELU"]


def test_padding_on_the_left(pair: tuple[Any, Any]) -> None:
    ids = tokens(pair[0])
    mask = torch.ones_like(ids)
    mask[0, :PADDED] = 0
    with torch.no_grad():
        expected, got = (model(input_ids=ids, attention_mask=mask).logits for model in pair)
    assert got.isfinite().all()
    torch.testing.assert_close(got[mask.bool()], expected[mask.bool()], atol=1e-4, rtol=1e-4)


def test_step_by_step_with_a_cache(pair: tuple[Any, Any]) -> None:
    original, fused = pair
    if original.config.model_type == "openai-gpt":
        pytest.skip("transformers' GPT-1 has no cache; gpteval's is in test_engine_parity")
    ids = tokens(original)
    with torch.no_grad():
        expected = original(input_ids=ids).logits
        cache, got = None, []
        for part in ids.split([20, 1, 1, 18], dim=1):
            output = fused(input_ids=part, past_key_values=cache, use_cache=True)
            cache = output.past_key_values
            got.append(output.logits)
    torch.testing.assert_close(torch.cat(got, dim=1), expected, atol=1e-4, rtol=1e-4)


def test_gradients(pair: tuple[Any, Any]) -> None:
    ids = tokens(pair[0])
    for model in pair:
        model(input_ids=ids, labels=ids).loss.backward()
    for (name, expected), got in zip(pair[0].named_parameters(), pair[1].parameters(), strict=True):
        torch.testing.assert_close(got.grad, expected.grad, atol=1e-4, rtol=1e-3, msg=name)


def test_the_weights_keep_their_names(pair: tuple[Any, Any]) -> None:
    assert pair[0].state_dict().keys() == pair[1].state_dict().keys()

"""``gpteval bench``: what it counts. How fast it is belongs to benchmarks, not to tests."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from gpteval.engine.floor import Shape
from gpteval.models.catalogue import ModelInfo
from gpteval.models.loader import HFModel, LoadOptions
from tests.conftest import RunCli
from tests.tiny import ARCHITECTURES, save_tiny


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_operations_are_those_that_torch_counts(architecture: str, tmp_path: Path) -> None:
    """2 a weight and token, 4 a layer, unit of width and pair of tokens: torch's own counter is the reference."""
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    folder = save_tiny(tmp_path / "m", architecture)
    model = HFModel(ModelInfo(name="m", location=str(folder), local=True), LoadOptions(device="cpu"))
    module = model.fresh("float32").eval()  # the counter does not know oneDNN's products
    rows, length = 3, 32
    ids = torch.randint(2, 100, (rows, length))
    # The plain kernel, whose products are counted, computes the whole square: every token sees ``length``.
    with torch.inference_mode(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        module(input_ids=ids)
    expected = Shape.of(model.module, model.config).flops(rows * length, length, rows * length)
    assert counter.get_total_flops() == pytest.approx(expected, rel=0.02)


def test_the_table_and_the_last_line(tmp_path: Path, in_process: RunCli) -> None:
    folder = save_tiny(tmp_path / "m", "gpt2")
    result = in_process("bench", "--model", folder, "--items", "4", "--rounds", "1")
    assert result.returncode == 0, result.stderr
    *table, last = result.stdout.splitlines()
    found = json.loads(last)
    tokens = {row["workload"]: row["tokens"] for row in found["workloads"]}
    assert tokens == {
        "whole texts of 48 tokens": 48,
        "one token after 24": 4 * 24,
        "4 choices of 6 after 24": 4 * (24 + 4 * 5),
        "the same, 18 shared by all": 4 * (24 + 4 * 5),  # too short a beginning to share
        "12 new tokens after 24": 4 * (24 + 11),
    }
    assert all(row["floor"] > 0 and row["seconds"] > 0 for row in found["workloads"])
    assert all(any(name in line for line in table) for name in tokens)

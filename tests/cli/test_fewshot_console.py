"""What ``gpteval fewshot`` prints: every column explained, and every control that was computed."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from gpteval.cli.fewshot_console import _measure
from gpteval.stats.interval import Estimate
from tests.conftest import RunCli
from tests.tiny import save_tiny


def test_controls_are_told_also_where_nothing_is_found(
    tmp_path: Path, in_process: RunCli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A random model does not read its examples."""
    monkeypatch.setenv("COLUMNS", "160")
    model = save_tiny(tmp_path / "tiny", window=256)
    asked = ("fewshot", "--models", model, "--tasks", "nano_topic", "--shots", "0,2", "--seeds", 2, "--limit", 8)
    done = in_process(*asked, "--controls", "random-labels,order", "--out", tmp_path / "out", "--no-report")
    assert done.returncode == 0, done.stderr
    (curve,) = json.loads((tmp_path / "out" / "fewshot.json").read_text())["curves"]
    (point,) = (one for one in curve["points"] if one["labels"] is not None)
    (row,) = re.findall(r"(?m)^tiny +nano_topic +2 +(.*?) *$", done.stdout)
    cells = re.split(r" {2,}", row)
    assert cells[:2] == [f"{point['score']['value']:.3f}", f"{point['random_labels']['value']:.3f}"]
    assert cells[3] == f"{min(point['orders']):.3f} to {max(point['orders']):.3f}"
    said = " ".join(done.stdout.split())
    for column in ("a doubling brings", "seeds ±", "random labels", "other orders"):
        assert f"'{column}': " in said


def test_no_difference_is_said_in_words() -> None:
    def estimate(value: float, low: float, high: float) -> Estimate:
        return Estimate(value, low, high, n=4)

    assert _measure(estimate(0.0, 0.0, 0.0)) == "no difference on any item"
    assert _measure(estimate(0.0, -0.1, 0.1)) == "0.000 [-0.100, 0.100]"

"""Runs for comparisons."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.made_runs import make_run, scores

rng = np.random.default_rng


def right(p: float, n: int, seed: int) -> np.ndarray:
    return (rng(seed).random(n) < p).astype(float)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Four models of three generations on two tasks; gpt2-b cuts some prompts."""
    models = {"gpt1": ("gpt1", 100), "gpt2-a": ("gpt2", 110), "gpt2-b": ("gpt2", 900), "neo": ("gpt3", 800)}
    chances = {"gpt1": 0.4, "gpt2-a": 0.5, "gpt2-b": 0.7, "neo": 0.72}
    answers = {(m, t): scores(right(p, 200, 7)) for m, p in chances.items() for t in ("one", "two")}
    return make_run(
        tmp_path / "run",
        answers,
        generations=models,
        truncated={("gpt1", "one"): range(60)},
        chance={"one": 0.25, "two": 0.25},
    )

"""A chart of one's own is one function in a list; and the chart of sizes has the leaderboard's numbers."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from gpteval.report import build_report
from gpteval.report.leaderboard import Leaderboard, leaderboard
from gpteval.report.size_view import size_view
from gpteval.report.view import CURVE, View
from gpteval.report.views import VIEWS
from gpteval.store.runs import Loaded, read_runs
from tests.made_runs import make_run, scores

GENERATIONS = {"one": ("gpt1", 117_000_000), "two": ("gpt2", 124_000_000), "xl": ("gpt2", 1_500_000_000)}
MODELS = tuple(GENERATIONS)


def made(folder: Path, models: Sequence[str]) -> Path:
    answers = {
        (model, task): scores([1.0] * (25 + 8 * place) + [0.0] * (35 - 8 * place))
        for place, model in enumerate(models)
        for task in ("piqa", "boolq")
    }
    run = make_run(folder, answers, generations=GENERATIONS, chance={"piqa": 0.5, "boolq": 0.5})
    document = json.loads((run / "results.json").read_text())
    for row in document["results"]:
        row |= {"stderr": 0.05, "ci_low": row["value"] - 0.1, "ci_high": row["value"] + 0.1}
    (run / "results.json").write_text(json.dumps(document))
    return run


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return made(tmp_path / "run", MODELS)


def figures(page: str) -> dict[str, Any]:
    found = re.search(r'id="figures">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    return json.loads(found[1])  # type: ignore[no-any-return]


def test_a_view_of_ones_own(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def mine(loaded: Loaded, board: Leaderboard) -> View | None:
        data = [{"type": "scatter", "x": [1], "y": [2], "meta": {"generation": "gpt2"}}]
        rows = tuple((model.name, "<b>bold</b>") for model in board.models)
        return View(
            "mine", "My view", "What it is.", "A dot.", {"data": data, "layout": CURVE}, ("Model", "What"), rows
        )

    monkeypatch.setattr("gpteval.report.views.VIEWS", (*VIEWS, mine, lambda loaded, board: None))
    page = build_report([run], run / "page.html").read_text()
    assert '<a href="#mine">My view</a>' in page
    assert figures(page)["mine"]["data"][0]["y"] == [2]
    view = page[page.index('<section id="mine"') :]
    assert all(f"<bdi>{model}</bdi>" in view for model in MODELS)
    assert "&lt;b&gt;bold" in view, "nothing of it is markup"
    assert view.index('<section id="mine"') < view.index("My view")


def test_sizes_have_the_leaderboards_means(run: Path) -> None:
    loaded = read_runs([run]).merged
    board = leaderboard(loaded)
    view = size_view(loaded, board)
    assert view is not None
    drawn = {x: y for trace in view.figure["data"] for x, y in zip(trace["x"], trace["y"], strict=True)}
    sizes = {model.n_params for model in board.models}
    assert set(drawn) == sizes
    for model in board.models:
        assert model.centred is not None
        assert model.n_params is not None
        assert drawn[model.n_params] == pytest.approx(100 * model.centred)
    assert [row[0] for row in view.rows] == [m.name for m in sorted(board.models, key=lambda m: m.n_params or 0)]


def test_two_sizes_are_no_chart(tmp_path: Path) -> None:
    loaded = read_runs([made(tmp_path / "run", MODELS[:2])]).merged
    assert size_view(loaded, leaderboard(loaded)) is None

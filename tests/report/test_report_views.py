"""A chart of one's own is one function in a list; and the chart of sizes has the leaderboard's numbers."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gpteval.report import build_report
from gpteval.report.cost_view import cost_view
from gpteval.report.leaderboard import Leaderboard, leaderboard, show
from gpteval.report.matrix_view import matrix_view
from gpteval.report.scaling_view import scaling_view
from gpteval.report.time_view import time_view
from gpteval.report.view import CURVE, Chart, Shade, View
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
    return made_of(folder, answers, GENERATIONS)


def made_of(folder: Path, answers: Any, generations: Mapping[str, tuple[str, int]]) -> Path:
    run = make_run(folder, answers, generations=generations, chance={"piqa": 0.5, "boolq": 0.5})
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
        chart = Chart("dot", "A dot.", {"data": data, "layout": CURVE})
        return View("mine", "My view", "What it is.", (chart,), ("Model", "What"), rows)

    monkeypatch.setattr("gpteval.report.views.VIEWS", (*VIEWS, mine, lambda loaded, board: None))
    page = build_report([run], run / "page.html").read_text()
    assert '<a href="#mine">My view</a>' in page
    assert figures(page)["dot"]["data"][0]["y"] == [2]
    view = page[page.index('<section id="mine"') :]
    assert all(f"<bdi>{model}</bdi>" in view for model in MODELS)
    assert "&lt;b&gt;bold" in view, "nothing of it is markup"
    assert view.index('<section id="mine"') < view.index("My view")


def boarded(folder: Path) -> tuple[Loaded, Leaderboard]:
    loaded = read_runs([folder]).merged
    return loaded, leaderboard(loaded)


def drawn(chart: Chart) -> dict[Any, float]:
    """The y of each x, of the models alone."""
    models = [trace for trace in chart.figure["data"] if trace["mode"] == "markers"]
    return {x: y for trace in models for x, y in zip(trace["x"], trace["y"], strict=True)}


def test_sizes_have_the_leaderboards_means(run: Path) -> None:
    loaded, board = boarded(run)
    view = scaling_view(loaded, board)
    assert view is not None
    (chart,) = view.charts
    by_size = drawn(chart)
    assert set(by_size) == {model.n_params for model in board.models}
    for model in board.models:
        assert model.centred is not None
        assert model.n_params is not None
        assert by_size[model.n_params] == pytest.approx(100 * model.centred)
    assert [row[0] for row in view.rows] == [m.name for m in sorted(board.models, key=lambda m: m.n_params or 0)]


def test_two_sizes_are_no_chart(tmp_path: Path) -> None:
    assert scaling_view(*boarded(made(tmp_path / "run", MODELS[:2]))) is None


def test_training_compute_and_days_are_those_that_were_published(tmp_path: Path) -> None:
    names = ("pythia-70m", "pythia-410m", "EleutherAI/gpt-neo-2.7B", "mine")
    sizes = {name: ("gpt3", 10**7 * (place + 1)) for place, name in enumerate(names)}
    answers = {
        (name, "piqa"): scores([1.0] * (30 + 7 * place) + [0.0] * (30 - 7 * place)) for place, name in enumerate(names)
    }
    run = made_of(tmp_path / "run", answers, sizes)
    loaded, board = boarded(run)
    view, days = scaling_view(loaded, board), time_view(loaded, board)
    assert view is not None
    sized, compute = view.charts
    assert len(drawn(sized)) == 4
    assert sorted(drawn(compute)) == [1.6e20, 1.1e21, 6.8e21], "of one's own nothing is known"
    manifest = {"models": {name: {"location": "local"} for name in names}}
    view = scaling_view(replace(loaded, manifests=(manifest,)), board)
    assert view is not None
    assert len(view.charts) == 1, "a folder may be named like a model and hold another"
    assert days is None, "two of three were released on one day"


def test_the_frontier_joins_what_no_cheaper_one_beats(run: Path) -> None:
    loaded, board = boarded(run)
    seconds = {"one": 3.0, "two": 1.0, "xl": 2.0}  # the best of three is neither the cheapest nor the dearest
    for (model, _), row in board.primary.items():
        row |= {"seconds": row["n"] * seconds[model], "dollars": 0.0 if model == "one" else row["n"] / 1000}  # type: ignore[operator]
    view = cost_view(loaded, board)
    assert view is not None
    time, dollars = view.charts
    means = {model.name: 100 * (model.centred or 0.0) for model in board.models}
    assert drawn(time) == {seconds[name]: pytest.approx(means[name]) for name in MODELS}
    line = time.figure["data"][0]
    assert (line["x"], line["y"]) == ([1.0, 2.0, 3.0], pytest.approx([means["two"], means["xl"], means["xl"]]))
    assert list(drawn(dollars)) == pytest.approx([1.0]), "what costs nothing is on no logarithmic axis"
    assert [row[0] for row in view.rows] == ["xl", "two", "one"]


def test_the_memory_of_a_process_is_not_that_of_a_model(run: Path) -> None:
    loaded, board = boarded(run)
    devices = {"one": "cuda:0", "two": "cuda:1", "xl": "cpu"}
    facts = {name: {"device": device, "peak_memory_bytes": 2**31} for name, device in devices.items()}
    view = cost_view(replace(loaded, manifests=({"models": facts},)), board)
    assert view is not None
    memory = view.header.index("GPU memory")
    assert [row[memory] for row in view.rows] == ["–", "2.0 GiB", "2.0 GiB"]


def test_the_matrix_is_darkest_where_a_score_is_perfect(run: Path) -> None:
    loaded, board = boarded(run)
    view = matrix_view(loaded, board)
    assert view is not None
    assert view.header[1:] == tuple(model.name for model in board.models)
    for row, column in zip(view.rows, board.columns, strict=True):
        for cell, model in zip(row[1:], board.models, strict=True):
            value = board.primary[model.name, column.id]["value"]
            assert isinstance(cell, Shade)
            assert cell.text == show(value, column.metric)
            assert cell.share == pytest.approx(max(0.0, (value - 0.5) / 0.5))

"""The report's view of few-shot experiments."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gpteval.experiments.cells import Cell
from gpteval.experiments.fewshot import analyse, write
from gpteval.prompts.controls import RANDOM_LABELS
from gpteval.report import build_report
from gpteval.report.fewshot_view import examples
from gpteval.report.leaderboard import leaderboard
from gpteval.run.config import RunConfig
from gpteval.store.runs import read_runs
from tests.browsing import FLAGS, browser  # noqa: F401  (fixture)
from tests.fewshot_cells import cell
from tests.made_runs import make_run, scores

NASTY = "<b>m&m</b>"


def cells(model: str, generation: str, rises: float) -> list[Cell]:
    rng = np.random.default_rng(0)
    found = []
    for shots in (0, 1, 4):
        for seed in range(2 if shots else 1):
            for control in ("", RANDOM_LABELS) if shots else ("",):
                right = rng.random(50) < 0.3 + rises * shots * (control == "")
                cut = np.arange(50) < (20 if shots == 4 else 0)
                found.append(cell(right, shots, seed, control=control, dropped=cut, model=model, generation=generation))
    return found


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_run(tmp_path_factory.mktemp("run") / "r", {("small", "t"): scores([1, 0] * 25)})
    both = cells("small", "gpt1", 0.0) + cells(NASTY, "gpt3", 0.15)
    both += [replace(one, template="other") for one in both]
    write(replace(analyse(both), folder=folder), RunConfig(("small",), ("t",), shots=(0, 1, 4), seeds=2))
    return folder


def test_what_a_page_is_made_of(run: Path) -> None:
    found = examples(read_runs([run]))
    assert [task.label for task in found.tasks] == ["t", "t:other"]
    (task, _) = found.tasks
    assert task.shots == (0, 1, 4)
    lines = [trace for trace in task_figure(found)["data"] if trace.get("mode") == "lines+markers"]
    assert [line["name"] for line in lines] == ["small", "&lt;b&gt;m&amp;m&lt;/b&gt;"]
    assert lines[0]["marker"]["symbol"] == ["circle", "circle", "circle-open"], "hollow where examples were dropped"
    assert lines[1]["y"][0] == 100 * task.curves[1]["points"][0]["score"]["value"]
    assert len([trace for trace in task_figure(found)["data"] if trace.get("line", {}).get("dash") == "dash"]) == 2
    assert len(found.templates) == 2 * 3
    assert found.sentences[0].startswith(f"{NASTY} gains")


def test_a_score_of_one_set_of_examples_says_what_the_mean_is(tmp_path: Path, run: Path) -> None:
    several = make_run(tmp_path / "r", {("small", "t@4"): scores([1, 0] * 25), ("small", "t"): scores([1, 0] * 25)})
    (several / "fewshot.json").write_bytes((run / "fewshot.json").read_bytes())
    runs = read_runs([several])
    found = examples(runs)
    (task, _) = found.tasks
    point = task.point(task.curves[0], 4)
    assert point is not None
    (remark,) = leaderboard(runs.merged, found.means).remarks
    mean = 100 * sum(point["seeds"]) / 2
    assert remark.startswith(f"small, t, 4-shot: one of 2 sets of examples, whose mean is {mean:.1f} (")


def task_figure(found: Any) -> dict[str, Any]:
    figure: dict[str, Any] = found.figures["examples-0"]
    return figure


def test_in_a_browser(run: Path, browser: Any) -> None:
    page = build_report([run], run / "report.html")
    troubles: list[str] = []
    for width, scheme in ((1300, "light"), (420, "dark")):
        context = browser.new_context(offline=True, viewport={"width": width, "height": 900}, color_scheme=scheme)
        tab = context.new_page()
        tab.on("console", lambda m: troubles.append(m.text) if m.type in ("error", "warning") else None)
        tab.on("pageerror", lambda e: troubles.append(str(e)))
        tab.goto(f"{page.as_uri()}#examples")
        tab.wait_for_selector(".active .js-plotly-plot .scatter")
        assert tab.locator(".active .js-plotly-plot").count() == 2
        assert tab.locator(".active h2").inner_text() == "Examples in the prompt"
        assert NASTY in tab.locator(".active .comparisons").inner_text()
        tab.locator(".active figure summary").first.click()
        table = tab.locator(".active figure table").first
        assert table.locator("tbody tr").count() == 2
        assert "dropped for 20 of 50; where all fit" in table.inner_text()
        assert "random labels" in table.inner_text()
        assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth")
        context.close()
    assert troubles == []
    assert FLAGS


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "{}", '{"curves": 1}', '{"curves": [{"model": "m", "task": "t", "points": [{}]}]}', "\xff"],
)
def test_a_damaged_file_is_told_and_the_rest_is_shown(tmp_path: Path, run: Path, text: str) -> None:
    other = make_run(tmp_path / "r", {("small", "t"): scores([1, 0] * 25)})
    (other / "fewshot.json").write_text(text, encoding="latin-1")
    found = examples(read_runs([other]))
    assert not found.tasks
    assert "fewshot.json of r cannot be read" in found.remarks[0]
    assert "fewshot.json of r cannot be read" in build_report([other], tmp_path / "p.html").read_text()
    assert len(examples(read_runs([run, other])).tasks) == 2


def test_a_point_without_a_finite_score_is_left_out(tmp_path: Path, run: Path) -> None:
    document = json.loads((run / "fewshot.json").read_text())
    document["curves"][0]["points"][0]["score"]["value"] = None
    other = make_run(tmp_path / "r", {("small", "t"): scores([1, 0] * 25)})
    (other / "fewshot.json").write_text(json.dumps(document))
    found = examples(read_runs([other]))
    assert [point["shots"] for point in found.tasks[0].curves[0]["points"]] == [1, 4]
    build_report([other], tmp_path / "p.html")

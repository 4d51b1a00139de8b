"""Columns that stand for several, or beside those of tasks; and what may not be concluded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import expect

from gpteval.report import build_report
from gpteval.report.cautions import cautions
from gpteval.report.leaderboard import Leaderboard, leaderboard
from gpteval.report.more_columns import MoreColumn, more_columns
from gpteval.store.runs import Loaded, read_runs
from tests.browsing import browser, open_page  # noqa: F401  (fixtures)
from tests.made_runs import make_run, scores

GENERATIONS = {"old": ("gpt1", 10**8), "new": ("gpt2", 10**9)}


def right(of: int, *many: int) -> Any:
    return [scores([1.0] * n + [0.0] * (of - n)) for n in many]


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """Two models on two tasks of questions, one of them with 0, 1 and 4 examples."""
    answers = dict(zip([("old", "quiz"), ("old", "quiz@1"), ("old", "quiz@4")], right(200, 80, 90, 100), strict=True))
    answers |= dict(zip([("new", "quiz"), ("new", "quiz@1"), ("new", "quiz@4")], right(200, 100, 90, 160), strict=True))
    answers |= dict(zip([("old", "riddle"), ("new", "riddle")], right(1000, 300, 700), strict=True))
    run = make_run(tmp_path / "run", answers, generations=GENERATIONS, chance={"quiz": 0.25, "riddle": 0.0})
    document = json.loads((run / "results.json").read_text())
    for row in document["results"]:
        row["stderr"] = np.sqrt(row["value"] * (1 - row["value"]) / row["n"])
        row |= {"ci_low": row["value"] - 1.96 * row["stderr"], "ci_high": row["value"] + 1.96 * row["stderr"]}
    (run / "results.json").write_text(json.dumps(document))
    return run


def changed(run: Path, **values: Any) -> Path:
    """The run with these values in the results of the model ``old``."""
    document = json.loads((run / "results.json").read_text())
    for row in document["results"]:
        if row["model"] == "old":
            row |= values
    (run / "results.json").write_text(json.dumps(document))
    return run


def read(run: Path) -> tuple[Loaded, Leaderboard]:
    loaded = read_runs([run]).merged
    return loaded, leaderboard(loaded)


def columns(run: Path) -> dict[str, MoreColumn]:
    return {column.id: column for column in more_columns(*read(run))}


def test_a_family_is_the_mean_of_its_tasks_a_task_once(made: Path) -> None:
    family = columns(made)["family-qa"]
    assert family.covers == ("quiz-0", "quiz-1", "quiz-4", "riddle-0")
    quiz = np.mean([(share - 0.25) / 0.75 for share in (0.5, 0.45, 0.8)])
    assert [cell.value for cell in family.cells][1] == pytest.approx(np.mean([quiz, 0.7]))
    assert "2 tasks" in family.unit


def test_examples_are_the_last_score_with_its_gain(made: Path) -> None:
    shots = columns(made)["shots-quiz"]
    assert shots.label == "quiz, 0 to 4-shot"
    old, new = shots.cells
    assert (old.value, new.value) == (0.5, 0.8)
    error = 1.96 * np.hypot(np.sqrt(0.5 * 0.5 / 200), np.sqrt(0.8 * 0.2 / 200))
    assert new.aside.startswith("+30.0 ± ")
    assert float(new.aside.split("± ")[1]) == pytest.approx(100 * error, abs=0.2)
    assert new.curve[1][1] < new.curve[0][1] < new.curve[2][1], "it fell, then rose"


def test_a_model_that_lacks_one_of_them_has_none(made: Path) -> None:
    document = json.loads((made / "results.json").read_text())
    document["results"] = [r for r in document["results"] if (r["model"], r["shots"]) != ("old", 4)]
    (made / "results.json").write_text(json.dumps(document))
    old, new = columns(made)["shots-quiz"].cells
    assert old.value is None
    assert old.text == "–"
    assert new.value == 0.8


def test_only_comparable_published_numbers_count(made: Path) -> None:
    assert "published" not in columns(made)
    run = changed(made, published={"value": 0.3, "comparable": False})
    assert "published" not in columns(run)
    old, new = columns(changed(made, published={"value": 0.3, "comparable": True}))["published"].cells
    assert old.value == pytest.approx(100 * np.mean([0.1, 0.15, 0.2, 0.0]))
    assert old.aside == "4 numbers"
    assert new.value is None


def test_seconds_and_dollars_are_an_items(made: Path) -> None:
    found = columns(changed(made, seconds=4.0, dollars=0.8))
    items = 3 * 200 + 1000
    assert found["seconds"].cells[0].value == pytest.approx(4 * 4.0 / items)
    assert found["dollars"].cells[0].value == pytest.approx(1000 * 4 * 0.8 / items)
    assert found["dollars"].cells[1].text == "–"
    assert "memory" not in found, "of a CPU's process it is not a model's"


def test_what_may_not_be_concluded_is_said(made: Path) -> None:
    few, once = cautions(*read(made))
    assert few.startswith("Few items: on quiz (200 items) a score lies within ± 7 points, and wider than ± 5 on 2 more")
    assert once.startswith("With examples in the prompt there is one set of them (quiz, 1-shot and quiz, 4-shot)")
    assert len(cautions(*read(made), frozenset({"quiz-1", "quiz-4"}))) == 1


def test_cut_partial_and_otherwise_asked_results_are_named(made: Path) -> None:
    said = cautions(*read(changed(made, truncated=5, coverage=0.5, profile="lm-eval")))
    for words in ("4 results rest on prompts that were shortened", "over a part of the items", "different protocols"):
        assert any(words in line and ("old" in line or "quiz" in line) for line in said), words


def test_seconds_behind_an_api_are_the_clocks_and_an_items_latency(made: Path, tmp_path: Path) -> None:
    run = changed(made, seconds=260.0)
    manifest = json.loads((run / "manifest.json").read_text())
    manifest["models"] = {"old": {"device": "api"}, "new": {"device": "cpu"}}
    (run / "manifest.json").write_text(json.dumps(manifest))
    assert any(line.startswith("Seconds of old hang on a server elsewhere") for line in cautions(*read(run)))
    text = build_report([run], tmp_path / "page.html").read_text()
    assert '<td><span class="ci">1.30 an item</span></td>' in text, "260 s of 200 items, several under way at a time"
    found = columns(run)
    assert [cell.value for cell in found["latency"].cells] == [4 * 260 / 1600, None]
    assert "seconds" not in found, "an older run does not say it"
    clock = changed(run, wall_seconds=53.0)
    text = build_report([clock], tmp_path / "page.html").read_text()
    assert '<td>53.0<span class="ci">1.30 an item</span></td>' in text
    assert [cell.value for cell in columns(clock)["seconds"].cells] == [4 * 53 / 1600, None]
    manifest["models"]["new"]["device"] = "api"
    (run / "manifest.json").write_text(json.dumps(manifest))
    assert not any(line.startswith("Seconds of") for line in cautions(*read(run)))


def test_what_was_not_run_is_no_score(made: Path) -> None:
    document = json.loads((made / "results.json").read_text())
    document["results"] = [r for r in document["results"] if (r["model"], r["task"]) != ("old", "riddle")]
    (made / "results.json").write_text(json.dumps(document))
    assert any(line.startswith("1 of 8 cells were not run (old; riddle)") for line in cautions(*read(made)))
    document["failures"] = [{"model": "old", "task": "riddle", "error": "broken"}]
    (made / "results.json").write_text(json.dumps(document))
    assert any(line.startswith("1 could not be had (‡: old)") for line in cautions(*read(made)))


@pytest.fixture
def page(made: Path, tmp_path: Path) -> Path:
    return build_report([changed(made, seconds=4.0)], tmp_path / "report.html")


HEADS = """[...document.querySelectorAll(".board thead tr:last-child th")].filter((th) => th.offsetParent)
  .map((th) => th.querySelector("button").innerText)"""
ALL = ["Model", "Parameters", "Centred"]


@pytest.mark.browser
def test_columns_fold_into_one_and_out_again(open_page: Any) -> None:
    tab = open_page()
    each = ["quiz", "quiz, 1-shot", "quiz, 4-shot", "riddle"]
    assert tab.evaluate(HEADS) == [*ALL, *each]
    tab.get_by_label("Examples as one column").check()
    assert tab.evaluate(HEADS) == [*ALL, "quiz, 0 to 4-shot", "riddle"]
    assert tab.locator(".board svg.curve:visible").count() == 2
    tab.get_by_label("Families as one column").check()
    assert tab.evaluate(HEADS) == [*ALL, "Question answering"]
    tab.get_by_label("Seconds").check()
    assert tab.evaluate(HEADS) == [*ALL, "Question answering", "Seconds"]
    tab.reload()
    assert tab.evaluate(HEADS) == [*ALL, "Question answering", "Seconds"], "the choice survives a reload"
    for label in ("Families as one column", "Examples as one column", "Seconds"):
        tab.get_by_label(label).uncheck()
    assert tab.evaluate(HEADS) == [*ALL, *each]


@pytest.mark.browser
def test_what_is_folded_passes_filters_and_is_sorted_and_taken_out(open_page: Any, tmp_path: Path) -> None:
    tab = open_page("#leaderboard&more=shots,seconds&group=off")
    tab.locator("#only").fill("new")
    expect(tab.locator(".board tr[data-model]:visible")).to_have_count(1)
    tab.locator("#only").fill("")
    tab.get_by_role("button", name="quiz, 0 to 4-shot").click()
    names = "[...document.querySelectorAll('.board tr[data-model]')].map((row) => row.dataset.model)"
    assert tab.evaluate(names) == ["new", "old"], "the better first"
    with tab.expect_download() as saved:
        tab.locator(".take button", has_text="JSON").first.click()
    saved.value.save_as(tmp_path / "table.json")
    first, second = json.loads((tmp_path / "table.json").read_text())
    folded = "quiz, 0 to 4-shot acc % with 4, gain over 0"
    assert [first[folded], second[folded]] == [0.8, 0.5]
    assert not any(name.startswith("quiz acc") for name in first), "what is hidden is not taken"
    assert second["Seconds an item"] == pytest.approx(4 * 4.0 / 1600)
    tab.locator("#shots").select_option("4")
    assert tab.evaluate(HEADS) == [*ALL, "quiz, 0 to 4-shot", "Seconds"]

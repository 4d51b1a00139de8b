"""The kind ``compare``: two models in depth."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet
import pytest
from playwright.sync_api import expect

from gpteval.comparison.compare import compare
from gpteval.core.errors import UnknownNameError, UsageError
from gpteval.report import build_report
from gpteval.report.in_depth import in_depth
from gpteval.store.runs import of_models, read_runs
from tests.browsing import browser, open_page  # noqa: F401  (fixtures)
from tests.conftest import RunCli
from tests.made_runs import make_run, scores
from tests.report_runs import HOSTILE

NEW, OLD, THIRD = f"new {HOSTILE}", "old", "third"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Three models, one with a hostile name; on "long" the new one is worse the longer the prompt."""
    random = np.random.default_rng(0)
    place = np.arange(400)
    right = {
        (NEW, "long"): random.random(400) < 0.95 - place / 600,
        (OLD, "long"): random.random(400) < 0.6,
        (NEW, "quiz"): random.random(400) < 0.9,
        (OLD, "quiz"): random.random(400) < 0.5,
        (THIRD, "quiz"): random.random(400) < 0.5,
    }
    answers: dict[tuple[str, str], Any] = {unit: scores(one.astype(float)) for unit, one in right.items()}
    answers |= {
        (model, "prose"): [(2.0 + n % 3 + (model == OLD) * (n % 5) / 4, 1.0, 1.0, 4.0) for n in range(30)]
        for model in (NEW, OLD)
    }
    run = make_run(
        tmp_path / "run",
        answers,
        generations={NEW: ("gpt3", 10**9), OLD: ("gpt2", 10**8), THIRD: ("gpt1", 10**8)},
        chance={"long": 0.25, "quiz": 0.25},
        metrics={"prose": "bits_per_byte"},
    )
    for entry in json.loads((run / "manifest.json").read_text())["samples"]:
        file = run / entry["file"]
        rows = pyarrow.parquet.read_table(file).to_pylist()
        for row in rows:
            row["prompt"] = "x" * (1 + int(row["item_id"].rsplit("-", 1)[1]))
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), file)
    return run


def test_it_says_what_compare_says_of_these_two(run: Path) -> None:
    found = in_depth(of_models(read_runs([run]), [OLD, NEW]))
    assert (found.a, found.b) == (NEW, OLD), "the later generation first"
    assert {pair.task: pair for pair in found.pairs} == {
        pair.task: pair for pair in compare(of_models(read_runs([run]), [OLD, NEW])).pairs
    }
    *_, last = (pair.task for pair in found.pairs)
    assert last == "long", "where it is ahead most surely comes first"
    assert found.answer.startswith(f"{NEW} beats {OLD} by ")
    assert found.trend.startswith(f"The longer the prompt, the worse does {NEW} against {OLD}: −")


def test_bars_lie_on_their_axis(run: Path) -> None:
    found = in_depth(of_models(read_runs([run]), [OLD, NEW]))
    bars = [bar for pair in (*found.pairs, *found.means) if (bar := found.bar(pair)) is not None]
    assert len(bars) >= 2
    for zero, left, right, at in bars:
        assert 0 <= left <= at <= right <= 100
        assert 0 <= zero <= 100
    assert found.bar(next(pair for pair in found.pairs if pair.task == "prose")) is None


def test_models_that_were_asked_otherwise_are_not_compared(tmp_path: Path) -> None:
    answers = {("one", "a"): scores([1, 0]), ("two", "a"): scores([1, 0])}
    run = make_run(tmp_path / "run", answers, hashes={("one", "a"): "other"})
    with pytest.raises(UsageError) as told:
        build_report([run], tmp_path / "page.html", kind="compare")
    assert "gpteval compare --force" in told.value.hint


def test_of_runs_that_stopped_when_decided_no_trend_is_told(run: Path) -> None:
    manifest = json.loads((run / "manifest.json").read_text())
    manifest["config"]["until_decided"] = True
    (run / "manifest.json").write_text(json.dumps(manifest))
    found = in_depth(of_models(read_runs([run]), [OLD, NEW]))
    assert found.trend == ""
    assert [pair.figure.e_value > 0 for pair in found.pairs if pair.task == "quiz"] == [True]


def test_items_are_counted_by_who_was_right(run: Path) -> None:
    found = in_depth(of_models(read_runs([run]), [OLD, NEW]))
    counts = found.answered["quiz", 0]
    values = {
        model: [row["values"] for row in pyarrow.parquet.read_table(file, columns=["values"]).to_pylist()]
        for model, file in read_runs([run]).merged.samples["quiz", 0].items()
    }
    new, old = (np.array(["1.0" in text for text in values[model]]) for model in (NEW, OLD))
    assert (counts.both, counts.only_a) == ((new & old).sum(), (new & ~old).sum())
    assert (counts.only_b, counts.neither) == ((~new & old).sum(), (~new & ~old).sum())
    assert ("prose", 0) not in found.answered


def test_it_is_of_two_models(run: Path, tmp_path: Path, in_process: RunCli) -> None:
    with pytest.raises(UsageError, match="here are 3"):
        build_report([run], tmp_path / "x.html", kind="compare")
    with pytest.raises(UnknownNameError, match="odl"):
        build_report([run], tmp_path / "x.html", kind="compare", models=["odl", "third"])
    assert not (tmp_path / "x.html").exists()
    done = in_process("report", run, "--kind", "compare", "--models", "old,third")
    assert done.returncode == 0
    assert done.stdout.strip() == str(run / "compare.html")
    assert in_process("report", run, "--models", ",").returncode == 2
    done = in_process("report", run, "--format", "csv", "--models", "old,third")
    assert done.returncode == 2
    assert "--models is for a page or card" in done.stderr


def test_a_card_can_be_of_one_model(run: Path, tmp_path: Path) -> None:
    text = build_report([run], tmp_path / "card.md", kind="card", models=[THIRD]).read_text()
    assert "### third" in text
    assert "### old" not in text


def test_models_that_share_no_task_are_told(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", {("one", "a"): scores([1, 0]), ("two", "b"): scores([1, 0])})
    page = build_report([run], tmp_path / "page.html", kind="compare").read_text()
    assert "share no task" in page


@pytest.fixture
def page(run: Path, tmp_path: Path) -> Path:
    return build_report([run], tmp_path / "page.html", kind="compare", models=[OLD, NEW])


@pytest.mark.browser
def test_it_comes_first_and_opens_the_items_on_which_they_part(open_page: Any) -> None:
    tab = open_page()
    assert tab.evaluate("window.hit") is None
    expect(tab.locator("nav a[aria-current]")).to_have_text("In depth")
    assert tab.locator(".parts tbody tr").count() == 3
    assert tab.locator(".active .bar u").count() >= 2
    tab.locator(".parts a", has_text="quiz").click()
    expect(tab.locator(".task.active h2")).to_contain_text("quiz")
    expect(tab.locator(".task.active .between")).to_contain_text("disagree")
    tab.locator("nav a", has_text="Leaderboard").click()
    expect(tab.locator(".board tr[data-model]:visible")).to_have_count(2)


@pytest.mark.browser
def test_it_can_be_read_by_all(open_page: Any) -> None:
    axe = pytest.importorskip("axe_playwright_python")
    tab = open_page(width=390, scheme="dark")
    tab.evaluate((Path(axe.__file__).parent / "axe.min.js").read_text(encoding="utf-8"))
    assert [(one["id"], one["nodes"][0]["html"]) for one in tab.evaluate("axe.run()")["violations"]] == []

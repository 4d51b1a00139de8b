"""Pairs on the page: sentences, shared ranks, differences to a baseline, the matrix and the items behind it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gpteval
from gpteval.report import build_report
from gpteval.report.leaderboard import leaderboard
from gpteval.report.pairs_view import paired
from gpteval.report.samples_view import ITEMS, task_items
from gpteval.store.runs import read_runs
from tests.browsing import browser  # noqa: F401  (fixture)
from tests.made_runs import make_run, scores
from tests.report_runs import visible

MODELS = {"gpt1": ("gpt1", 100), "gpt2-a": ("gpt2", 110), "gpt2-b": ("gpt2", 900), "neo <b>": ("gpt3", 800)}
SHARES = {"gpt1": 0.4, "gpt2-a": 0.5, "gpt2-b": 0.8, "neo <b>": 0.8}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    answers = {}
    for number, (model, share) in enumerate(SHARES.items()):
        for task in ("one", "two"):
            random = np.random.default_rng(number + 10 * (task == "two"))
            answers[model, task] = scores((random.random(300) < share).astype(float))
    folder = tmp_path_factory.mktemp("pairs") / "run"
    return make_run(folder, answers, generations=MODELS, chance={"one": 0.25, "two": 0.25})


@pytest.fixture(scope="module")
def page(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_report([run], tmp_path_factory.mktemp("out") / "report.html")


def test_a_cell_says_how_many_are_better(run: Path) -> None:
    better = paired(read_runs([run])).better
    for column in ("one-0", "two-0"):
        found = {model: better[model, column] for model in MODELS}
        assert found["gpt2-b"] == found["neo <b>"] == "none better"
        assert {found["gpt1"], found["gpt2-a"]} <= {"2 better", "3 better"}


def test_the_sentences_are_those_of_the_comparison(run: Path, page: Path) -> None:
    text = visible(page).replace("−", "-")
    comparison = gpteval.compare(run)
    means = [row for row in comparison.generations if "family means" in row.form]
    for row in means:
        assert row.pair is not None
        assert f"{100 * row.pair.figure.effect:+.1f} points" in text
        assert f"{100 * row.pair.low:+.1f} to {100 * row.pair.high:+.1f}" in text
    assert "GPT-3 style against GPT-1, matched size: no two of them are of the same size" in text
    assert "neo &lt;b&gt;" in text
    assert "neo <b>" not in text


def test_a_cell_says_the_same_from_both_sides(run: Path) -> None:
    of = paired(read_runs([run]))
    assert of.comparison is not None
    for a, row in enumerate(of.overall):
        assert row[a] is None
        for b, cell in enumerate(row):
            other = of.overall[b][a]
            if cell is not None and other is not None:
                turned = {"same": "same", "better": "worse", "worse": "better"}
                assert other["state"] == turned[cell["state"]]
                assert cell["text"].lstrip("+−") == other["text"].lstrip("+−")


def test_without_samples_the_page_says_why_it_does_not_compare(tmp_path: Path, run: Path) -> None:
    for name in ("results.json", "manifest.json"):
        (tmp_path / name).write_text((run / name).read_text())
    text = visible(build_report([tmp_path], tmp_path / "r.html"))
    assert "Not compared as pairs" in text
    assert "has no samples of" in text
    assert 'href="#pairs"' not in text


def test_every_pair_that_disagrees_anywhere_has_such_an_item(tmp_path: Path) -> None:
    """Also where the first items show none."""
    a, b, c = np.ones(200), np.ones(200), np.ones(200)
    b[150], c[170] = 0, 0
    answers = {(m, "t"): scores(v) for m, v in (("a", a), ("b", b), ("c", c))}
    run = make_run(tmp_path / "r", answers, ids={"t": [f"i{n:03}" for n in range(200)]})
    from gpteval.store.runs import read_runs

    loaded = read_runs([run]).merged
    (column,) = leaderboard(loaded).columns
    items = task_items(loaded.samples["t", 0], ["a", "b", "c"], column)
    assert [item["id"] for item in items["items"]] == [*(f"i{n:03}" for n in range(ITEMS - 2)), "i150", "i170"]
    assert items["apart"] == {"0 1": 1, "0 2": 1, "1 2": 2}
    few = task_items(loaded.samples["t", 0], ["a", "b", "c"], column, 1)
    assert [item["id"] for item in few["items"]] == ["i150"], "those on which models disagree go before others"
    assert len(task_items(loaded.samples["t", 0], ["a", "b", "c"], column, None)["items"]) == 200


def test_the_paired_interval_is_much_narrower_than_that_of_independent_models(tmp_path: Path) -> None:
    """gpt3-nano minus gpt2-nano on the demo's own tasks, with the demo's own models."""
    out = tmp_path / "run"
    tasks = ["nano_sentiment", "nano_topic", "nano_lastword"]
    run = gpteval.evaluate(["gpt2-nano", "gpt3-nano"], tasks, shots=0, limit=150, out=out, device="cpu")
    assert not run.failures
    comparison = gpteval.compare(out)
    (overall,) = comparison.overall
    errors = {}
    for result in run.results:
        if result.primary:
            width = 1 - (result.chance or 0)
            errors.setdefault(result.model, []).append((result.ci_high - result.ci_low) / 2 / width)  # type: ignore[operator]
    independent = 2 * np.sqrt(sum(np.sum(np.square(of)) for of in errors.values())) / len(tasks)
    assert overall.figure.ci_high - overall.figure.ci_low <= 0.75 * independent


@pytest.fixture
def tab(browser: Any, page: Path) -> Iterator[Any]:
    troubles: list[str] = []
    context = browser.new_context(offline=True, viewport={"width": 1200, "height": 900})
    tab = context.new_page()
    tab.on("pageerror", lambda e: troubles.append(str(e)))
    tab.goto(page.as_uri())
    yield tab
    context.close()
    assert troubles == []


@pytest.mark.browser
def test_differences_to_a_baseline(tab: Any, run: Path) -> None:
    tab.select_option("#baseline", "gpt1")
    shown = tab.locator("tr[data-model='gpt2-b'] [data-column='one-0'] .difference")
    pair = next(p for p in gpteval.compare(run).pairs if (p.task, p.model_a, p.model_b) == ("one", "gpt2-b", "gpt1"))
    assert shown.inner_text().startswith(f"+{100 * pair.figure.effect:.1f} (")
    assert "better" in shown.get_attribute("class")
    assert tab.locator("tr[data-model='gpt1'] .difference").count() == 0
    tab.reload()
    assert tab.locator(".difference").count() == 6, "the choice survives a reload"
    tab.select_option("#baseline", "")
    assert tab.locator(".difference").count() == 0


@pytest.mark.browser
def test_a_cell_of_the_matrix_opens_the_items_on_which_two_disagree(tab: Any) -> None:
    tab.click("nav a[href='#pairs']")
    whole = tab.locator(".matrix tbody tr").nth(0).text_content()
    tab.select_option("#matrix", "two-0")
    assert tab.locator(".matrix tbody tr").nth(0).text_content() != whole
    tab.locator(".matrix tbody tr").nth(0).locator("td").nth(2).locator("a").click()
    assert tab.locator(".task.active h2").inner_text().startswith("two")
    tab.wait_for_selector(".task.active article")
    assert "where gpt1 and gpt2-b disagree: " in tab.locator(".task.active .between").inner_text()
    for _ in range(3):
        cards = tab.locator(".task.active article:not([hidden]) .answer-card")
        right = {card.get_attribute("data-model"): card.get_attribute("data-right") for card in cards.all()}
        assert right["gpt1"] != right["gpt2-b"]
        tab.keyboard.press("j")
    tab.select_option(".task.active .controls select", "split")
    assert tab.locator(".task.active .between").is_hidden()
    tab.click("nav a[href='#pairs']")
    same = "text => document.querySelector('.matrix tbody tr').textContent === text"
    tab.wait_for_function(same, arg=whole, timeout=5000)  # the view changes when the browser tells of the new address

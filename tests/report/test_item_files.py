"""Items in files beside the page: read when they are looked at, and shown as from the page itself."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from gpteval.core.errors import OutputError
from gpteval.report import build_report
from tests.browsing import browser, open_page  # noqa: F401  (fixtures)
from tests.conftest import RunCli
from tests.made_runs import make_run, scores


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """Two models on two tasks of ten items."""
    values = {(model, task): scores([1.0, 0.0] * 5) for model in ("old", "new") for task in ("quiz", "riddle")}
    return make_run(tmp_path / "run", values)


def test_the_page_has_no_items_and_the_files_have_all(made: Path, tmp_path: Path) -> None:
    whole = build_report([made], tmp_path / "whole.html", samples=None)
    page = build_report([made], tmp_path / "a b#1.html", samples=None, split=True)
    files = sorted((tmp_path / "a b#1.items").iterdir())
    assert [file.name for file in files] == ["0.js", "1.js"]
    assert 'data-beside="a%20b%231.items/0.js"' in page.read_text()
    for file in files:
        _, line, _ = file.read_text().split("\n")
        packed = line.removesuffix('";').rpartition('"')[2]
        assert len(packed) > 100
        assert packed in whole.read_text()
        assert packed not in page.read_text()


def test_another_page_takes_the_place_and_leaves_nothing_of_the_first(made: Path, tmp_path: Path) -> None:
    build_report([made], tmp_path / "page.html", split=True)
    one = make_run(tmp_path / "one", {("old", "quiz"): scores([1.0, 0.0])})
    (tmp_path / "page.items" / "mine.js").write_text("kept")
    build_report([one], tmp_path / "page.html", split=True)
    assert sorted(file.name for file in (tmp_path / "page.items").iterdir()) == ["0.js", "mine.js"]
    (tmp_path / "page.items" / "0.js").write_text("mine")
    with pytest.raises(OutputError, match=r"0\.js was not made by gpteval"):
        build_report([one], tmp_path / "page.html", split=True)


@pytest.mark.parametrize("more", [["--kind", "card"], ["--format", "csv"], ["--figures", "f"]])
def test_what_has_no_items_is_not_split(made: Path, in_process: RunCli, more: list[str]) -> None:
    done = in_process("report", made, "--split", *more)
    assert done.returncode == 2
    assert "--split is for a page" in done.stderr or "--figures stands alone" in done.stderr


@pytest.mark.browser
def test_a_browser_reads_them_from_the_disk(made: Path, tmp_path: Path, browser: Any) -> None:
    page = build_report([made], tmp_path / "page.html", samples=None, split=True)
    tab = browser.new_page()
    said: list[str] = []
    tab.on("console", lambda message: said.append(message.text))
    tab.on("pageerror", lambda error: said.append(str(error)))
    tab.goto(f"{page.as_uri()}#task=quiz-0")
    count = tab.locator(".task:visible .count")
    expect(count).to_have_text("1 of 10")
    tab.keyboard.press("j")
    expect(count).to_have_text("2 of 10")
    assert said == []
    shutil.rmtree(tmp_path / "page.items")
    tab.goto(f"{page.as_uri()}#task=riddle-0")
    tab.reload()
    expect(tab.locator(".task:visible .count")).to_have_text(
        "page.items/1.js is not beside this page: the two belong together."
    )
    tab.close()

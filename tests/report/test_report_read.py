"""The report as people read it: on a phone, on paper, without a mouse, with a screen reader."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from gpteval.report.report_kinds import breakable, prose
from tests.browsing import browser, open_page  # noqa: F401  (fixtures)
from tests.report_runs import page, run  # noqa: F401  (fixtures)

pytestmark = pytest.mark.browser


AXE = """async () => {  // what is not seen is taken out meanwhile: axe would look through it each time
  const hidden = [...document.querySelectorAll("[data-view]")].filter((view) => !view.offsetParent);
  const places = hidden.map(() => document.createComment(""));
  hidden.forEach((view, number) => view.replaceWith(places[number]));
  const found = await axe.run({ resultTypes: ["violations"] });
  hidden.forEach((view, number) => places[number].replaceWith(view));
  return found.violations;
}"""


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 390)])
def test_axe_finds_nothing(open_page: Any, scheme: str, width: int) -> None:
    axe = pytest.importorskip("axe_playwright_python")
    tab = open_page(width=width, scheme=scheme)
    names = tab.evaluate("[...document.querySelectorAll('nav a[href], #tasks option')].map((a) => a.hash || a.value)")
    assert len(names) > 8
    code = (Path(axe.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
    tab.evaluate(code)
    for name in filter(None, names):
        tab.evaluate("(name) => { location.hash = name; }", name)
        tab.wait_for_timeout(150)
        assert tab.locator("[data-view]:visible").count() == 1
        found = tab.evaluate(AXE)
        assert [(name, one["impact"], one["id"], one["nodes"][0]["html"]) for one in found] == []


def test_a_phone_shows_a_tasks_score_at_once(open_page: Any) -> None:
    tab = open_page(width=390, height=800)
    score = tab.locator(".board td[data-column] .value:visible").first
    box = score.bounding_box()
    assert box["y"] + box["height"] < 800, "on the first screen"
    assert box["x"] + box["width"] < 390
    assert tab.locator(".fold[open]").count() == 0, "what explains is folded"
    heads = tab.locator(".board thead th[data-column]:visible")
    assert heads.count() == 1


def test_a_table_that_scrolls_says_so(open_page: Any) -> None:
    tab = open_page(width=390, height=800)
    box = tab.locator(".scroll:has(.board)")
    tab.locator("#column").select_option("all")
    assert tab.locator(".board thead th[data-column]:visible").count() == 5
    expect(box).to_have_class("scroll beyond")
    assert "column=all" in tab.url
    tab.reload()
    assert tab.locator(".board thead th[data-column]:visible").count() == 5, "the choice survives a reload"
    box.evaluate("(box) => box.scrollTo(box.scrollWidth, 0)")
    expect(box).to_have_class("scroll")


def test_one_column_may_be_chosen_on_any_screen(open_page: Any) -> None:
    tab = open_page()
    assert tab.locator(".board thead th[data-column]:visible").count() == 5
    tab.locator("#column").select_option(index=2)
    chosen = tab.locator("#column").input_value()
    (column,) = tab.evaluate(
        "[...document.querySelectorAll('.board thead th[data-column]')]"
        ".filter((th) => th.offsetParent).map((th) => th.dataset.column)"
    )
    assert column == chosen
    assert "1 column" in tab.locator("#shown").inner_text()


def test_a_pinned_model_stays_on_top(open_page: Any) -> None:
    tab = open_page()
    names = "[...document.querySelectorAll('.board tr[data-model]')].map((row) => row.dataset.model)"
    before = tab.evaluate(names)
    tab.locator("#pin").select_option(before[-1])
    assert tab.evaluate(names) == [before[-1], *before[:-1]]
    tab.locator(".board [data-key=model]").click()
    assert tab.evaluate(names)[0] == before[-1], "whatever the order"
    tab.reload()
    assert tab.evaluate(names)[0] == before[-1], "and after a reload"
    tab.locator("#grouped").uncheck()
    assert tab.evaluate(names)[0] == before[-1]
    assert sorted(tab.evaluate(names)) == sorted(before)
    tab.locator("#pin").select_option("")
    tab.locator("#grouped").check()
    assert tab.locator(".pins tr").count() == 0


def test_a_mark_tells_what_it_means_by_a_tap_or_a_key(open_page: Any) -> None:
    tab = open_page()
    mark = tab.locator(".board abbr:visible").first
    says = mark.get_attribute("title")
    mark.click()
    expect(tab.locator("#told")).to_be_visible()
    assert tab.locator("#told").inner_text() == says
    tab.keyboard.press("Escape")
    expect(tab.locator("#told")).to_be_hidden()
    mark.focus()
    tab.keyboard.press("Enter")
    expect(tab.locator("#told")).to_be_visible()


def test_paper_has_the_view_that_is_seen(open_page: Any) -> None:
    tab = open_page()
    tab.emulate_media(media="print")
    assert tab.locator("[data-view]:visible").count() == 1
    assert tab.locator(".answer:visible").count() <= 1
    assert tab.locator(".board:visible").count() == 1
    assert tab.locator(".controls:visible, nav:visible, .take:visible").count() == 0


@pytest.mark.parametrize("view", ["leaderboard", "pairs", "matrix", "run"])
def test_all_of_a_table_is_on_the_paper(open_page: Any, view: str) -> None:
    tab = open_page(f"#{view}", width=1800)
    heads = "[...document.querySelectorAll('.scroll > table thead tr:last-child th')].filter((th) => th.offsetParent)"
    before = tab.evaluate(f"{heads}.map((th) => th.innerText.split('\\n')[0])")
    tab.evaluate("dispatchEvent(new Event('beforeprint'))")
    tab.emulate_media(media="print")
    tab.set_viewport_size({"width": 979, "height": 700})  # Letter on its side
    ends = tab.evaluate(f"{heads}.map((th) => th.getBoundingClientRect().right)")
    assert max(ends) <= 979
    on_paper = tab.evaluate(f"{heads}.map((th) => th.innerText.split('\\n')[0])")
    assert list(dict.fromkeys(on_paper)) == list(dict.fromkeys(before)), "in their order, the first of each piece apart"
    tab.emulate_media(media="screen")
    tab.evaluate("dispatchEvent(new Event('afterprint'))")
    assert tab.evaluate(f"{heads}.map((th) => th.innerText.split('\\n')[0])") == before


def test_shades_are_printed(open_page: Any) -> None:
    tab = open_page("#matrix")
    shades = "[...document.querySelectorAll('td.shade')].map((cell) => getComputedStyle(cell).backgroundColor)"
    before = tab.evaluate(shades)
    assert len(set(before)) > 2
    tab.evaluate("dispatchEvent(new Event('beforeprint'))")
    tab.emulate_media(media="print")
    assert tab.evaluate(shades) == before


def test_a_very_wide_table_is_printed_in_pieces(open_page: Any) -> None:
    tab = open_page("#leaderboard", width=1800)
    tab.locator(".board td .value").first.evaluate("(value) => { value.style.paddingLeft = '1200px'; }")
    tab.evaluate("dispatchEvent(new Event('beforeprint'))")
    tab.emulate_media(media="print")
    pieces = tab.locator(".board.printed")
    assert pieces.count() > 1
    assert not tab.locator(".board.in-pieces").is_visible()
    models = tab.locator(".board.in-pieces tr[data-model]").count()
    for piece in pieces.all():
        assert piece.locator("tr[data-model] th:visible").count() == models, "each says whose its rows are"
    assert pieces.locator("caption").count() == 1
    values = "(board) => [...board.querySelectorAll('td[data-column] .value')].map((value) => value.innerText).sort()"
    whole = tab.locator(".board.in-pieces").evaluate(values.replace("innerText", "textContent"))
    parts = [value for piece in pieces.all() for value in piece.evaluate(values.replace("innerText", "textContent"))]
    assert sorted(parts) == whole


def test_the_link_past_the_navigation_keeps_the_view(open_page: Any) -> None:
    tab = open_page("#run")
    tab.keyboard.press("Tab")
    assert tab.evaluate("document.activeElement.className") == "skip"
    tab.keyboard.press("Enter")
    assert tab.locator("nav a[aria-current]").inner_text() == "Run"
    assert tab.evaluate("document.activeElement.id") == "content"


def test_names_break_on_a_phone_only(open_page: Any) -> None:
    name = open_page().locator(".board .first bdi", has_text="openai-gpt").first
    assert name.evaluate("(name) => new Set([...name.getClientRects()].map((part) => part.y)).size") == 1


def test_names_break_behind_their_marks() -> None:
    assert str(breakable("lambada_openai")) == "lambada_<wbr>openai"
    assert str(breakable("a/b-c:<i>")) == "a/<wbr>b-<wbr>c:<wbr>&lt;i&gt;"


def test_what_a_docstring_marks_as_code_is_code() -> None:
    assert str(prose("After ``TL;DR:``, <b>")) == "After <code>TL;DR:</code>, &lt;b&gt;"

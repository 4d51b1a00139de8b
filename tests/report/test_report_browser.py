"""The report in headless Chromium, from disk and without network."""

from __future__ import annotations

import csv
import json
import struct
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from playwright.sync_api import expect

from gpteval.report.packed import chart_library
from tests.browsing import browser, open_page  # noqa: F401  (fixtures)
from tests.report_runs import TASKS, page, run  # noqa: F401  (fixtures)

pytestmark = pytest.mark.browser


def test_every_view_opens_by_its_fragment(open_page: Any) -> None:
    names = ["leaderboard", "charts", "failures", "run", *(f"task={task}-0" for task, _, _ in TASKS)]
    tab = open_page()
    for name in names:
        tab.evaluate(f"location.hash = '{name}'")
        tab.wait_for_timeout(50)
        assert tab.locator("[data-view].active").count() == 1
        assert tab.evaluate("document.querySelector('[data-view].active').offsetHeight > 50")
    tab.reload()
    assert tab.locator(".active h2").inner_text().startswith("sst2"), "the view survives a reload"
    assert tab.evaluate("scrollY") == 0


def test_charts_draw_what_was_asked(open_page: Any) -> None:
    tab = open_page("#charts")
    tab.wait_for_selector(".js-plotly-plot .scatter")
    assert tab.locator(".js-plotly-plot").count() == 5
    types = tab.evaluate("[...document.querySelectorAll('.js-plotly-plot')].flatMap(p => p._fullData.map(t => t.type))")
    assert set(types) == {"scatter"}


def test_the_chart_library_is_unpacked_when_a_chart_is_seen(open_page: Any) -> None:
    tab = open_page()
    assert tab.evaluate("typeof Plotly") == "undefined"
    tab.evaluate("location.hash = 'charts'")
    tab.wait_for_selector(".js-plotly-plot .scatter")
    assert tab.evaluate("typeof Plotly") == "object"


def test_where_it_cannot_be_unpacked_the_page_says_so(open_page: Any) -> None:
    tab = open_page()
    tab.evaluate("delete window.DecompressionStream; location.hash = 'charts'")
    expect(tab.locator(".active .chart").first).to_contain_text("the tables have their numbers")
    assert tab.locator(".js-plotly-plot").count() == 0


def test_a_page_is_small(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert len(text) < 3_000_000
    assert len(text) - len(chart_library()) < 1_000_000


def test_sorting_sorts_and_says_so(open_page: Any) -> None:
    tab = open_page()
    header = tab.locator("th", has=tab.locator("button", has_text="sst2"))

    def gpt2_models() -> list[str]:
        return tab.locator(".board tr.gpt2:not(.group) th bdi").all_inner_texts()

    assert gpt2_models() == ["gpt2", "gpt2-xl"]
    header.locator("button").focus()
    tab.keyboard.press("Enter")
    assert header.get_attribute("aria-sort") == "descending"
    assert gpt2_models() == ["gpt2-xl", "gpt2"]
    header.locator("button").click()
    assert header.get_attribute("aria-sort") == "ascending"
    assert gpt2_models() == ["gpt2", "gpt2-xl"]
    assert "sst2" in tab.locator("#live").inner_text()
    tab.locator("button", has_text="wikitext2").click()
    assert tab.locator("[aria-sort]").count() == 1
    assert gpt2_models() == ["gpt2-xl", "gpt2"], "a metric that is better when lower begins with the lowest"


def test_sorting_across_generations_survives_a_reload(open_page: Any) -> None:
    tab = open_page("#leaderboard&sort=wmt-0&order=descending")
    names = tab.locator(".board tbody tr:not(.group) th bdi")
    assert names.all_inner_texts() == ["openai-gpt", "gpt2-xl", "gpt2", "neo"]
    tab.get_by_label("Group by generation").uncheck()
    assert names.all_inner_texts() == ["gpt2-xl", "gpt2", "openai-gpt", "neo"], "no value stays last"
    tab.reload()
    assert names.all_inner_texts() == ["gpt2-xl", "gpt2", "openai-gpt", "neo"]
    assert tab.locator(".board .group:visible").count() == 0
    tab.get_by_label("Group by generation").check()
    assert names.all_inner_texts() == ["openai-gpt", "gpt2-xl", "gpt2", "neo"]
    assert tab.locator(".board .group:visible").count() == 3, "the headings are back"


def test_filters_hide_what_is_not_asked_for_and_survive_a_reload(open_page: Any) -> None:
    tab = open_page()
    names = tab.locator(".board tbody tr:not(.group):visible th bdi")
    columns = tab.locator(".board thead tr:last-child th:visible")
    everything = columns.count()
    tab.locator("#only").fill("^gpt2")
    assert names.all_inner_texts() == ["gpt2", "gpt2-xl"]
    assert tab.locator(".board .group:visible").count() == 1
    tab.locator("#only").fill("[gpt2")  # no regular expression: a part of a name
    assert names.count() == 0
    tab.locator("#only").fill("")
    tab.locator("#generations").select_option("gpt3")
    assert names.all_inner_texts() == ["neo"]
    tab.locator("#generations").select_option("")
    tab.locator("#families").select_option("translation")
    assert columns.count() == 4 < everything
    tab.locator("#compact").check()
    tab.reload()
    assert columns.count() == 4
    assert tab.locator("#shown").inner_text() == "4 models, 1 column"
    assert "compact=on" in tab.url
    assert tab.locator("#compact").is_checked()


def test_the_leaderboard_is_taken_as_it_is_seen(open_page: Any, run: Path) -> None:
    tab = open_page("#leaderboard&generations=gpt2")

    def taken(kind: str) -> str:
        with tab.expect_download() as download:
            tab.locator("#leaderboard, .active").first.locator(".take button", has_text=kind).click()
        return Path(download.value.path()).read_text(encoding="utf-8")

    rows = json.loads((run / "results.json").read_text())["results"]
    score = next(row for row in rows if row["model"] == "gpt2" and row["task"] == "sst2")
    records = json.loads(taken("JSON"))
    assert [record["Model"] for record in records] == ["gpt2", "gpt2-xl"], "filtered as the page is"
    (name,) = [name for name in records[0] if name.startswith("sst2") and "ci_" not in name]
    assert records[0][name] == score["value"]
    assert records[0][f"{name} ci_low"] == score["ci_low"]
    lines = list(csv.DictReader(taken("CSV").splitlines()))
    assert float(lines[0][name]) == score["value"]
    assert len(taken("Markdown").splitlines()) == 4
    latex = taken("LaTeX")
    assert latex.startswith("\\begin{tabular}{l")
    assert latex.count("\\\\") == 3


def test_text_that_a_spreadsheet_would_run_is_text(open_page: Any) -> None:
    tab = open_page()
    written = tab.evaluate("""() => {
      const table = document.createElement("table");
      const cells = ["=1+1", "@x", "-2+3", 'a "b", c', "x|y <b>", "50 % & $_"];
      table.createTHead().insertRow().append(...cells.map((c) => make("th", {}, c)));
      table.createTBody().insertRow().append(...cells.map((c) => make("td", {}, c)));
      return Object.keys(WRITERS).map((kind) => WRITERS[kind](table)); }""")
    assert '\'=1+1,\'@x,\'-2+3,"a ""b"", c"' in written[0]
    assert "x\\|y &lt;b>" in written[1]
    assert "50 \\% \\& \\$\\_" in written[2]


def test_stepping_through_samples(open_page: Any) -> None:
    tab = open_page("#task=piqa-0")
    shown = tab.locator(".active article h4 code")
    expect(shown).to_have_text("id000")
    tab.locator(".active .controls select").select_option("split")
    expect(shown).to_have_text("id003")
    assert tab.locator(".active .count").inner_text() == "1 of 14"
    tab.locator(".active [data-step='1']").click()
    tab.keyboard.press("j")
    expect(shown).to_have_text("id007")
    tab.reload()
    expect(shown).to_have_text("id007")
    assert "item=id007" in tab.url
    tab.keyboard.press("k")
    expect(shown).to_have_text("id005")


def test_items_are_found_by_their_words_and_by_who_is_right(open_page: Any) -> None:
    tab = open_page()
    tab.evaluate("location.hash = 'task=piqa-0'; for (let n = 0; n < 3; n += 1) dispatchEvent(new Event('hashchange'))")
    shown = tab.locator(".active article h4 code")
    expect(shown).to_have_text("id000")
    offered = tab.locator(".active .controls select option").all_inner_texts()
    assert offered == ["all", "all models right", "models disagree"], "no choice that would show nothing"
    tab.locator(".active input[type=search]").fill("PROMPT 17")
    expect(shown).to_have_text("id017")
    assert tab.locator(".active .count").inner_text() == "1 of 1"
    tab.reload()
    expect(shown).to_have_text("id017")
    assert tab.locator(".active input[type=search]").input_value() == "PROMPT 17"
    tab.locator(".active input[type=search]").fill("nowhere to be found")
    expect(tab.locator(".active .count")).to_have_text("none among these items")
    assert shown.count() == 0


def test_what_the_reference_has_not_is_marked(open_page: Any) -> None:
    tab = open_page()
    marked = """([text, reference]) => differing(text, reference).map((part) =>
      typeof part === "string" ? part : `[${part.textContent}]`).join("")"""
    for text, reference, expected in [
        ("Eine rote Tür fiel.", "Eine Tür fiel.", "Eine [rote] Tür fiel."),
        ("the red door", "the red door", "the red door"),
        ("The RED wall", "a red door", "[The] RED [wall]"),
        ("one two three four", "four one two", "one two [three] [four]"),
        ("<b>bold</b>", "", "<b>bold</b>"),
    ]:
        assert tab.evaluate(marked, [text, reference]) == expected


def test_charts_follow_the_theme_and_the_width(open_page: Any) -> None:
    tab = open_page("#charts")
    tab.wait_for_selector(".js-plotly-plot .scatter")
    look = "(({ font, width }) => [font.color, width])(document.querySelector('.js-plotly-plot')._fullLayout)"
    before = tab.evaluate(look)
    tab.locator("#theme").click()
    tab.set_viewport_size({"width": 600, "height": 900})
    tab.wait_for_timeout(400)
    after = tab.evaluate(look)
    assert after[0] != before[0]
    assert after[1] < 600 < before[1]


def test_hostile_output_does_nothing(open_page: Any) -> None:
    tab = open_page("#task=wmt-0")
    expect(tab.locator(".active article")).to_have_count(1)
    tab.keyboard.press("j")
    expect(tab.locator(".active article pre").last).to_contain_text("<img src=x onerror=window.hit=2>")
    assert tab.evaluate("window.hit") is None


def test_a_narrow_page_does_not_overflow(open_page: Any) -> None:
    tab = open_page(width=390)
    for fragment in ("leaderboard", "charts", "task=piqa-0", "run", "failures"):
        tab.evaluate(f"location.hash = '{fragment}'")
        tab.wait_for_timeout(150)
        assert tab.evaluate("document.documentElement.scrollWidth") <= 390, fragment


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_ground(open_page: Any, scheme: str) -> None:
    """WCAG AA: 4.5 to 1 for the page's text colours, in the system's theme and after the button."""
    tab = open_page(scheme=scheme)
    contrast = """() => {
      const linear = (x) => (x <= 0.03928 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4);
      const lum = (c) => { const v = c.match(/[\\d.]+/g).slice(0, 3).map((x) => linear(x / 255));
        return 0.2126 * v[0] + 0.7152 * v[1] + 0.0722 * v[2]; };
      const ground = lum(getComputedStyle(document.body).backgroundColor);
      return [...document.querySelectorAll('body, .ci, .more, .unit, caption, nav a, .brand')].map((e) => {
        const ink = lum(getComputedStyle(e).color);
        return (Math.max(ink, ground) + 0.05) / (Math.min(ink, ground) + 0.05); }); }"""
    before = tab.evaluate("getComputedStyle(document.body).backgroundColor")
    assert min(tab.evaluate(contrast)) >= 4.5
    tab.locator("#theme").click()
    assert tab.evaluate("getComputedStyle(document.body).backgroundColor") != before
    assert min(tab.evaluate(contrast)) >= 4.5


def test_without_scripts_everything_is_there(browser: Any, page: Path) -> None:
    context = browser.new_context(java_script_enabled=False, offline=True)
    tab = context.new_page()
    tab.goto(page.as_uri())
    assert tab.locator("section:visible").count() == 9 + len(TASKS)
    context.close()


@pytest.mark.browser
def test_a_figure_is_taken_as_svg_and_png(open_page: Any, tmp_path: Path) -> None:
    tab = open_page("#charts")
    tab.wait_for_selector(".active .take button >> text=SVG")
    for kind in ("SVG", "PNG"):
        with tab.expect_download() as saved:
            tab.locator(".active .take button", has_text=kind).first.click()
        assert saved.value.suggested_filename.endswith(f".{kind.lower()}")
        saved.value.save_as(tmp_path / kind)
    drawing = ElementTree.parse(tmp_path / "SVG").getroot()
    assert drawing.tag == "{http://www.w3.org/2000/svg}svg"
    words = " ".join(drawing.itertext())
    assert "wikitext2" in words
    assert "openai-gpt" in words
    data = (tmp_path / "PNG").read_bytes()
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", data[16:24])
    assert (width / float(drawing.get("width", 0)), height / float(drawing.get("height", 0))) == (3, 3)

"""Figures as files for a paper: those of the page, in its colours, with its numbers."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from gpteval.core.errors import OutputError, UsageError
from gpteval.report import build_report
from gpteval.report.paper_figures import COLOURS, figures_of, paper, write_figures
from tests.conftest import CHECKOUT, RunCli
from tests.report_runs import TASKS, run  # noqa: F401  (fixture)

SVG = "{http://www.w3.org/2000/svg}"


def test_the_colours_are_those_of_the_light_page() -> None:
    light = (CHECKOUT / "reports/leaderboard/style.css").read_text().partition("}")[0]
    assert dict(re.findall(r"--(\w+): (#\w+);", light)).items() >= COLOURS.items()


def test_they_are_the_figures_of_the_page(run: Path, tmp_path: Path) -> None:
    page = build_report([run], tmp_path / "r.html").read_text()
    found = re.search(r'id="figures">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    on_the_page: dict[str, Any] = json.loads(found[1])
    files = figures_of([run])
    assert {name.removeprefix("charts-") for name in files} == set(on_the_page)
    for name, one in files.items():
        same = on_the_page[name.removeprefix("charts-")]
        drawn = paper(one)
        for theirs, ours in zip(same["data"], drawn["data"], strict=True):
            assert json.loads(json.dumps([ours["x"], ours["y"]])) == [theirs["x"], theirs["y"]]
            assert ours["marker"]["color"] in COLOURS.values()
        assert drawn["layout"]["width"] > 0


@pytest.mark.browser
def test_svg_and_pdf_are_written(run: Path, tmp_path: Path, in_process: RunCli) -> None:
    pytest.importorskip("kaleido")
    if not (shutil.which("chromium") or shutil.which("google-chrome")):
        pytest.skip("no Chromium on this machine; on Debian: apt-get install chromium")
    done = in_process("report", run, "--figures", tmp_path / "f")
    assert done.returncode == 0, done.stderr
    files = list(map(Path, done.stdout.split()))
    assert sorted(files) == sorted((tmp_path / "f").iterdir())
    assert {file.suffix for file in files} == {".svg", ".pdf"}
    drawing = ElementTree.parse(tmp_path / "f" / "charts-qa.svg")
    texts = {"".join(element.itertext()) for element in drawing.iter(f"{SVG}text")}
    (task,) = (name for name, family, _ in TASKS if family == "qa")
    assert any(task in text for text in texts)
    assert all(file.read_bytes().startswith(b"%PDF") for file in files if file.suffix == ".pdf")
    again = in_process("report", run, "--figures", tmp_path / "f")
    assert again.returncode != 0
    assert "already exists" in again.stderr, "nothing is written over"


def test_what_stands_in_the_way_is_told(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("plotly.io.write_images", lambda *arguments, **options: 1 / 0)
    with pytest.raises(OutputError, match="cannot be drawn") as caught:
        write_figures([run], tmp_path / "f")
    assert "Chromium" in str(caught.value.hint)
    assert list((tmp_path / "f").iterdir()) == [], "so the same command may be given again"
    monkeypatch.setattr("gpteval.report.paper_figures.find_spec", lambda name: None)
    with pytest.raises(UsageError, match="need kaleido"):
        write_figures([run], tmp_path / "f")

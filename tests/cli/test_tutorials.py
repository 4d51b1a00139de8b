"""The tutorials run as they stand, and end with what they promise."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests import forks
from tests.api_runs import KEY, MODEL
from tests.api_server import ApiServer
from tests.conftest import CHECKOUT

TUTORIALS = CHECKOUT / "docs" / "tutorials"


def follow(name: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """What a person sees who follows it into ``folder / "out"``."""
    (folder / "bin").mkdir()
    (folder / "bin" / "gpteval").write_text(f'#!/bin/sh\nexec {forks.start()} -m gpteval "$@"\n')
    (folder / "bin" / "gpteval").chmod(0o755)
    path = f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
    command = ["bash", str(TUTORIALS / name), str(folder / "out")]
    env = {**os.environ, "PATH": path, "COLUMNS": "100", **variables}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done


def test_each_is_followed_here() -> None:
    followed = re.findall(r'follow\("([^"]+)"', Path(__file__).read_text())
    assert {path.name for path in TUTORIALS.iterdir()} == {*followed, "README.md"}


@pytest.mark.browser
def test_an_own_task_with_an_own_metric_from_a_csv_to_a_table_and_figures(tmp_path: Path) -> None:
    if shutil.which("chromium") is None:
        pytest.skip("Chromium, which draws figures for a paper, is not installed")
    done = follow("own-task.sh", tmp_path)
    table = (tmp_path / "out" / "capitals.tex").read_text()
    assert "\\toprule" in table
    assert table.count("first\\_letter") == 2
    rows = json.loads((tmp_path / "out" / "run" / "results.json").read_text())["results"]
    values = [row["value"] for row in rows if (row["metric"], row["shots"]) == ("first_letter", 0)]
    assert len(values) == 5
    assert all(re.search(rf"{value:.3f}", table) for value in values)
    figures = sorted((tmp_path / "out" / "figures").glob("*.pdf"))
    assert [file.name for file in figures if file.read_bytes().startswith(b"%PDF")] == [file.name for file in figures]
    assert "charts-qa.pdf" in {file.name for file in figures}
    assert "first_letter 0" in done.stdout, "samples that are wrong"


def test_a_trainings_gate_fails_when_it_should(tmp_path: Path) -> None:
    done = follow("training-gate.sh", tmp_path, STEPS="8")
    assert done.stdout.endswith("the gate holds where it should, and fails where it should\n")
    failures = re.findall(r"(?m)^FAILED: (.*)$", done.stderr)
    assert any("nano_topic (0-shot): 0" in line and line.endswith("is not >= 0.99") for line in failures)
    assert any(line.endswith("is not <= 0.01") for line in failures)
    assert any("its interval" in line for line in failures)
    assert any("may be worse than gpt1-nano" in line for line in failures)
    assert any("has no result: task gone" in line for line in failures)
    suite = ElementTree.parse(tmp_path / "out" / "gates.xml").getroot()
    assert (suite.get("tests"), suite.get("failures")) == ("1", "0")


def test_a_base_and_a_chat_model_under_one_budget(tmp_path: Path, server: ApiServer) -> None:
    variables = {"SERVER": server.url, "OPENAI_API_KEY": KEY, "BASE": MODEL, "CHAT": MODEL}
    done = follow("budget.sh", tmp_path, **variables)
    assert "--max-cost 0.0005 is reached" in done.stderr
    rows = json.loads((tmp_path / "out" / "run" / "results.json").read_text())["results"]
    spent = sum(row["dollars"] for row in rows if row["primary"])
    at_most = re.search(r"In all: .* at most ([\d.]+) dollars", done.stdout)
    assert at_most
    assert 0.0005 < spent < float(at_most[1])
    assert {row["model"] for row in rows} == {f"completions:{MODEL}", f"openai:{MODEL}"}
    assert (tmp_path / "out" / "report.html").stat().st_size > 100_000

"""The program as a person starts it, for the fast lane too."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.conftest import RunCli


def test_a_run_its_report_and_its_comparison(in_process: RunCli, tmp_path: Path) -> None:
    out = tmp_path / "r"
    asked = ["--models", "gpt1-nano,gpt2-nano", "--tasks", "nano_topic", "--limit", "5", "--out", str(out)]
    command = [sys.executable, "-m", "gpteval", "run", *asked]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stderr
    assert "2 of 2 results" in done.stderr
    assert (out / "report.html").stat().st_size > 100_000
    listed = in_process("report", out, "--json")
    assert {row["model"] for row in json.loads(listed.stdout)} == {"gpt1-nano", "gpt2-nano"}
    compared = in_process("compare", out, "--json")
    assert compared.returncode == 0, compared.stderr
    assert json.loads(compared.stdout)["pairs"][0]["figure"]["n"] == 5

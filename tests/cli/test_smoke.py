"""The program as it is started: three commands in processes of their own, for the fast lane too."""

from __future__ import annotations

import json
from pathlib import Path

from tests.conftest import RunCli


def test_a_run_its_report_and_its_comparison(run_cli: RunCli, tmp_path: Path) -> None:
    out = tmp_path / "r"
    done = run_cli("run", "--models", "gpt1-nano,gpt2-nano", "--tasks", "nano_topic", "--limit", 5, "--out", out)
    assert done.returncode == 0, done.stderr
    assert "2 of 2 results" in done.stderr
    assert (out / "report.html").stat().st_size > 100_000
    listed = run_cli("report", out, "--json")
    assert {row["model"] for row in json.loads(listed.stdout)} == {"gpt1-nano", "gpt2-nano"}
    compared = run_cli("compare", out, "--json")
    assert compared.returncode == 0, compared.stderr
    assert json.loads(compared.stdout)["pairs"][0]["figure"]["n"] == 5

"""Tables for other programs: equal to results.json, and harmless where they are opened."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

from gpteval.core.errors import StoreError, UnknownNameError, UsageError
from gpteval.core.tables import to_csv, to_latex, to_markdown
from gpteval.report.export import FIELDS, export
from tests.conftest import RunCli


def result(model: str, task: str, value: float | None, **more: Any) -> dict[str, Any]:
    row = {"model": model, "generation": "gpt2", "n_params": 124, "task": task, "family": "qa", "shots": 0}
    row |= {
        "metric": "acc",
        "primary": True,
        "higher_is_better": True,
        "value": value,
        "chance": 0.5,
        "n": 30,
    }
    row |= {"protocol": "zero_shot", "profile": "gpteval", "ci_low": None, "ci_high": None, "stderr": None}
    return row | {"coverage": 1.0, "truncated": 0, "seconds": 1.0, "tokens": 9, "notes": ["a", "b"]} | more


@pytest.fixture
def run(tmp_path: Path) -> Path:
    rows = [
        result("gpt2", "piqa", 0.1 + 0.2),
        result("gpt2", "boolq", None),
        result("=cmd|'/c calc'!A1", "piqa", 0.75),
        result("gpt2", "piqa", 0.5, metric="acc_char", primary=False),
    ]
    (tmp_path / "results.json").write_text(json.dumps({"schema": 1, "results": rows, "failures": []}))
    return tmp_path


def parsed(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text)))


def test_the_full_csv_equals_results_json(run: Path) -> None:
    header, *rows = parsed(export([run], "csv", full=True))
    expected = json.loads((run / "results.json").read_text())["results"]
    assert header == list(FIELDS)
    values = [row[header.index("value")] for row in rows]
    assert [float(v) if v else None for v in values] == [r["value"] for r in expected]
    assert rows[0][header.index("notes")] == "a; b"
    assert rows[3][header.index("primary")] == "false"


def test_the_leaderboard_has_a_row_a_model_and_only_primary_metrics(run: Path) -> None:
    header, *rows = parsed(export([run], "csv"))
    assert header == ["model", "generation", "n_params", "centred", "boolq (0-shot) acc", "piqa (0-shot) acc"]
    by_model = {row[0]: row for row in rows}
    assert by_model["gpt2"][4:] == ["", str(0.1 + 0.2)]
    assert float(by_model["gpt2"][3]) == pytest.approx(-0.4), "a negative number stays one"
    assert set(by_model) == {"gpt2", "'=cmd|'/c calc'!A1"}


@pytest.mark.parametrize("cell", ["=1+1", "+cmd", "-x", "@SUM(A1)", " =1+1", "\t=1", "-1+1", "+1e5x", "\n=1", "\r=1"])
def test_no_cell_is_a_formula(cell: str) -> None:
    assert parsed(to_csv([[cell]]))[0][0].startswith("'")


@pytest.mark.parametrize("cell", ["-0.4", "+3", "1e-05", "-1.5E+3", "12", ".5", "a=b", "", "GPT-2", "a-b"])
def test_numbers_and_plain_words_stay_as_they_are(cell: str) -> None:
    assert parsed(to_csv([[cell, "x"]])) == [[cell, "x"]]


def test_every_line_end_in_a_cell_is_one_that_readers_take() -> None:
    assert parsed(to_csv([["a\rb\r\nc", "x"]])) == [["a\nb\nc", "x"]]


def test_csv_keeps_commas_quotes_and_lines_in_their_cell() -> None:
    row = ['a,"b"', "two\nlines", "\u202eabc", "é"]
    assert parsed(to_csv([row])) == [['a,"b"', "two\nlines", "\ufffdabc", "é"]]


def test_a_markdown_cell_cannot_leave_its_cell_or_become_markup() -> None:
    hostile = "a|b\n| c | <img src=x onerror=alert(1)> [x](javascript:1) `d` \\| x_y"
    text = to_markdown([["model", "value"], [hostile, "-1.5"]])
    lines = text.splitlines()
    assert len(lines) == 3
    assert lines[1] == "| --- | ---: |"
    assert lines[2].replace("\\\\", "").replace("\\|", "").count("|") == 3
    assert "&lt;img" in text
    assert "\\[x\\](" in text
    assert "<" not in text
    assert "x_y" in text, "names keep their underscores"
    assert lines[2].endswith("| -1.5 |")


def test_control_characters_and_lone_surrogates_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "results.json").write_text(json.dumps({"results": [result("a\ud800\x00b", "piqa", 0.5)]}))
    for kind in ("csv", "md"):
        text = export([tmp_path], kind, full=True)
        assert "a\ufffd\ufffdb" in text
        text.encode("utf-8")


def test_what_cannot_be_exported_is_refused(run: Path, tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="cvs"):
        export([run], "cvs")
    with pytest.raises(UsageError, match="not the folder of a run"):
        export([tmp_path / "nothing"])
    (tmp_path / "results.json").write_text("{")
    with pytest.raises(StoreError, match=r"results\.json"):
        export([tmp_path])


def test_latex_sets_every_name_as_it_is() -> None:
    table = [["model", "score"], [r"a_b & 50% \input{x}", "0.25"], ["two\nlines", ""]]
    begin, *lines, end, _ = to_latex(table).split("\n")
    assert (begin, end) == (r"\begin{tabular}{lr}", r"\end{tabular}")
    assert r"a\_b \& 50\% \textbackslash{}input\{x\} & 0.25 \\" in lines
    assert r"two lines &  \\" in lines


def test_json_has_the_numbers_themselves(run: Path) -> None:
    rows = json.loads(export([run], "json", full=True))
    stored = json.loads((run / "results.json").read_text())["results"]
    assert rows == [{name: row.get(name) for name in FIELDS} for row in stored]
    board = json.loads(export([run], "json"))
    assert [row["piqa (0-shot) acc"] for row in board if row["model"] == "gpt2"] == [0.1 + 0.2]
    assert [row["boolq (0-shot) acc"] for row in board] == [None, None]


def test_the_command_prints_a_table_or_writes_it(run: Path, tmp_path: Path, run_cli: RunCli) -> None:
    for form in ("csv", "md", "latex", "json"):
        done = run_cli("report", str(run), "--format", form)
        assert done.returncode == 0, done.stderr
        assert done.stdout == export([run], form)
    out = tmp_path / "board.csv"
    assert run_cli("report", str(run), "--format", "csv", "--full", "--out", str(out)).stdout.strip() == str(out)
    assert out.read_text() == export([run], "csv", full=True)
    again = run_cli("report", str(run), "--format", "md", "--out", str(out))
    assert (again.returncode, "already exists" in again.stderr) == (2, True)
    assert out.read_text() == export([run], "csv", full=True), "nothing is written over"


@pytest.mark.parametrize(("options", "told"), [(["--format", "xml"], "csv"), (["--full"], "--format")])
def test_what_the_command_cannot_do(run: Path, run_cli: RunCli, options: list[str], told: str) -> None:
    done = run_cli("report", str(run), *options)
    assert done.returncode == 2
    assert told in done.stderr

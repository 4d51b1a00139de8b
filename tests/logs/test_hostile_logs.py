"""Logs that are cut, huge, malformed or doubled: told with file and line, or the item counted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gpteval.core.errors import GptevalError
from gpteval.logs.parsing import LogError
from gpteval.store.runs import read_runs
from tests.lm_eval_logs import DATE, choice, generation, write_log


def _log(folder: Path, lines: list[str]) -> Path:
    log = write_log(folder, {"t": []})
    (log / f"samples_t_{DATE}.jsonl").write_text("".join(lines), encoding="utf-8", errors="surrogatepass")
    return log


def _line(n: int, **more: Any) -> str:
    return json.dumps(choice(n, [-1.0, -2.0], **more)) + "\n"


@pytest.mark.parametrize(
    ("last", "told"),
    [
        ('{"doc_id": 3, "targ', rf"samples_t_{DATE}\.jsonl, line 3 is not JSON: .*was the log cut\?"),
        ("[1, 2]\n", "line 3 holds list, not dict"),
        ("\0\0\0\n", "line 3 is not JSON"),
        ('{"a": ' * 100_000 + "\n", "line 3 is not JSON"),
    ],
)
def test_what_is_no_line_is_told_with_its_place(tmp_path: Path, last: str, told: str) -> None:
    with pytest.raises(LogError, match=told):
        read_runs(str(_log(tmp_path / "log", [_line(0), _line(1), last])))


def test_a_line_of_a_hundred_megabytes_is_not_held(tmp_path: Path) -> None:
    log = _log(tmp_path / "log", [_line(0)])
    with (log / f"samples_t_{DATE}.jsonl").open("a") as handle:
        handle.write('{"doc": "')
        for _ in range(100):
            handle.write("x" * 2**20)
        handle.write('"}\n')
    with pytest.raises(LogError, match="line 2 is longer than 64 MiB"):
        read_runs(str(log))


@pytest.mark.parametrize(
    "bad",
    [
        {"resps": [[["nan", "False"]], [["-1", "False"]]]},
        {"resps": [[["minus one", "False"]], [["-1", "False"]]]},
        {"resps": []},
        {"target": "7"},
        {"target": None},
        {"arguments": []},
        {"arguments": {"gen_args_0": {"arg_0": 5, "arg_1": " x"}}},
        {"acc": "NaN", "metrics": ["acc"]},
    ],
)
def test_one_bad_item_of_many_is_counted_and_told_and_too_many_fail(tmp_path: Path, bad: dict[str, Any]) -> None:
    good = [_line(n) for n in range(200)]
    (row,) = read_runs(str(_log(tmp_path / "one", [*good, _line(200, **bad)]))).merged.rows
    if bad.get("acc"):  # the item is fine, its number is none
        assert row["n"] == 201
        return
    assert row["n"] == 200
    (told,) = [note for note in row["notes"] if "cannot be read" in note]
    assert f"samples_t_{DATE}.jsonl, line 201" in told
    with pytest.raises(GptevalError, match="3 of 5 items of t cannot be read"):
        read_runs(str(_log(tmp_path / "many", good[:2] + [_line(200 + n, **bad) for n in range(3)])))


def test_numbers_as_text_doubled_items_and_strange_characters(tmp_path: Path) -> None:
    lines = [_line(0), _line(0), json.dumps(generation(1, "a\0b\ud800c\x1b[31m", "x")) + "\n"]
    log = _log(tmp_path / "log", lines)
    rows = {row["metric"]: row for row in read_runs(str(log)).merged.rows}
    assert "1 items ask what another one asks" in rows["acc"]["notes"]


def test_paths_in_names_stay_in_the_folder(tmp_path: Path) -> None:
    log = write_log(tmp_path / "log", {"..%2f..": []}, model="../../etc/passwd")
    file = log / f"samples_..evil_{DATE}.jsonl"
    file.write_text(_line(0) + _line(1))
    before = sorted(tmp_path.rglob("*"))
    (row,) = read_runs(str(log)).merged.rows
    assert "/" not in row["task"]
    assert ".." not in row["task"]
    assert sorted(tmp_path.rglob("*")) == before


def test_nothing_of_an_empty_log(tmp_path: Path) -> None:
    with pytest.raises(GptevalError, match="no results"):
        _ = read_runs(str(_log(tmp_path / "log", []))).merged


def test_numbers_that_a_metric_cannot_have_are_no_scores(tmp_path: Path) -> None:
    good = [_line(n) for n in range(200)]
    (row,) = read_runs(str(_log(tmp_path / "one", [*good, _line(200, acc=0.5)]))).merged.rows
    assert row["n"] == 200
    assert any("item 201: acc is 0.5" in note for note in row["notes"])
    with pytest.raises(GptevalError, match=r"cannot be read: item 1: acc is 75"):
        read_runs(str(_log(tmp_path / "percent", [_line(n, acc=75.0) for n in range(3)])))


def test_a_metric_that_some_items_lack_is_told(tmp_path: Path) -> None:
    lines = [_line(n, metrics=["acc", "late"] if n else ["acc"], late=0.5) for n in range(6)]
    lines += [_line(n, metrics=["late"], late=0.5) for n in range(6, 8)]
    (row,) = read_runs(str(_log(tmp_path / "log", lines))).merged.rows
    assert "left out, as not every item has a number of them: late" in row["notes"]
    assert any("6 of 8 answers have this score" in note for note in row["notes"])

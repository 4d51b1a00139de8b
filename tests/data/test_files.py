"""People's own files: every kind, packed or not, with and without a byte-order mark; and what is refused."""

from __future__ import annotations

import gzip
import json
import os
import textwrap
from pathlib import Path
from typing import Any

import pandas
import pytest

from gpteval.core.errors import DataError
from gpteval.data.files import KINDS, read_file
from gpteval.data.sources import file
from gpteval.prompts.build import load_task
from gpteval.tasks.registry import tasks_in_file
from tests.conftest import RunCli

ROWS = [{"text": 'é, "x"\tand\nmore', "label": 0}, {"text": "NA", "label": 1}, {"text": "007", "label": -3}]
FRAME = pandas.DataFrame(ROWS)


def write(path: Path) -> Path:
    """``ROWS`` as a file of the kind that ``path`` names, made by pandas or json."""
    kind = path.suffixes[0]
    if kind == ".parquet":
        FRAME.to_parquet(path)
    elif kind in (".csv", ".tsv"):
        FRAME.to_csv(path, sep="," if kind == ".csv" else "\t", index=False)
    else:
        FRAME.to_json(path, orient="records", lines=kind != ".json", force_ascii=False)
    if path.suffix == ".gz" and kind == ".parquet":
        path.write_bytes(gzip.compress(path.read_bytes()))
    return path


@pytest.mark.parametrize("packed", ["", ".gz"])
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != ".txt"])
def test_every_kind_gives_the_rows_that_pandas_wrote(tmp_path: Path, kind: str, packed: str) -> None:
    rows, revision = read_file(write(tmp_path / f"my.rows{kind}{packed}".replace("my.rows", "rows")), "rows")
    assert rows == ROWS
    assert revision.startswith("sha256:")


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != ".parquet"])
def test_a_byte_order_mark_is_no_text(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"a{kind}"
    if kind == ".txt":
        path.write_text("text", encoding="utf-8-sig")
        assert read_file(path, "a")[0] == [{"text": "text"}]
        return
    path.write_bytes(b"\xef\xbb\xbf" + write(path).read_bytes())
    assert read_file(path, "a")[0] == ROWS


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.xlsx", b"x", r"a\.xlsx cannot be read: its suffix is '\.xlsx'"),
        ("a", b"x", "a cannot be read: its suffix is ''"),
        ("a.gz", b"x", "a.gz cannot be read: its suffix is ''"),
        ("a.csv", b"x,y\n1,2\n3\n", "a.csv, line 3 has 1 cells, but the first line 2"),
        ("a.csv", b"x,x\n1,2\n", "must name each column once"),
        ("a.csv", b"x;y\n1;2\n", "a.csv: its columns are separated by semicolons\n  separate them by commas"),
        ("a.csv", b"x\ty\n1\t2\n", "separated by tabs"),
        ("a.csv", b'x,y\n1,"2\n', "a.csv, line 2 cannot be read"),
        ("a.csv", "x\né\n".encode("latin1"), r"a.csv is not UTF-8: byte 0xe9 in line 2"),
        ("a.json", b'{"x": 1}', "not a JSON array of rows"),
        ("a.json", b'[{"x": 1}, 2]', "row 2 is not a JSON object"),
        ("a.json", b'[{"x": 1},\n{"x" 1}]', "a.json is not JSON: .* at line 2, column 6"),
        ("a.jsonl", b'{"x": 1}\n{"x": ' + b"9" * 5000 + b"}\n", "a.jsonl, line 2 holds JSON that cannot be read"),
        ("a.jsonl", b'{"x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}\n", "line 1 holds JSON that cannot be read"),
        ("a.jsonl.gz", b"plain", "a.jsonl.gz is not a whole gzip file"),
        ("a.jsonl.gz", gzip.compress(b'{"x": 1}' * 999, mtime=0)[:-9], "a.jsonl.gz is not a whole gzip file"),
        ("a.parquet", b"PAR1", "not a readable Parquet file"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        read_file(tmp_path / name, name)
    assert str(tmp_path) not in str(caught.value)


def test_a_parquet_column_that_is_no_text(tmp_path: Path) -> None:
    import pyarrow
    import pyarrow.parquet

    raw = pyarrow.array([b"\xff\xfe"], pyarrow.binary()).view(pyarrow.binary())
    column = pyarrow.StringArray.from_buffers(1, raw.buffers()[1], raw.buffers()[2])
    pyarrow.parquet.write_table(pyarrow.table({"text": column}), tmp_path / "a.parquet")
    with pytest.raises(DataError, match="a is not a readable Parquet file"):
        read_file(tmp_path / "a.parquet", "a")


TASK = """
from gpteval import Choice, file, task

@task(family="classification", source=file("pool.csv", train="more/train.jsonl"), shots_from="train", metric="acc")
def mine(item):
    return Choice(item["text"], [" a", " b"], gold=item["label"])
"""


def test_files_are_those_beside_the_task_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_process: RunCli
) -> None:
    folder = tmp_path / "my tasks"
    (folder / "more").mkdir(parents=True)
    (folder / "mine.py").write_text(textwrap.dedent(TASK))
    (folder / "pool.csv").write_text("text,label\nx,0\ny,1\n")
    (folder / "more" / "train.jsonl").write_text(json.dumps({"text": "z", "label": 1}))
    monkeypatch.chdir("/")
    (task,) = tasks_in_file(folder / "mine.py")
    data = load_task(task, shots=1)
    assert [dict(item) for item in data.items] == [{"text": "x", "label": 0}, {"text": "y", "label": 1}]
    assert [item["text"] for item in data.pool] == ["z"]
    monkeypatch.chdir(tmp_path)
    shown = in_process("show", "mine", "--shots", 1, "--task-dir", os.path.relpath(folder, tmp_path))
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.splitlines()[1] == "z b"


def test_a_file_that_nobody_calls_from_a_file_is_in_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.jsonl").write_text('{"x": 1}')
    monkeypatch.chdir(tmp_path)
    space: dict[str, Any] = {"file": file}
    exec("source = file('a.jsonl')", space)
    assert space["source"].load().rows == [{"x": 1}]

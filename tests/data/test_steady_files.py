"""Data files that change under a run, and packed ones that are a trap."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from gpteval.core.errors import DataError
from gpteval.data.files import read_file
from tests import forks
from tests.conftest import RunCli

COUNT = 200


def rows(count: int = COUNT, word: str = "text") -> list[dict[str, object]]:
    return [{"n": n, "text": f"{word} number {n:06d} " + "x" * 50} for n in range(count)]


def write(path: Path, what: list[dict[str, object]]) -> None:
    if ".parquet" in path.name:
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(what), path, row_group_size=20)
        return
    data = "".join(json.dumps(row) + "\n" for row in what).encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)


@pytest.fixture(autouse=True)
def lazily(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small files are read as large ones are."""
    monkeypatch.setattr("gpteval.data.lazy_rows.LARGE", 50)
    monkeypatch.setattr("gpteval.data.files.HELD", 100)


def _cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def _emptied(path: Path) -> None:
    path.write_bytes(b"")


def _other_rows(path: Path) -> None:
    write(path, rows(word="next"))


def _longer(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b'{"n": 1, "text": "more"}\n')


def _touched(path: Path) -> None:
    os.utime(path, ns=(1, 1))


@pytest.mark.parametrize("change", [_cut, _emptied, _other_rows, _longer, _touched])
@pytest.mark.parametrize("name", ["a.jsonl", "a.ndjson", "a.parquet"])
def test_a_file_that_changes_gives_no_more_rows(tmp_path: Path, name: str, change: Callable[[Path], None]) -> None:
    path = tmp_path / name
    write(path, rows())
    found, _ = read_file(path, name)
    assert found[0]["text"] == rows()[0]["text"]
    change(path)
    with pytest.raises(DataError, match=f"{name} changed while it was read"):
        _ = [found[place] for place in range(COUNT)]


@pytest.mark.parametrize("name", ["a.jsonl", "a.parquet", "a.jsonl.gz"])
def test_a_file_in_the_place_of_another_changes_nothing(tmp_path: Path, name: str) -> None:
    """The rows are those of the revision that was told: the old file is still open."""
    path = tmp_path / name
    write(path, rows())
    found, revision = read_file(path, name)
    write(tmp_path / f"new-{name}", rows(word="next"))
    (tmp_path / f"new-{name}").replace(path)
    assert [dict(row) for row in found] == rows()
    assert read_file(path, name)[1] != revision


def test_what_is_unpacked_stays(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl.gz", rows())
    found, _ = read_file(tmp_path / "a.jsonl.gz", "a")
    _emptied(tmp_path / "a.jsonl.gz")
    assert [dict(row) for row in found] == rows()


TASK = """
from gpteval import Choice, file, task

@task(family="qa", source=file("rows.jsonl"), metric="acc")
def mine(item):
    return Choice(item["text"], [" a", " b"], gold=0)
"""
RUN = """
import os, sys
from pathlib import Path
import gpteval.data.lazy_rows as rows
import gpteval.prompts.items as items
rows.LARGE = items.LARGE = 50
from gpteval.run.evaluate import evaluate
from gpteval.run.units import Listener

path = Path(sys.argv[1]) / "rows.jsonl"

class Changing(Listener):
    def began(self, *args, **others):
        os.truncate(path, path.stat().st_size // 2)

asked = {"shots": 2, "limit": 100, "cache": False, "task_dirs": (path.parent,), "listener": Changing()}
made = evaluate("gpt2-nano", "mine", out=sys.argv[2], **asked)
print([failure.error for failure in made.failures], len(made.results))
"""


def test_a_run_stops_in_words_where_a_file_is_cut_under_it(tmp_path: Path) -> None:
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks" / "mine.py").write_text(TASK)
    write(tmp_path / "tasks" / "rows.jsonl", rows(2000))
    script = textwrap.dedent(RUN)
    done = forks.run([sys.executable, "-c", script, tmp_path / "tasks", tmp_path / "run"])
    assert done.returncode == 0, done.stderr
    assert "rows.jsonl changed while it was read" in done.stdout


@pytest.mark.parametrize("packed", [True, False])
def test_a_line_without_end_is_refused_by_its_number(
    tmp_path: Path, packed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gpteval.data.steady.LONGEST_LINE", 3 * 2**20)
    path = tmp_path / ("a.jsonl.gz" if packed else "a.jsonl")
    good = json.dumps({"text": "x" * (3 * 2**20 - 20)}).encode()
    long = json.dumps({"text": "x" * (3 * 2**20 + 20)}).encode()
    for lines, number in (([good, good], 0), ([good, long, good], 2), ([long], 1), ([good, good, long], 3)):
        data = b"\n".join(lines)
        path.write_bytes(gzip.compress(data, 1) if packed else data)
        if not number:
            assert len(read_file(path, "a")[0]) == 2
            continue
        with pytest.raises(DataError, match=f"line {number} is longer than 3 MiB"):
            read_file(path, "a")


BOMB = """
import sys
from pathlib import Path
from gpteval.core.errors import DataError
from gpteval.data.files import read_file
try:
    read_file(Path(sys.argv[1]), "bomb")
except DataError as error:
    print(error)
(most,) = [line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")]
print(int(most) // 1024)
"""


@pytest.mark.parametrize("name", ["a.jsonl.gz", "a.json.gz", "a.txt.gz"])
def test_a_packed_file_takes_no_more_memory_than_it_may(tmp_path: Path, name: str) -> None:
    """1.2 GB out of a few hundred KB."""
    path = tmp_path / name
    path.write_bytes(gzip.compress(b" " * 2**24) * 75)
    assert path.stat().st_size < 2 * 2**20
    done = subprocess.run(
        [sys.executable, "-c", BOMB, str(path)], capture_output=True, text=True, check=True, timeout=900
    )
    message, _, used = done.stdout.strip().rpartition("\n")
    assert "is longer than 64 MiB" in message or "unpacks to more than 1,024 MiB" in message
    assert int(used) < 300, "MiB"


@pytest.mark.parametrize("name", ["a.jsonl.gz", "a.csv.gz", "a.parquet.gz"])
def test_packed_files_give_their_rows(tmp_path: Path, name: str, in_process: RunCli) -> None:
    if name == "a.csv.gz":
        (tmp_path / name).write_bytes(gzip.compress(b"n,text\n1,a\n2,b\n"))
        assert [row["text"] for row in read_file(tmp_path / name, "a")[0]] == ["a", "b"]
        return
    write(tmp_path / name.removesuffix(".gz"), rows())
    (tmp_path / name).write_bytes(gzip.compress((tmp_path / name.removesuffix(".gz")).read_bytes()))
    assert [dict(row) for row in read_file(tmp_path / name, "a")[0]] == rows()

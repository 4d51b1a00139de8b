"""Nothing is overwritten or removed that gpteval did not make, whatever the command."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from gpteval.core.own import is_own
from tests.conftest import RunCli
from tests.made_runs import make_run, scores

RUN = ("--models", "gpt2-nano", "--tasks", "nano_topic", "--limit", 3, "--no-cache")
TEXTS = {
    "report.html": "<html><title>My thesis</title></html>",
    "results.json": '{"my": "results"}',
    "manifest.json": '["mine"]',
    "progress.json": '{"weight": 80}',
    "fewshot.json": '{"notes": 1}',
    ".lock": "my lock",
    "report.html.txt": "notes",
}


def everything(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _database(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE letters (text)")
        db.execute("INSERT INTO letters VALUES ('dear')")
        db.commit()


@pytest.mark.parametrize("name", [*TEXTS, "journal.sqlite", "work"])
@pytest.mark.parametrize(
    "command", [("run", *RUN), ("run", *RUN, "--executor", "folder"), ("fewshot", *RUN[:-1], "--shots", "0,1")]
)
def test_a_persons_files_stay(tmp_path: Path, name: str, command: tuple[object, ...], in_process: RunCli) -> None:
    """Either the command refuses, before anything is computed, or it has nothing to do with the file."""
    if "folder" in command and name != "work":
        pytest.skip("as for the other executors")
    folder = tmp_path / "mine"
    folder.mkdir()
    if name == "work":
        (folder / name / "waiting").mkdir(parents=True)
        (folder / name / "thesis.tex").write_text("years of it")
        (folder / name / "waiting" / "letter").write_text("dear")
    elif name == "journal.sqlite":
        _database(folder / name)
    else:
        (folder / name).write_text(TEXTS[name])
    before = everything(folder)
    done = in_process(*command, "--out", folder)
    after = everything(folder)
    assert {key: after.get(key) for key in before} == before
    harmless = {".lock", "report.html.txt"} | (set() if "folder" in command else {"work"})
    harmless |= {"fewshot.json"} if command[0] == "run" else set()
    if name in harmless:
        assert done.returncode == 0, done.stderr
    else:
        assert done.returncode != 0
        said = done.stderr + done.stdout
        assert "was not made by gpteval and is left as it is" in said
        assert "--out" in said
        assert not (folder / "samples").exists(), "before anything is computed"


def test_folders_of_ours_are_used_again(tmp_path: Path, in_process: RunCli) -> None:
    for _ in range(2):
        done = in_process("run", *RUN, "--out", tmp_path / "r")
        assert done.returncode == 0, done.stderr
    page = (tmp_path / "r" / "report.html").read_bytes()
    assert in_process("report", tmp_path / "r").returncode == 0
    (tmp_path / "r" / "report.html").write_bytes(page.replace(b"<!-- made by gpteval -->", b""))
    assert in_process("report", tmp_path / "r").returncode == 0, "of an earlier version, which had no mark"


@pytest.mark.parametrize("name", ["notes.html", "notes.txt", "data.json"])
@pytest.mark.parametrize("command", ["report", "lock"])
def test_outputs_with_a_name_of_ones_own(tmp_path: Path, name: str, command: str, in_process: RunCli) -> None:
    run = make_run(tmp_path / "run", {("gpt2", "piqa"): scores([1, 0])})
    (run / "manifest.json").write_text(json.dumps({"schema": 1, **json.loads((run / "manifest.json").read_text())}))
    path = tmp_path / name
    path.write_text("mine")
    done = in_process(command, run, "--out", path)
    assert (done.returncode != 0, path.read_text()) == (True, "mine")
    path.unlink()
    for _ in range(2 if path.suffix == (".html" if command == "report" else ".json") else 0):
        done = in_process(command, run, "--out", path)
        assert done.returncode == 0, done.stderr


def _own_lock(path: Path) -> None:
    path.write_text('{"gpteval_lock": 1}')


@pytest.mark.parametrize(
    ("name", "write", "own"),
    [
        ("a.html", lambda path: path.write_text(""), True),
        ("a.html", lambda path: path.write_text("<p>gpteval is fine</p>"), False),
        ("a.html", lambda path: path.write_text("x" * 10_000 + "<!-- made by gpteval -->"), True),
        ("a.html", lambda path: path.mkdir(), False),
        ("a.json", lambda path: path.write_text('{"schema": 1}'), True),
        ("a.json", lambda path: path.write_text("[" * 100_000), False),
        ("a.json", lambda path: path.write_bytes(b"\xff\xfe"), False),
        ("a.lock", _own_lock, True),
        ("a.lock", lambda path: path.write_text("poetry"), False),
        ("a.sqlite", _database, False),
        ("a.sqlite", lambda path: path.write_bytes(b"damaged"), True),
    ],
)
def test_whose_a_file_is(tmp_path: Path, name: str, write: Callable[[Path], object], own: bool) -> None:
    assert is_own(tmp_path / name)
    write(tmp_path / name)
    assert is_own(tmp_path / name) is own


def test_a_training_that_fails_takes_only_its_own_with_it(tmp_path: Path) -> None:
    from gpteval.tune.training import BEGUN, CHECKPOINTS, _leave

    (tmp_path / "out" / CHECKPOINTS / "checkpoint-1").mkdir(parents=True)
    (tmp_path / "out" / BEGUN).touch()
    (tmp_path / "out" / "notes.txt").write_text("mine")
    _leave(tmp_path / "out")
    assert everything(tmp_path / "out") == {"notes.txt": b"mine"}


def test_a_worker_takes_no_persons_files(tmp_path: Path, in_process: RunCli) -> None:
    (tmp_path / "work" / "waiting").mkdir(parents=True)
    (tmp_path / "work" / "waiting" / "letter").write_text("dear")
    done = in_process("worker", tmp_path, "--wait", 0.5)
    assert done.returncode == 2
    assert everything(tmp_path) == {"work/waiting/letter": b"dear"}

"""A run that ended well has nothing to do, and says so at once; whatever of it changes, it looks again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy
import pytest

from gpteval.core.opened import Opened, installed, unchanged
from gpteval.data.files import cache_root
from gpteval.run import finished
from tests.api_runs import MODEL
from tests.api_server import ApiServer, Fault
from tests.conftest import RunCli
from tests.tiny import save_tiny

TASK = '''
from pathlib import Path
from gpteval import Choice, file, task

WORDS = (Path(__file__).parent / "words.txt").read_text().split()

@task(family="qa", source=file("rows.jsonl"), metric="acc")
def words(row):
    """Which word."""
    return Choice(f"Number {row['number']}:", [f" {word}" for word in WORDS], gold=row["right"])
'''
PROGRAM = """
import sys
from gpteval.cli import _run
code = _run(sys.argv[1:])
print(*sorted({"torch", "transformers"} & set(sys.modules)), file=sys.stderr)
sys.exit(code)
"""
NOTHING = "nothing to do: 1 result is there"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model, a task, its rows, and words that its code reads."""
    save_tiny(tmp_path / "model")
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks" / "things.py").write_text(TASK)
    (tmp_path / "tasks" / "words.txt").write_text("dog sky fox")
    _rows(tmp_path, 6)
    return tmp_path


def _rows(folder: Path, count: int) -> None:
    rows = [json.dumps({"number": n, "right": n % 3}) + "\n" for n in range(count)]
    (folder / "tasks" / "rows.jsonl").write_text("".join(rows))


def _command(folder: Path, *more: str) -> list[str]:
    asked = ["--models", str(folder / "model"), "--tasks", "words", "--task-dir", str(folder / "tasks")]
    return ["run", *asked, "--out", str(folder / "out"), "--batch-tokens", "1000", *more]


def test_nothing_is_done_and_the_same_is_said(folder: Path, in_process: RunCli) -> None:
    first = in_process(*_command(folder))
    before = {path: path.stat().st_mtime_ns for path in (folder / "out").rglob("*")}
    program = [sys.executable, "-c", PROGRAM, *_command(folder)]
    again = subprocess.run(program, capture_output=True, text=True, timeout=600, check=True)
    assert "torch" not in again.stderr
    assert again.stdout == first.stdout != ""
    assert again.stderr.splitlines()[-4:] == [
        NOTHING,
        f"results: {folder / 'out' / 'results.json'}",
        f"report:  {folder / 'out' / 'report.html'}",
        "",
    ]
    assert {path: path.stat().st_mtime_ns for path in (folder / "out").rglob("*")} == before


def test_json_gives_the_document_again(folder: Path, in_process: RunCli) -> None:
    first, again = in_process(*_command(folder, "--json")), in_process(*_command(folder, "--json"))
    assert NOTHING in again.stderr
    assert json.loads(again.stdout) == json.loads(first.stdout)


def _appended(path: Path, text: str) -> None:
    with path.open("a") as file:
        file.write(text)


CHANGES: dict[str, Callable[[Path], object]] = {
    "rows": lambda folder: _rows(folder, 7),
    "the task's code": lambda folder: _appended(folder / "tasks" / "things.py", "\n"),
    "what its code reads": lambda folder: (folder / "tasks" / "words.txt").write_text("dog sky owl"),
    "a further task's file": lambda folder: (folder / "tasks" / "more.py").write_text(""),
    "a tokenizer's file": lambda folder: _appended(folder / "model" / "tokenizer.json", "\n"),
    "weights of the same size, with the time of before": lambda folder: _touched(folder / "model"),
    "a file of weights beside": lambda folder: (folder / "model" / "more.safetensors").write_bytes(b""),
    "a report that is gone": lambda folder: (folder / "out" / "report.html").unlink(),
    "samples that are gone": lambda folder: next((folder / "out" / "samples").iterdir()).unlink(),
    "results that were written to": lambda folder: _appended(folder / "out" / "results.json", "\n"),
}


def _touched(model: Path) -> None:
    (path,) = model.glob("*.safetensors")
    before = path.stat()
    path.write_bytes(path.read_bytes())
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_what_changed_is_looked_at(folder: Path, in_process: RunCli) -> None:
    in_process(*_command(folder))
    for what, change in CHANGES.items():
        assert NOTHING in in_process(*_command(folder)).stderr, f"before {what}"
        change(folder)
        again = in_process(*_command(folder))
        assert again.returncode == 0
        assert "1 of 1 result in " in again.stderr, what


def test_what_lies_elsewhere_is_heard_to_be_read(folder: Path, run_cli: RunCli) -> None:
    """Rows, a text that a task's code reads, and a module that it imports: nothing of which the command names."""
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()
    (folder / "tasks" / "rows.jsonl").rename(elsewhere / "rows.jsonl")
    (folder / "tasks" / "words.txt").rename(elsewhere / "words.txt")
    (elsewhere / "helping_hand.py").write_text("LEAD = 'Number'\n")
    code = TASK.replace('Path(__file__).parent / "words.txt"', f'Path("{elsewhere}/words.txt")')
    code = code.replace('file("rows.jsonl")', f'file("{elsewhere}/rows.jsonl")')
    (folder / "tasks" / "things.py").write_text("from helping_hand import LEAD\n" + code)

    def run() -> str:
        done = run_cli(*_command(folder, "--no-report"), env={"PYTHONPATH": str(elsewhere)})
        assert done.returncode == 0, done.stderr
        return str(done.stderr)

    run()
    for name in ("rows.jsonl", "words.txt", "helping_hand.py"):
        assert NOTHING in run(), f"before {name}"
        _appended(elsewhere / name, "\n")
        assert NOTHING not in run(), name


def test_a_further_checkpoint_is_looked_at(folder: Path, in_process: RunCli) -> None:
    command = _command(folder)
    command[command.index("--models") + 1] = str(folder / "step-*")
    (folder / "model").rename(folder / "step-1")
    in_process(*command)
    assert NOTHING in in_process(*command).stderr
    save_tiny(folder / "step-2", seed=1)
    again = in_process(*command)
    assert "2 of 2 results in " in again.stderr


def test_another_command_and_other_settings_are_looked_at(
    folder: Path, in_process: RunCli, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_process(*_command(folder))
    assert NOTHING not in in_process(*_command(folder, "--shots", "1")).stderr
    assert NOTHING not in in_process(*_command(folder)).stderr, "the folder has grown since"
    assert NOTHING in in_process(*_command(folder)).stderr
    monkeypatch.setenv("GPTEVAL_DATA", str(folder))
    assert NOTHING not in in_process(*_command(folder)).stderr
    assert NOTHING not in in_process(*_command(folder, "--retry-failed")).stderr
    monkeypatch.setattr(finished, "installed", lambda: "another library")
    assert NOTHING not in in_process(*_command(folder)).stderr


def test_what_changed_while_it_ran_is_looked_at(folder: Path, in_process: RunCli) -> None:
    """A task that writes into what it reads."""
    (folder / "tasks" / "things.py").write_text(TASK + "\n(Path(__file__).parent / 'words.txt').write_text('a b c')\n")
    for _ in range(2):
        assert NOTHING not in in_process(*_command(folder)).stderr


def test_a_failure_is_tried_again(folder: Path, in_process: RunCli) -> None:
    (folder / "tasks" / "rows.jsonl").write_text('{"number": 1}\n')
    for _ in range(2):
        assert in_process(*_command(folder)).returncode == 1


def test_an_item_without_an_answer_is_asked_again(
    tmp_path: Path, server: ApiServer, in_process: RunCli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gpteval.api.client.ATTEMPTS", 1)
    asked = ["run", "--models", f"openai:{MODEL}", "--base-url", server.url, "--tasks", "nano_en_fr", "--limit", "4"]
    command = [*asked, "--out", str(tmp_path / "out"), "--no-cache", "--in-flight", "1"]
    server.fault = lambda number, body: Fault(500) if number == 3 else None
    assert "1 item has no answer" in in_process(*command).stderr
    server.fault = lambda number, body: None
    again = in_process(*command)
    assert "1 of 1 result in" in again.stderr
    assert "no answer" not in again.stderr
    asked_before = len(server.seen)
    assert NOTHING in in_process(*command).stderr
    assert len(server.seen) == asked_before


def test_files_of_the_hub_are_asked_for_again_after_a_day(
    folder: Path, in_process: RunCli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model that lies as those of the Hub do."""
    cached = folder / "models--an-org--a-model" / "snapshots"
    cached.parent.mkdir()
    (folder / "model").rename(cached)
    (folder / "model").symlink_to(cached)
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    command = _command(folder)
    command[command.index("--models") + 1] = str(cached)
    in_process(*command)
    assert NOTHING in in_process(*command).stderr
    now = finished.time.time()
    monkeypatch.setattr(finished.time, "time", lambda: now + 25 * 3600)
    assert NOTHING not in in_process(*command).stderr


def test_without_a_place_to_keep_it_a_run_goes_on_as_before(folder: Path, in_process: RunCli) -> None:
    place = cache_root() / "finished"
    if place.exists():
        for file in place.iterdir():
            file.unlink()
        place.rmdir()
    place.write_text("no folder")
    try:
        for _ in range(2):
            done = in_process(*_command(folder))
            assert (done.returncode, NOTHING in done.stderr) == (0, False)
    finally:
        place.unlink()


def test_weights_beside_what_was_opened_are_held_for_read(tmp_path: Path) -> None:
    """As those of an adapter's base model, which libraries read without Python."""
    for name in ("config.json", "model.safetensors", "notes.log"):
        (tmp_path / name).write_text(name)
    time.sleep(0.02)  # so that they are older, whatever the clock of the disk
    with Opened() as opened:
        (tmp_path / "config.json").read_text()
        (tmp_path / "notes.log").write_text("written, not read")
    states = opened.states(without=())
    assert states is not None
    assert {Path(path).name for path in states if Path(path).parent == tmp_path} == {"config.json", "model.safetensors"}
    assert unchanged(states)
    (tmp_path / "notes.log").write_text("more")
    assert unchanged(states)
    (tmp_path / "model.safetensors").write_text("Model.safetensors")
    assert not unchanged(states)
    with Opened() as opened:
        (tmp_path / "config.json").write_text("changed while it was read")
        (tmp_path / "config.json").read_text()
    assert opened.states(without=()) is None


def test_which_libraries_are_installed_stays_while_some_are_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    """setuptools, among others, adds a place with further ones to those that Python looks in."""
    before = installed()
    vendored = [path for path in Path(numpy.__file__).parents[1].glob("setuptools/_vendor") if path.is_dir()]
    monkeypatch.setattr(sys, "path", [*sys.path, *map(str, vendored), str(Path(__file__).parent)])
    assert installed() == before

"""A lock: a run insists on the data and models that it names, and says what moved."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gpteval.core.errors import UsageError
from gpteval.run.evaluate import evaluate
from gpteval.run.lock import read_lock, write_lock
from gpteval.run.units import RunOutcome
from tests.conftest import RunCli
from tests.hub_server import HubServer, publish_dataset
from tests.tiny import save_tiny

TASKS = """
from gpteval import Choice, file, hub, task

@task(family="classification", source={source}, metric="acc")
def mine(item):
    return Choice(f"{{item['text']}} is", [" red", " blue"], gold=item["label"])
"""
ROWS = [{"text": f"word {n}", "label": n % 2} for n in range(8)]


def put(folder: Path, source: str = 'file("rows.jsonl")', rows: list[dict[str, Any]] = ROWS) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "mine.py").write_text(TASKS.format(source=source))
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def run(tmp_path: Path, name: str, locked: Path | None = None, tasks: str = "mine") -> RunOutcome:
    model = str(tmp_path / "tiny")
    return evaluate(model, tasks, task_dirs=(tmp_path / "tasks",), out=tmp_path / name, locked=locked, cache=False)


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    put(tmp_path / "tasks")
    save_tiny(tmp_path / "tiny", "gpt2")
    assert run(tmp_path, "first").failures == ()
    assert write_lock(tmp_path / "first", tmp_path / "gpteval.lock") == 2
    return tmp_path / "gpteval.lock"


def test_what_did_not_move_runs(tmp_path: Path, lock: Path) -> None:
    assert run(tmp_path, "second", lock).failures == ()
    assert str(tmp_path) not in lock.read_text(), "a lock can be published"


def test_data_that_moved_are_named(tmp_path: Path, lock: Path) -> None:
    put(tmp_path / "tasks", rows=ROWS[:-1])
    (failure,) = run(tmp_path, "second", lock).failures
    assert "task mine moved: revision was sha256:" in failure.error
    assert "gpteval lock" in failure.error


def test_a_model_that_moved_is_named(tmp_path: Path, lock: Path) -> None:
    save_tiny(tmp_path / "tiny", "gpt2", window=32)
    (failure,) = run(tmp_path, "second", lock).failures
    assert "model tiny moved: fingerprint was" in failure.error


def test_what_is_not_locked_is_named(tmp_path: Path, lock: Path) -> None:
    document = json.loads(lock.read_text())
    document["tasks"] = {}
    lock.write_text(json.dumps(document))
    (failure,) = run(tmp_path, "second", lock).failures
    assert "mine is not in the lock, which has nothing" in failure.error


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"gpteval_lock": 1}', '{"gpteval_lock": 2, "models": 3, "tasks": {}}']
)
def test_another_file_is_no_lock(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.lock").write_text(text)
    with pytest.raises(UsageError, match=r"x\.lock is not a lock file"):
        read_lock(tmp_path / "x.lock")
    with pytest.raises(UsageError, match="is not the folder of a run: it has no manifest.json"):
        write_lock(tmp_path / "nowhere", tmp_path / "y.lock")
    with pytest.raises(UsageError, match="cannot read the lock"):
        read_lock(tmp_path / "absent.lock")


def test_data_of_the_hub_are_read_at_the_locked_commit(hub_server: HubServer, tmp_path: Path, run_cli: RunCli) -> None:
    tiny, tasks = save_tiny(tmp_path / "tiny", "gpt2"), put(tmp_path / "tasks", 'hub("org/data", split="test")')
    old = publish_dataset(hub_server.root, "org/data", {"test": ROWS})
    command = ["run", "--models", tiny, "--tasks", "mine", "--task-dir", tasks, "--no-report", "--no-cache"]
    env = hub_server.env(tmp_path / "home")
    assert run_cli(*command, "--out", tmp_path / "first", env=env).returncode == 0
    done = run_cli("lock", tmp_path / "first", "--out", tmp_path / "my.lock")
    assert "2 models and tasks are locked" in done.stdout
    new = publish_dataset(hub_server.root, "org/data", {"test": ROWS[:4]})
    found = {}
    for name, options in (("locked", ["--locked", tmp_path / "my.lock"]), ("free", [])):
        done = run_cli(*command, *options, "--out", tmp_path / name, env=env)
        assert done.returncode == 0, done.stderr
        found[name] = json.loads((tmp_path / name / "manifest.json").read_text())["tasks"]["mine"]["revision"]
    assert found == {"locked": old, "free": new}

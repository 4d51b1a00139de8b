"""A task that was edited without a new version: what its answers were judged by is held, as is the pool of examples."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gpteval.core.errors import UsageError
from gpteval.run.evaluate import evaluate
from gpteval.run.lock import write_lock
from gpteval.run.units import RunOutcome
from gpteval.store.judged import judged_apart
from tests.conftest import RunCli
from tests.tiny import save_tiny

PLUGIN = """
from gpteval import Choice, Generate, file, task

@task(family="classification", source=file("rows.jsonl", train="train.jsonl"), metric="{metric}", shots_from="train",
      chance={chance})
def mine(item):
    return Choice(f"{{item['text']}} is", [" red", " blue"], gold={gold})

@task(family="qa", source=file("rows.jsonl"), metric="exact_match")
def written(item):
    return Generate(f"{{item['text']}} is", {references}, stop={stop}, max_new_tokens=4)
"""
FACTS = {
    "metric": "acc",
    "chance": 0.5,
    "gold": "item['label']",
    "references": "[str(item['label'])]",
    "stop": '["\\n"]',
}
ROWS = [{"text": f"word {n}", "label": n % 2} for n in range(24)]


def put(tmp_path: Path, train: int = 0, **changes: Any) -> Path:
    """Another folder each time, as for a new process: a module that was imported is not read again."""
    folder = tmp_path / f"tasks-{len(list(tmp_path.glob('tasks-*'))):02}"
    folder.mkdir()
    (folder / "mine.py").write_text(PLUGIN.format(**{**FACTS, **changes}))
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    pool = [{"text": f"thing {n}", "label": (n + train) % 2} for n in range(12)]
    (folder / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in pool))
    return folder


def run(tmp_path: Path, model: str, tasks: Any = "mine", out: str = "out", **settings: Any) -> RunOutcome:
    where = {"task_dirs": [max(tmp_path.glob("tasks-*"))], "out": tmp_path / out, "cache": False}
    return evaluate(str(tmp_path / model), tasks, **where, **settings)


@pytest.fixture(autouse=True)
def models(tmp_path: Path) -> None:
    for name in ("one", "other"):  # the same weights
        save_tiny(tmp_path / name, "gpt2")


CHANGES = [
    ("mine", {"gold": "1 - item['label']"}, "golds of 24 of 24 items"),
    ("mine", {"gold": "item['label'] if 'word 3' != item['text'] else 0"}, "golds of 1 of 24 items"),
    ("mine", {"chance": 0.25}, "what acc is, or its chance level"),
    ("written", {"references": "[str(item['label']), 'x']"}, "golds of 24 of 24 items"),
    ("written", {"stop": '["."]'}, "prompts of 24 of 24 items"),
]


@pytest.mark.parametrize(("task", "changes", "reason"), CHANGES)
def test_an_edited_task_in_one_folder(
    tmp_path: Path, in_process: RunCli, task: str, changes: dict[str, Any], reason: str
) -> None:
    put(tmp_path)
    run(tmp_path, "one", task)
    put(tmp_path, **changes)
    assert run(tmp_path, "other", task).failures == ()
    done = in_process("compare", tmp_path / "out")
    assert done.returncode != 0
    assert reason in " ".join(done.stderr.split())


@pytest.mark.parametrize(("task", "changes", "reason"), CHANGES[:4])
def test_it_is_told_when_it_happens_and_in_the_report(
    tmp_path: Path, in_process: RunCli, task: str, changes: dict[str, Any], reason: str
) -> None:
    suite = ("--tasks", task, "--out", tmp_path / "out", "--no-cache")
    in_process("run", "--models", tmp_path / "one", *suite, "--task-dir", put(tmp_path))
    edited = put(tmp_path, **changes)
    done = in_process("run", "--models", tmp_path / "other", *suite, "--task-dir", edited)
    told = f"{task} (0-shot) was not judged alike for one and other"
    assert told in " ".join(done.stderr.split())
    assert told in (tmp_path / "out" / "report.html").read_text()
    in_process("run", "--models", tmp_path / "one", *suite, "--task-dir", edited)  # again for all of them
    rows = json.loads((tmp_path / "out" / "results.json").read_text())["results"]
    assert judged_apart(rows) == []
    assert in_process("compare", tmp_path / "out").returncode == 0


def test_in_two_folders_with_different_limits(tmp_path: Path, in_process: RunCli) -> None:
    put(tmp_path)
    run(tmp_path, "one", out="a", limit=8)
    put(tmp_path, gold="1 - item['label']")
    run(tmp_path, "other", out="b", limit=16)
    done = in_process("compare", tmp_path / "a", tmp_path / "b")
    assert "golds of 8 of 8 items" in " ".join(done.stderr.split())
    forced = in_process("compare", tmp_path / "a", tmp_path / "b", "--force")
    assert forced.returncode == 0
    assert "golds of 8 of 8 items" in " ".join(forced.stdout.split())


def test_what_was_not_edited_is_compared(tmp_path: Path, in_process: RunCli) -> None:
    put(tmp_path)
    run(tmp_path, "one", ["mine", "written"], limit=8)
    run(tmp_path, "other", ["mine", "written"], out="b", limit=16)
    done = in_process("compare", tmp_path / "out", tmp_path / "b")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "changes",
    [
        {"gold": "1 - item['label']"},
        {"gold": "item['label'] if 'word 3' != item['text'] else 0"},
        {"chance": 0.25},
        {"metric": "acc_char"},
    ],
)
@pytest.mark.parametrize("limit", [None, 20])
def test_a_lock_insists_on_it(tmp_path: Path, changes: dict[str, Any], limit: int | None) -> None:
    put(tmp_path)
    run(tmp_path, "one", out="first")
    write_lock(tmp_path / "first", tmp_path / "x.lock")
    put(tmp_path, **changes)
    (failure,) = run(tmp_path, "one", out="second", locked=tmp_path / "x.lock").failures
    assert "task mine moved: its prompts, golds, stops, metrics or chance level are other ones" in failure.error
    put(tmp_path)
    assert run(tmp_path, "one", out="third", locked=tmp_path / "x.lock", limit=limit).failures == ()


def test_a_lock_of_a_written_task(tmp_path: Path) -> None:
    put(tmp_path)
    run(tmp_path, "one", "written", out="first")
    write_lock(tmp_path / "first", tmp_path / "x.lock")
    for number, changes in enumerate(({"stop": '["."]'}, {"references": "['x']"})):
        put(tmp_path, **changes)
        (failure,) = run(tmp_path, "one", "written", out=f"again{number}", locked=tmp_path / "x.lock").failures
        assert "task written moved: its prompts, golds" in failure.error


@pytest.mark.parametrize(
    ("first", "second", "held"), [(20, 7, 5), (7, 20, 7), (None, 5, 5), (5, None, 5), (None, 10, 10), (13, None, 13)]
)
def test_a_lock_holds_between_limits(tmp_path: Path, first: int | None, second: int | None, held: int) -> None:
    put(tmp_path)
    run(tmp_path, "one", out="first", limit=first)
    write_lock(tmp_path / "first", tmp_path / "x.lock")
    assert run(tmp_path, "one", out="same", limit=second, locked=tmp_path / "x.lock").failures == ()
    put(tmp_path, gold="1 - item['label']")
    (failure,) = run(tmp_path, "one", out="moved", limit=second, locked=tmp_path / "x.lock").failures
    assert f"({held} items were compared)" in failure.error


def test_items_that_cannot_be_held_to_the_lock(tmp_path: Path) -> None:
    put(tmp_path)
    run(tmp_path, "one", out="first", limit=8)
    write_lock(tmp_path / "first", tmp_path / "x.lock")
    (failure,) = run(tmp_path, "one", out="seed", limit=8, seed=5, locked=tmp_path / "x.lock").failures
    assert "moved" in failure.error
    document = json.loads((tmp_path / "x.lock").read_text())
    document["tasks"]["mine"]["identity"] = None
    (tmp_path / "x.lock").write_text(json.dumps(document))
    (failure,) = run(tmp_path, "one", out="none", limit=8, locked=tmp_path / "x.lock").failures
    assert "cannot be held to the lock's" in failure.error


def test_a_lock_holds_the_pool_of_examples(tmp_path: Path) -> None:
    put(tmp_path)
    run(tmp_path, "one", out="first", shots=2)
    write_lock(tmp_path / "first", tmp_path / "x.lock")
    assert run(tmp_path, "one", out="same", shots=2, locked=tmp_path / "x.lock").failures == ()
    put(tmp_path, train=1)  # all labels swapped
    (failure,) = run(tmp_path, "one", out="moved", shots=2, locked=tmp_path / "x.lock").failures
    assert "task mine moved: examples_revision was sha256:" in failure.error
    assert run(tmp_path, "one", out="none", shots=0, locked=tmp_path / "x.lock").failures == ()


def test_a_lock_without_examples_allows_none(tmp_path: Path) -> None:
    put(tmp_path)
    run(tmp_path, "one", out="first", shots=0)
    write_lock(tmp_path / "first", tmp_path / "x.lock")
    (failure,) = run(tmp_path, "one", out="shots", shots=2, locked=tmp_path / "x.lock").failures
    assert "examples_revision" in failure.error


def test_a_lock_of_an_earlier_version(tmp_path: Path) -> None:
    put(tmp_path)
    (tmp_path / "x.lock").write_text('{"gpteval_lock": 1, "models": {}, "tasks": {}}')
    with pytest.raises(UsageError, match="is of an earlier gpteval"):
        run(tmp_path, "one", locked=tmp_path / "x.lock")

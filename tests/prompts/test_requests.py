"""A prompt function is called once for an item, and data are read once, whatever asks for them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

import gpteval
from tests.tiny import save_tiny

ITEMS, POOL = 40, 60
TASK = f"""
from pathlib import Path
from gpteval import Choice, generated, task

def note(kind, what):
    with Path(__file__).with_name(kind).open("a") as file:
        file.write(f"{{what}}\\n")

def rows(split):
    note("reads", split)
    return [{{"n": n, "split": split}} for n in range({ITEMS} if split == "test" else {POOL})]

@task(family="qa", source=generated(rows, revision="1"), shots_from="train", metric="acc")
def counted(item):
    note("calls", f"{{item['split']}} {{item['n']}}")
    return Choice(f"{{item['n']}} is", [" even", " odd"], gold=item["n"] % 2)

@counted.template("other")
def _(item):
    note("others", f"{{item['split']}} {{item['n']}}")
    return Choice(f"Is {{item['n']}} even or odd? It is", [" even", " odd"], gold=item["n"] % 2)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks" / "counted.py").write_text(TASK)
    return tmp_path


def counted(folder: Path, kind: str) -> Counter[str]:
    path = folder / "tasks" / kind
    return Counter(path.read_text().splitlines() if path.exists() else [])


def run(folder: Path, **options: object) -> None:
    models = [str(save_tiny(folder / name)) for name in ("one", "two")]
    found = gpteval.evaluate(
        models, ["counted"], task_dirs=[folder / "tasks"], out=folder / "run", limit=None, device="cpu", **options
    )
    assert not found.failures


def test_once_an_item_without_examples(folder: Path) -> None:
    run(folder, shots=0)
    assert counted(folder, "calls") == Counter(f"test {n}" for n in range(ITEMS))
    assert counted(folder, "reads") == Counter(["test"])


def test_once_an_item_and_once_what_is_shown_of_the_pool(folder: Path) -> None:
    run(folder, shots=[0, 5])
    calls = counted(folder, "calls")
    assert set(calls.values()) == {1}
    assert {f"test {n}" for n in range(ITEMS)} <= set(calls)
    assert 5 < len(calls) - ITEMS <= POOL
    assert counted(folder, "reads") == Counter(["test", "train"])


def test_data_are_read_once_for_all_templates_and_letters(folder: Path) -> None:
    run(folder, shots=[0, 5], templates=["default", "other"], choices="both")
    for kind in ("calls", "others"):
        assert set(counted(folder, kind).values()) == {1}, kind
    assert counted(folder, "reads") == Counter(["test", "train"])

"""What tests of bad input and of the program share: plugins and commands."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gpteval.cli import _run
from gpteval.tasks.registry import task_registry
from tests.tiny import save_tiny

GOOD = """
from gpteval import Choice, generated, task
rows = [{"n": n} for n in range(6)]
@task(family="qa", source=generated(lambda split: rows, revision="1"), metric="acc")
def good(item):
    return Choice(f"the dog {item['n']} is", [" the fox", " a lazy sky"], gold=item["n"] % 2)
"""


HEAD = "import sys\nfrom gpteval import Choice, Generate, Rolling, generated, task\n"


def plugin(name: str, body: str, data: str = 'lambda split: [{"n": n} for n in range(6)]', metric: str = "acc") -> str:
    source = f'generated({data}, revision="1")'
    return f'{HEAD}@task(family="qa", source={source}, metric="{metric}")\ndef {name}(item):\n    {body}\n'


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("m") / "tiny")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder with a task folder ``t`` in it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "t").mkdir()
    (tmp_path / "t" / "good.py").write_text(GOOD)
    return tmp_path


Go = Callable[..., int]


@pytest.fixture
def go(model: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Go:
    """``gpteval run`` in this process; returns its exit code."""

    def run(tasks: str = "good", *more: str) -> int:
        task_registry.cache_clear()
        arguments = ["run", "--models", str(model), "--tasks", tasks, "--task-dir", "t", "--out", "r", *more]
        monkeypatch.setattr(sys, "argv", ["gpteval", *arguments])
        return _run(arguments)

    return run


def results(folder: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((folder / "r" / "results.json").read_text())
    return document

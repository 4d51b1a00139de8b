"""Tasks and models of runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gpteval.engine.engine import Engine
from gpteval.run.evaluate import evaluate
from tests.tiny import save_tiny

TASKS = '''
from pathlib import Path
from gpteval import Choice, Generate, Rolling, file, task

HERE = Path(__file__).parent

@task(family="classification", source=file(HERE / "rows.jsonl"), metric="acc", metrics=["macro_f1"])
def colours(item):
    """Which word comes next."""
    return Choice(f"{item['text']} is", [" red", " blue sky", " green"], gold=item["label"])

@task(family="lm", source=file(HERE / "rows.jsonl"), metric="bits_per_byte")
def texts(item):
    return Rolling(item["text"])

@task(family="translation", source=file(HERE / "rows.jsonl"), metric="bleu", metrics=["chrf"])
def copies(item):
    return Generate(f"{item['text']}\\nCopy:", [item["text"]], max_new_tokens=6)

@task(family="qa", source=file(HERE / "missing.jsonl"), metric="exact_match")
def missing(item):
    return Generate(item["text"], ["x"])

@task(family="qa", source=file(HERE / "rows.jsonl"), metric="exact_match")
def wrong_column(item):
    return Generate(item["no such column"], ["x"])

@task(family="qa", source=file(HERE / "empty.jsonl"), metric="exact_match")
def empty_data(item):
    return Generate(item["text"], ["x"])
'''


GOOD = ("colours", "texts", "copies")


@pytest.fixture(scope="module")
def task_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tasks")
    (folder / "things.py").write_text(TASKS)
    rows = [{"text": f"The quick dog number {n} jumps over {n % 7} lazy foxes", "label": n % 3} for n in range(40)]
    (folder / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (folder / "empty.jsonl").write_text("\n")
    return folder


@pytest.fixture(scope="module")
def model_a(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(save_tiny(tmp_path_factory.mktemp("m") / "model-a", "gpt2", seed=1))


def run(models: list[str], tasks: tuple[str, ...], out: Path, task_dir: Path, **settings: Any) -> dict[str, Any]:
    evaluate(models, tasks, out=out, device="cpu", task_dirs=(task_dir,), **settings)
    document: dict[str, Any] = json.loads((out / "results.json").read_text())
    return document


def without_timings(document: dict[str, Any]) -> dict[str, Any]:
    rows = [{k: v for k, v in row.items() if k != "seconds"} for row in document["results"]]
    return document | {"results": rows, "run": document["run"] | {"name": ""}}


@pytest.fixture
def forwards(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of rows in each batch that went through a model."""
    counted: list[int] = []
    begin = Engine.begin

    def count(self: Engine, rows: Any) -> Any:
        counted.append(len(rows))
        return begin(self, rows)

    monkeypatch.setattr(Engine, "begin", count)
    return counted

"""A tuned model's folder behind ``transformers serve``, and that server evaluated again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gpteval.backends.api_options import ApiOptions
from gpteval.models.catalogue import resolve_models
from gpteval.models.loader import LoadOptions
from gpteval.run.evaluate import evaluate
from gpteval.tasks.registry import task_registry
from gpteval.tune.settings import Settings
from gpteval.tune.training import tune
from tests.serving import served
from tests.tiny import save_tiny

TASK = '''
from gpteval import Generate, file, task

@task(family="qa", source=file("test.jsonl", train="train.jsonl"), shots_from="train", metric="exact_match")
def who(item):
    """Who jumps."""
    return Generate(f"{item['text']}. Who?", [f" the {item['who']}"], max_new_tokens=6, stop=["\\n"])
'''


def test_a_tuned_model_is_served_and_evaluated_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("fastapi")
    pytest.importorskip("uvicorn")
    tasks = tmp_path / "tasks"
    tasks.mkdir()
    (tasks / "who.py").write_text(TASK)
    for split, begin, end in (("train", 0, 240), ("test", 240, 264)):
        rows = [
            {"text": f"{n} the {who} jumps", "who": who}
            for n in range(begin, end)
            for who in ["fox dog".split()[n % 2]]
        ]
        (tasks / f"{split}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (base,) = resolve_models([str(save_tiny(tmp_path / "base"))])
    folder = tmp_path / "tuned"
    tune(
        base, task_registry((tasks,))["who"], folder, Settings(learning_rate=1e-2, epochs=6), LoadOptions(device="cpu")
    )

    monkeypatch.setenv("OPENAI_API_KEY", "none is asked for")
    with served(folder, tmp_path / "log") as url:
        outcome = evaluate(
            [str(folder), f"openai:{folder}"],
            "who",
            out=tmp_path / "run",
            device="cpu",
            task_dirs=(tasks,),
            api=ApiOptions(base_url=url),
        )
    assert not outcome.failures
    here, there = [
        row for row in json.loads((tmp_path / "run" / "results.json").read_text())["results"] if row["primary"]
    ]
    assert here["value"] > 0.8, "it has learned its task"
    assert there["value"] == here["value"]
    assert there["n"] == here["n"] == 24

"""Tasks run on data that lie as the Hub's do, with the columns that the data sets have there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gpteval.run.evaluate import evaluate
from tests.tiny import save_tiny

NAMES = ("oak", "elm", "ash", "fir", "yew", "box")
ROWS: dict[str, tuple[str, str, list[dict[str, Any]]]] = {
    "arc_challenge": (
        "allenai/ai2_arc/ARC-Challenge/{}.jsonl",
        "test train",
        [
            {
                "id": f"M_{n}",
                "question": f"Which tree is number {n}?",
                "choices": {"text": ["oak", "elm", name], "label": ["1", "2", "3"] if n % 2 else ["A", "B", "C"]},
                "answerKey": "3" if n % 2 else "C",
            }
            for n, name in enumerate(NAMES)
        ],
    ),
    "winogrande": (
        "allenai/winogrande/winogrande_xl/{}.jsonl",
        "validation train",
        [
            {
                "sentence": f"The {name} shades the stone: _ is tall.",
                "option1": name,
                "option2": "stone",
                "answer": "1",
            }
            for name in NAMES
        ],
    ),
    "nq_open": (
        "google-research-datasets/nq_open/default/{}.jsonl",
        "validation train",
        [{"question": f"who planted the {name}", "answer": [f"Ann {name}", "Ann"]} for name in NAMES],
    ),
    "commonsense_qa": (
        "tau/commonsense_qa/default/{}.jsonl",
        "validation train",
        [
            {
                "id": f"x{n}",
                "question": f"Where does the {name} grow?",
                "question_concept": name,
                "choices": {"label": list("ABCDE"), "text": ["sea", "wood", "bank", "cup", "sky"]},
                "answerKey": "B",
            }
            for n, name in enumerate(NAMES)
        ],
    ),
}


def test_four_tasks_run_with_and_without_examples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for place, splits, rows in ROWS.values():
        for split in splits.split():
            path = tmp_path / "data" / place.format(split)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    monkeypatch.setenv("GPTEVAL_DATA", str(tmp_path / "data"))
    tiny = str(save_tiny(tmp_path / "tiny", "gpt2"))
    outcome = evaluate(tiny, list(ROWS), shots=[0, 2], out=tmp_path / "run", cache=False)
    assert outcome.failures == ()
    primary = [result for result in outcome.results if result.primary]
    assert {(result.task, result.shots) for result in primary} == {(task, shots) for task in ROWS for shots in (0, 2)}
    assert all(0 <= result.value <= 1 and result.n == len(NAMES) for result in primary)

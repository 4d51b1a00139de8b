"""A chat model here and the same behind ``transformers serve``: the same letters, the same texts."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from gpteval.backends.api_options import ApiOptions
from gpteval.run.evaluate import evaluate
from tests.chat_models import PLAIN, save_chat, teach
from tests.serving import served

TASKS = ("nano_topic", "nano_sentiment", "nano_en_fr")
LESSONS = ("nano_topic", "nano_sentiment", "nano_topic", "nano_en_fr")
ITEMS = 50


def test_the_same_letters_and_texts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("fastapi")
    pytest.importorskip("uvicorn")
    folder = teach(save_chat(tmp_path / "talker", PLAIN, ends=("<|im_end|>",)), LESSONS)
    monkeypatch.setenv("OPENAI_API_KEY", "none is asked for")
    with served(folder, tmp_path / "log") as url:
        outcome = evaluate(
            [f"chat:{folder}", f"openai:{folder}"],
            TASKS,
            limit=ITEMS,
            out=tmp_path / "run",
            device="cpu",
            api=ApiOptions(base_url=url),
        )
    assert not outcome.failures
    rows = [row for row in outcome.results if row.primary]
    assert len(rows) == 2 * len(TASKS)
    for task in TASKS:
        here, there = (
            pq.read_table(path).sort_by("item_id").to_pylist()
            for path in sorted((tmp_path / "run" / "samples").glob(f"*{task}*"))
        )
        assert len(here) == len(there) == ITEMS
        for one, other in zip(here, there, strict=True):
            if task == "nano_en_fr":
                assert one["generated"] == other["generated"]
            else:
                assert one["prediction"] == other["prediction"]
        answers = {row["generated"] if task == "nano_en_fr" else row["prediction"] for row in here}
        assert len(answers) > 1, "it answers more than one thing"
    scores = {row.task: row.value for row in rows if row.model == "chat:talker"}
    assert scores["nano_topic:letters"] > 0.5, "it has learnt to answer by letter"

"""The nano suite and the embedded models."""

from __future__ import annotations

import json
from collections import Counter
from itertools import islice
from pathlib import Path

import pytest

from gpteval.core.prompts import build_prompts, load_task
from gpteval.core.registry import select_tasks, task_registry
from gpteval.core.task import Task
from gpteval.core.types import FAMILIES, Choice, Item, Rolling
from gpteval.nano import nano_models, world

NAMES = ("gpt1-nano", "gpt2-nano", "gpt3-nano")


every_task = pytest.mark.parametrize("task", select_tasks(task_registry(), ["nano"]), ids=lambda t: t.name)


class TestSuite:
    def test_it_has_all_five_families(self) -> None:
        assert {t.family for t in select_tasks(task_registry(), ["nano"])} == set(FAMILIES)

    @every_task
    def test_every_task_has_items_and_examples(self, task: Task) -> None:
        shots = 0 if task.name == "nano_prose" else 5
        data = load_task(task, shots=shots)
        assert len(data.items) >= (50 if task.name == "nano_facts" else 200)
        prompts = build_prompts(data, shots=shots)
        assert all(len(p.examples) == shots for p in prompts)
        test = {p.request.prompt for p in prompts}
        assert not any(e.startswith(tuple(test)) for p in prompts[:20] for e in p.examples)

    @every_task
    def test_prompt_answer_and_separator_are_those_of_the_training_text(self, task: Task) -> None:
        kind = world.KINDS[task.name.removeprefix("nano_")]
        for row in world.rows(kind.name, "train", 20):
            request = task.prompt(Item("x", row))
            shown = kind.prompt(row) + kind.answer(row)
            if isinstance(request, Rolling):
                assert request.text == shown
            else:
                assert request.prompt + request.answer + task.separator == f"{shown}\n\n"

    @every_task
    def test_guessing_has_no_favourite(self, task: Task) -> None:
        """The most frequent right answer's share stays near chance, so that chance is the level to beat."""
        requests = [task.prompt(item) for item in load_task(task).items]
        if isinstance(requests[0], Choice) and len(requests[0].continuations) > 1:
            answers = Counter(request.answer for request in requests if isinstance(request, Choice))
            chance = 1 / len(requests[0].continuations)
            assert max(answers.values()) / len(requests) < chance + 0.1

    def test_the_training_text_has_the_tasks_own_prompts(self) -> None:
        stream = "\n\n".join(islice(world.stream(1), 3000))
        for sign in (
            "\nSentiment: positive",
            "\nTopic: music",
            "\nFrench: L",
            "\nEnglish: The",
            "\nTL;DR: ",
            "\nAnswer: ",
        ):
            assert sign in stream


class TestModels:
    def test_all_three_are_embedded_in_the_order_of_the_generations(self) -> None:
        assert tuple(nano_models()) == NAMES

    @pytest.mark.parametrize("name", NAMES)
    def test_small_and_documented(self, name: str) -> None:
        folder = nano_models()[name]
        assert sum(p.stat().st_size for p in folder.iterdir()) < 2_000_000
        facts = json.loads((folder / "training.json").read_text())
        card = (folder / "README.md").read_text()
        assert f"{facts['tokens']:,}" in card
        assert "**not** the historical model" in card
        assert facts["recipe"] == name
        losses = [loss for _, loss in facts["loss"]]
        assert losses[-1] < losses[0] / 2
        for path in folder.iterdir():
            if path.suffix in (".json", ".md"):
                assert "/root" not in path.read_text()
                assert "/work" not in path.read_text()

    def test_the_architectures_are_the_generations_own(self) -> None:
        types = [json.loads((nano_models()[n] / "config.json").read_text()) for n in NAMES]
        assert [t["model_type"] for t in types] == ["openai-gpt", "gpt2", "gpt_neo"]
        assert types[2]["attention_types"][0][0] == ["global", "local"]


def test_gpt3_nano_beats_chance_by_more_than_its_interval(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from gpteval.run.api import evaluate

    monkeypatch.setenv("GPTEVAL_CACHE", str(tmp_path / "cache"))
    outcome = evaluate("gpt3-nano", ["nano_sentiment", "nano_topic"], out=tmp_path / "run", device="cpu")
    primary = [r for r in outcome.results if r.primary]
    assert len(primary) == 2
    for result in primary:
        assert result.chance is not None
        assert result.ci_low is not None
        assert result.ci_low > result.chance, f"{result.task}: {result.value} against {result.chance}"

"""The nano suite and the embedded models."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from itertools import islice

import pytest

from gpteval.core.outcomes import Result
from gpteval.core.types import FAMILIES, Choice, Item, Rolling
from gpteval.models.embedded import nano_models
from gpteval.nano import world
from gpteval.nano.recipes import recipe_registry
from gpteval.prompts.build import build_prompts, load_task
from gpteval.tasks.registry import select_tasks, task_registry
from gpteval.tasks.task import Task

NAMES = ("gpt1-nano", "gpt2-nano", "gpt2-nano-medium", "gpt3-nano", "gpt3-nano-medium")

every_task = pytest.mark.parametrize("task", select_tasks(task_registry(), ["nano"]), ids=lambda t: t.name)


class TestSuite:
    def test_it_has_all_five_families(self) -> None:
        assert {t.family for t in select_tasks(task_registry(), ["nano"])} == set(FAMILIES)

    @every_task
    def test_every_task_has_items_and_examples(self, task: Task) -> None:
        shots = 0 if task.name == "nano_prose" else 5
        data = load_task(task, shots=shots)
        assert 300 <= len(data.items) <= 1000
        prompts = build_prompts(data, shots=shots)
        assert all(len(p.examples) == shots for p in prompts)
        if task.name != "nano_rule":  # its examples are other lines of the item's own list
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
            elif kind.name == "rule":
                assert f"{shown}\n".endswith(f"\n{request.prompt}{request.answer}{task.separator}")
            else:
                assert request.prompt + request.answer + task.separator == f"{shown}\n\n"

    def test_examples_of_a_rule_follow_the_items_own_code(self) -> None:
        task = task_registry()["nano_rule"]
        data = load_task(task, shots=8)
        told = 0
        for item, prompt in zip(data.items, build_prompts(data, shots=8), strict=True):
            lines = {example for example in prompt.examples if example.startswith(f"- {item['thing']} ")}
            assert lines <= {f"- {item['thing']} {item['options'][item['label']]}\n"}
            told += bool(lines)
        assert 0.85 * len(data.items) < told < len(data.items), "of five things, eight lines need not show all"

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
    def test_all_are_embedded_in_the_order_of_the_generations(self) -> None:
        assert tuple(nano_models()) == NAMES

    @pytest.mark.parametrize("name", NAMES)
    def test_small_and_documented(self, name: str) -> None:
        folder = nano_models()[name]
        assert sum(p.stat().st_size for p in folder.iterdir()) < 8_000_000
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

    def test_all_weights_together_are_small(self) -> None:
        assert sum(path.stat().st_size for folder in nano_models().values() for path in folder.iterdir()) < 30_000_000

    def test_each_generation_reads_more_in_a_longer_window(self) -> None:
        facts = [json.loads((nano_models()[n] / "training.json").read_text()) for n in NAMES]
        windows = [recipe_registry()[n].window for n in NAMES]
        assert windows == sorted(windows)
        assert [f["tokens"] for f in facts] == sorted(f["tokens"] for f in facts)
        assert all(f["steps"] == recipe_registry()[f["recipe"]].steps for f in facts)

    def test_the_architectures_are_the_generations_own(self) -> None:
        types = [json.loads((nano_models()[n] / "config.json").read_text()) for n in NAMES]
        assert [t["model_type"] for t in types] == ["openai-gpt", "gpt2", "gpt2", "gpt_neo", "gpt_neo"]
        assert types[3]["attention_types"][0][0] == ["global", "local"]


Ask = Callable[..., Result]


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Ask:
    """``result(model, task, shots, limit)``: a primary result; scripts/check_nano.py runs the whole suite."""
    from gpteval.run.evaluate import evaluate

    folder = tmp_path_factory.mktemp("nano")

    def ask(model: str, task: str, shots: int, limit: int = 100) -> Result:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("GPTEVAL_CACHE", str(folder / "cache"))
            out = folder / f"{model}-{task}-{shots}-{limit}"
            outcome = evaluate([model], [task], shots=shots, limit=limit, out=out, device="cpu")
        assert not outcome.failures
        (found,) = (r for r in outcome.results if r.primary)
        return found

    return ask


def test_bits_per_byte_fall_from_generation_to_generation(result: Ask) -> None:
    bits = [result(name, "nano_prose", 0, 40).value for name in ("gpt1-nano", "gpt2-nano", "gpt3-nano")]
    assert bits == sorted(bits, reverse=True)


@pytest.mark.parametrize("name", NAMES)
def test_a_rule_is_guessed_without_examples(name: str, result: Ask) -> None:
    found = result(name, "nano_rule", 0)
    assert found.chance == 0.25
    assert abs(found.value - 0.25) <= 3 * found.stderr


def test_a_rule_is_learned_from_examples(result: Ask) -> None:
    first, second = (result(name, "nano_rule", 8).value for name in ("gpt1-nano", "gpt2-nano"))
    assert first <= 0.6
    assert second >= 0.75


def test_examples_show_the_wanted_form(result: Ask) -> None:
    without, shown = (result("gpt3-nano-medium", "nano_summary", shots, 40) for shots in (0, 8))
    assert shown.value > without.value


def test_gpt3_nano_beats_chance_by_far(result: Ask) -> None:
    found = result("gpt3-nano", "nano_sentiment", 0)
    assert found.value - 0.5 > 3 * found.stderr

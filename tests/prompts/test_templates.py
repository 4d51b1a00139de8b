"""Several prompts of one task, and its examples shown in other ways."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gpteval
from gpteval.core.errors import TaskError, UnknownNameError, UsageError
from gpteval.core.types import Choice, Generate, Item
from gpteval.prompts.build import TaskData, build_prompts, load_task
from gpteval.prompts.controls import RANDOM_LABELS, order_of, other_orders, reordered
from gpteval.tasks.registry import select_tasks, task_registry, with_templates
from gpteval.tasks.task import Task
from tests.conftest import RunCli

NUMBERS = gpteval.generated(lambda split: [{"n": n, "odd": n % 2} for n in range(12)], revision="1")


def numbers(**fields: Any) -> Task:
    """Even or odd, with a template that shows the number and one that hides all but its last digit."""

    @gpteval.task(family="classification", source=NUMBERS, metric="acc", **fields)
    def parity(item: Item) -> Choice:
        return Choice(f"{item['n']} is", [" even", " odd"], gold=item["odd"])

    @parity.template("asked")
    def _(item: Item) -> Choice:
        return Choice(f"What is {item['n']}?", [" Even", " Odd"], gold=item["odd"])

    @parity.template("digit")
    def _(item: Item) -> Choice:
        return Choice(f"It ends in {item['n'] % 10}:", [" even", " odd"], gold=item["odd"])

    return parity


def data_of(task: Task, template: str = "default", shots: int = 4) -> TaskData:
    return load_task(task.with_template(template), shots=shots)


class TestDeclaring:
    def test_the_default_is_the_tasks_own(self) -> None:
        task = numbers()
        assert list(task.templates) == ["default", "asked", "digit"]
        assert task.label == "parity"
        assert task.with_template("asked").label == "parity:asked"
        assert task.with_template("asked").with_template("default") == task

    @pytest.mark.parametrize("name", ["asked", "all", "default", "a b", ""])
    def test_names_that_cannot_be(self, name: str) -> None:
        with pytest.raises(TaskError, match="cannot be named"):
            numbers().template(name)

    def test_one_that_is_not_there(self) -> None:
        with pytest.raises(UnknownNameError, match="nearest: asked; it has default, asked, digit"):
            numbers().with_template("askd")

    def test_selecting(self) -> None:
        registry = task_registry()
        (review,) = select_tasks(registry, ["sst2:review"])
        assert review.label == "sst2:review"
        assert with_templates([review], ["all"]) == [review], "what was asked for by name stays"
        labels = [task.label for task in with_templates(select_tasks(registry, ["sst2", "piqa"]), ["all"])]
        assert labels[:2] == ["sst2", "sst2:review"]
        assert "piqa:goal" in labels
        with pytest.raises(UnknownNameError, match="template of piqa 'review'"):
            with_templates(select_tasks(registry, ["sst2", "piqa"]), ["review"])

    def test_tasks_that_have_more_have_three_more(self) -> None:
        tasks = select_tasks(task_registry(), ["qa", "classification", "nano"])
        asked = [task for task in tasks if len(task.templates) > 1]
        assert len(asked) >= 15
        assert {task.name: len(task.templates) for task in asked if len(task.templates) < 4} == {}

    def test_templates_are_other_prompts_for_the_same_answers(self, shared_data: Path, monkeypatch: Any) -> None:
        monkeypatch.setenv("GPTEVAL_DATA", str(shared_data))
        for task in select_tasks(task_registry(), ["qa", "classification"]):
            if len(task.templates) == 1:
                continue
            data = load_task(task, limit=20)
            texts = set()
            for name in task.templates:
                prompts = build_prompts(load_task(task.with_template(name), limit=20))
                texts.add(prompts[0].request.prompt + "".join(getattr(prompts[0].request, "continuations", ())))
                for prompt, plain in zip(prompts, build_prompts(data), strict=True):
                    one, other = prompt.request, plain.request
                    assert prompt.item_id == plain.item_id
                    assert one.prompt == one.prompt.rstrip(), f"{task.label}:{name} ends in a space"
                    if isinstance(one, Choice) and isinstance(other, Choice):
                        assert one.gold == other.gold
                        assert len(one.continuations) == len(other.continuations)
                    elif isinstance(one, Generate) and isinstance(other, Generate):
                        assert one.references == other.references
            assert len(texts) == len(task.templates), task.name


class TestExamples:
    @settings(max_examples=30, deadline=None)
    @given(st.integers(0, 1000), st.sampled_from(["per-item", "fixed"]))
    def test_they_are_the_same_under_every_template(self, seed: int, mode: Any) -> None:
        task = numbers()
        shown = {
            name: build_prompts(data_of(task, name), shots=4, seed=seed, mode=mode) for name in ("default", "asked")
        }
        for plain, asked in zip(shown["default"], shown["asked"], strict=True):
            numbers_of = [example.split()[0] for example in plain.examples]
            assert [example.split()[2].rstrip("?") for example in asked.examples] == numbers_of

    @settings(max_examples=30, deadline=None)
    @given(st.integers(0, 1000), st.integers(1, 3), st.sampled_from(["per-item", "fixed"]))
    def test_those_of_k_begin_those_of_more(self, seed: int, shots: int, mode: Any) -> None:
        data = data_of(numbers(), "asked")
        fewer, more = (build_prompts(data, shots=k, seed=seed, mode=mode) for k in (shots, shots + 1))
        assert [p.examples for p in fewer] == [p.examples[:-1] for p in more]

    def test_one_that_looks_like_the_item_under_any_template_is_not_shown(self) -> None:
        """0 and 10 end alike: neither is an example for the other, whichever template is asked for."""
        for template in ("default", "asked", "digit"):
            for prompt in build_prompts(data_of(numbers(), template, 9), shots=9):
                own = prompt.request.prompt + prompt.request.answer
                assert own not in "".join(prompt.examples)
        (zero, *_) = build_prompts(data_of(numbers(), shots=9), shots=9)
        assert zero.request.prompt == "0 is"
        assert not any(example.startswith("10 ") for example in zero.examples)


class TestControls:
    def test_random_labels_change_answers_and_nothing_else(self) -> None:
        data = data_of(numbers())
        plain = build_prompts(data, shots=4)
        changed = build_prompts(data, shots=4, control=RANDOM_LABELS)
        answers: Counter[str] = Counter()
        different = 0
        for one, other in zip(plain, changed, strict=True):
            assert one.request == other.request
            for example, shown in zip(one.examples, other.examples, strict=True):
                assert example.rpartition(" ")[0] == shown.rpartition(" ")[0]
                answers[shown.split()[-1]] += 1
                different += example != shown
        assert set(answers) == {"even", "odd"}
        assert 0.3 < different / answers.total() < 0.7

    def test_random_labels_are_those_of_more_examples_too(self) -> None:
        data = data_of(numbers())
        fewer, more = (build_prompts(data, shots=k, control=RANDOM_LABELS) for k in (3, 4))
        assert [p.examples for p in fewer] == [p.examples[:3] for p in more]

    def test_an_example_with_one_choice_gets_anothers_answer(self) -> None:
        rule = task_registry()["nano_rule"]
        data = load_task(rule, shots=6, limit=40)
        plain, changed = (build_prompts(data, shots=6, control=control) for control in ("", RANDOM_LABELS))
        pairs = [
            (a, b)
            for one, other in zip(plain, changed, strict=True)
            for a, b in zip(one.examples, other.examples, strict=True)
        ]
        assert all(a.split()[1] == b.split()[1] for a, b in pairs)
        assert 0.4 < sum(a != b for a, b in pairs) / len(pairs) < 0.9

    def test_other_orders(self) -> None:
        data = data_of(numbers())
        plain = build_prompts(data, shots=3)
        for place, prompt in enumerate(plain):
            seen = [prompt.examples]
            for number in range(1, other_orders(3) + 1):
                seen.append(build_prompts(data, shots=3, control=f"order-{number}")[place].examples)
            assert len(set(seen)) == 6
            assert all(sorted(order) == sorted(prompt.examples) for order in seen)

    def test_what_cannot_be(self) -> None:
        with pytest.raises(UsageError, match="2 examples have no order-2"):
            reordered(["a", "b"], 2, ())
        for control in ("order", "order-0", "order-x", "labels"):
            with pytest.raises(UsageError, match="unknown control"):
                order_of(control)


class TestRuns:
    def test_results_of_templates_stand_apart(self, tmp_path: Path, in_process: RunCli) -> None:
        out = tmp_path / "run"
        common = ("run", "--models", "gpt2-nano", "--tasks", "nano_topic", "--limit", 12, "--out", out, "--no-report")
        assert in_process(*common, "--templates", "default,article").returncode == 0
        assert in_process(*common, "--template", "plain").returncode == 0
        rows = json.loads((out / "results.json").read_text())["results"]
        assert [(r["task"], r["template"]) for r in rows if r["primary"]] == [
            ("nano_topic", "default"),
            ("nano_topic:article", "article"),
            ("nano_topic:plain", "plain"),
        ]
        assert json.loads((out / "manifest.json").read_text())["tasks"]["nano_topic:plain"]["template"] == "plain"
        shown = in_process("samples", out, "--model", "gpt2-nano", "--task", "nano_topic:article", "--jsonl")
        assert json.loads(shown.stdout.splitlines()[0])["prompt"].endswith("\nTopic:")
        assert "News:" not in shown.stdout
        assert "nano_topic:article" in in_process("report", out).stdout + (out / "report.html").read_text()

    def test_unknown_ones_are_refused_before_any_work(self, tmp_path: Path, in_process: RunCli) -> None:
        asked = ("run", "--models", "gpt2-nano", "--out", tmp_path / "run", "--tasks")
        for words in (("nano_topic", "--templates", "artcle"), ("nano_topic:artcle",)):
            done = in_process(*asked, *words)
            assert done.returncode == 2
            assert "nearest: article" in done.stderr
        assert not (tmp_path / "run").exists()

    def test_show(self, in_process: RunCli) -> None:
        words = ("show", "nano_topic", "--template", "plain", "--shots", 2, "--control")
        plain = in_process(*words[:-1])
        assert "News:" not in plain.stdout
        assert "other templates: default, article, question" in plain.stderr
        assert in_process("show", "nano_topic:plain", "--shots", 2).stdout == plain.stdout
        assert in_process(*words, "order-1").stdout != plain.stdout
        assert "2-shot, random-labels" in in_process(*words, "random-labels").stdout
        assert in_process(*words, "nothing").returncode == 2

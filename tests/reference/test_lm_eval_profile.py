"""--profile lm-eval: what of it can be told without the peer. benchmarks/parity.py holds it to the peer itself."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gpteval.core.errors import TaskError, UsageError
from gpteval.core.types import Choice, Item, Prompt
from gpteval.data.sources import generated
from gpteval.models.catalogue import ModelInfo
from gpteval.models.loader import HFModel, LoadOptions
from gpteval.prompts.build import build_prompts, load_task
from gpteval.prompts.lm_eval import draws
from gpteval.report.leaderboard import leaderboard
from gpteval.run.evaluate import evaluate
from gpteval.store.runs import read_runs
from gpteval.tasks.profiles import LM_EVAL
from gpteval.tasks.registry import task_registry, with_templates
from gpteval.tokens.encode import Encoder
from tests.conftest import RunCli
from tests.tiny import save_tiny

ROWS = [{"text": f"word {n} of many", "label": n % 2} for n in range(30)]
TASKS = '''
from gpteval import Choice, generated, task

@task(family="classification", source=generated(lambda split: ROWS, revision="1"), metric="acc", profiles=["lm-eval"])
def known(item):
    """A task that the profile knows."""
    return Choice(f"{item['text']} is", [" red", " blue"], gold=item["label"])

@task(family="classification", source=generated(lambda split: ROWS, revision="1"), metric="acc")
def unknown(item):
    """One that it does not."""
    return Choice(f"{item['text']} is", [" red", " blue"], gold=item["label"])

@unknown.template("loud")
def _(item):
    return Choice(f"{item['text']} IS", [" red", " blue"], gold=item["label"])
'''


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks/mine.py").write_text(f"ROWS = {ROWS!r}\n{TASKS}")
    return tmp_path / "tasks"


def items(*numbers: int) -> list[Item]:
    return [Item(str(n), {"n": n}) for n in numbers]


def test_a_task_says_whether_its_own_prompt_is_the_peers() -> None:
    tasks = task_registry()
    alike = {name: [tasks[name].asks_as(LM_EVAL, shots) for shots in (0, 5)] for name in ("piqa", "copa", "drop")}
    assert alike == {"piqa": [True, True], "copa": [False, False], "drop": [False, False]}
    assert [tasks["lambada_openai"].asks_as(LM_EVAL, shots) for shots in (0, 5)] == [True, False], (
        "as it shows examples"
    )


def test_one_generator_goes_on_from_item_to_item() -> None:
    pool = items(*range(10))
    found = [[item["n"] for item in drawn] for drawn in draws(items(1, 2, 3), pool, 4, excludes=False)]
    generator = random.Random(1234)
    assert found == [generator.sample(range(10), 4) for _ in range(3)]


def test_where_the_item_may_be_drawn_one_more_is_drawn_and_it_is_taken_out() -> None:
    pool = items(*range(6))
    found = [[item["n"] for item in drawn] for drawn in draws(pool, pool, 3, excludes=True)]
    generator = random.Random(1234)
    expected = [[n for n in generator.sample(range(6), 4) if n != own][:3] for own in range(6)]
    assert found == expected
    assert any(own in generator.sample(range(6), 4) for own in range(6)), "it happens in this test"
    twins = items(1, 1, 1, 2, 3)
    assert all({item["n"] for item in drawn} == {2, 3} for drawn in draws(twins[:1], twins, 2, excludes=True))


def test_a_task_is_as_the_profile_has_it_or_unknown_to_it() -> None:
    registry = task_registry()
    (chosen,) = with_templates([registry["copa"]], ["default"])  # as a run does
    assert chosen.under(LM_EVAL).prompt is not registry["copa"].prompt  # type: ignore[union-attr]
    assert registry["piqa"].under(LM_EVAL).profile == LM_EVAL  # type: ignore[union-attr]
    assert registry["banking77"].under(LM_EVAL) is None
    copa = registry["copa"].under(LM_EVAL)
    assert copa is not None
    row = {"premise": "It rained.", "question": "effect", "choice1": "It was wet.", "choice2": "It burned.", "label": 0}
    asked = copa.prompt(Item("x", row))
    assert asked == Choice("It rained therefore", ["  it was wet.", "  it burned."], 0)
    assert registry["copa"].prompt(Item("x", row)).continuations == (" it was wet.", " it burned.")  # type: ignore[union-attr]
    with pytest.raises(TaskError, match="no further profile"):
        registry["piqa"].as_in(LM_EVAL)


def test_examples_of_lambada_show_two_spaces_as_there() -> None:
    rows = [{"text": f"she sat by the {word}"} for word in ("sea", "oak", "elm")]
    task = task_registry()["lambada_openai"].under(LM_EVAL)
    assert task is not None
    task = replace(task, source=generated(lambda split: rows, revision="1"))
    (prompt, *_) = build_prompts(load_task(task, shots=1), shots=1)
    assert prompt.examples[0] in {f"she sat by the  {word}\n\n" for word in ("sea", "oak", "elm")}
    assert prompt.request.continuations == (" sea",)  # type: ignore[union-attr]


def test_a_limit_takes_the_first_rows_and_examples_depend_on_the_place() -> None:
    task = replace(task_registry()["piqa"], source=generated(lambda split: ROWS2, revision="1"), profile=LM_EVAL)
    data = load_task(task, shots=2, limit=5)
    assert [item["goal"] for item in data.items] == [row["goal"] for row in ROWS2[:5]]
    assert [item["goal"] for item in data.pool] == [row["goal"] for row in ROWS2], "the pool keeps the rows' order"
    assert [p.examples for p in build_prompts(data, shots=2)[:3]] == [
        p.examples for p in build_prompts(load_task(task, shots=2, limit=3), shots=2)
    ]
    with pytest.raises(TaskError, match="only 12 others are there"):
        build_prompts(load_task(task, shots=1), shots=50)


ROWS2 = [{"goal": f"open box {n}", "sol1": "pull", "sol2": "push", "label": n % 2} for n in range(12)]


def test_what_is_too_long_is_cut_request_by_request(tmp_path: Path) -> None:
    model = HFModel(ModelInfo("tiny", str(save_tiny(tmp_path / "tiny", "gpt2")), local=True), LoadOptions(device="cpu"))
    text = "the quick brown fox jumps over the dog and " * 20
    prompt = Prompt("x", Choice(text.strip(), [" red", " one two three four five six"], 0), ("An example.\n\n",))
    window = 40
    (found,) = Encoder(model.codec, window, as_lm_eval=True).encode([prompt])
    for row, continuation in zip(found.queries, prompt.request.continuations, strict=True):  # type: ignore[union-attr]
        whole = model.codec.tokenizer(prompt.text() + continuation)["input_ids"]
        assert row is not None
        assert [*row.context, *row.targets] == whole[-(window + 1) :]  # type: ignore[union-attr]
    (own,) = Encoder(model.codec, window).encode([prompt])
    assert own.queries[0].context == own.queries[1].context, "here all choices keep one context"  # type: ignore[union-attr]


def test_a_run_says_whose_protocol_it_was_and_leaves_out_what_it_does_not_know(
    tmp_path: Path, folder: Path, in_process: RunCli
) -> None:
    tiny = save_tiny(tmp_path / "tiny", "gpt2")
    command: list[Any] = ["run", "--models", tiny, "--task-dir", folder, "--shots", "0,3", "--out", tmp_path / "run"]
    done = in_process(*command, "--tasks", "known,unknown", "--limit", 6, "--profile", "lm-eval", "--no-report")
    assert done.returncode == 0, done.stderr
    assert "the profile lm-eval does not define them: unknown" in done.stderr
    rows = json.loads((tmp_path / "run/results.json").read_text())["results"]
    assert {(row["task"], row["shots"], row["profile"]) for row in rows} == {("known", k, "lm-eval") for k in (0, 3)}
    board = leaderboard(read_runs([tmp_path / "run"]).merged)
    assert "tiny, known, known, 3-shot: profile lm-eval" in board.remarks, "a number of another profile has a mark"
    other = in_process(*command, "--tasks", "known", "--limit", 6)
    assert other.returncode == 2, "a folder holds one profile"
    assert "profile=lm-eval" in other.stderr
    none = in_process(*command[:-1], tmp_path / "other", "--tasks", "unknown,unknown:loud", "--profile", "lm-eval")
    assert none.returncode == 2
    assert "--profile gpteval" in none.stderr
    with pytest.raises(UsageError, match="--profile is one of gpteval, lm-eval, paper"):
        evaluate(str(tiny), "known", profile="helm", task_dirs=(folder,), out=tmp_path / "x")
    with pytest.raises(UsageError, match="draws its own examples"):
        evaluate(str(tiny), "known", profile="lm-eval", shots_mode="fixed", task_dirs=(folder,), out=tmp_path / "x")

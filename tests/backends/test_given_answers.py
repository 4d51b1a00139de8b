"""Answers that are there already: scored as a model's would be, and what does not fit counted."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

import gpteval
from gpteval.backends.given_answers import chosen_of
from gpteval.comparison.compare import compare
from gpteval.core.types import Choice
from gpteval.models.catalogue import resolve_models
from gpteval.store.documents import read_samples
from gpteval.store.runs import read_runs
from tests.lm_eval_logs import choice, generation, write_log

TASKS = ("nano_topic", "nano_en_fr")


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, list[dict[str, Any]]]:
    """What gpt2-nano answered, by task."""
    out = tmp_path_factory.mktemp("asked") / "run"
    made = gpteval.evaluate("gpt2-nano", TASKS, limit=20, out=out, device="cpu")
    assert not made.failures
    files = read_runs(str(out)).merged.samples
    return {"run": [{"folder": out}]} | {task: read_samples(next(iter(of.values()))) for (task, _), of in files.items()}


def _run(path: Path, task: str, out: Path, **options: Any) -> Any:
    return gpteval.evaluate(f"answers:{path}", task, limit=20, out=out, **options)


def _lines(path: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def _primary(made: Any) -> Any:
    return next(result for result in made.results if result.primary)


@pytest.mark.parametrize("how", ["text", "letter", "index"])
def test_choices_are_scored_as_the_model_that_gave_them(asked: Any, tmp_path: Path, how: str) -> None:
    rows = []
    for row in asked["nano_topic"]:
        chosen = row["prediction"]
        answer = {"text": row["choices"][chosen].strip(), "letter": f"({'ABCDEFG'[chosen]})", "index": chosen}[how]
        rows.append({"item_id": row["item_id"], "answer": answer})
    made = _run(_lines(tmp_path / "theirs.jsonl", rows), "nano_topic", tmp_path / "run")
    assert not made.failures
    (pair,) = compare([str(asked["run"][0]["folder"]), str(made.folder)]).pairs[:1]
    assert (pair.figure.value, pair.figure.p, pair.figure.n) == (0.0, 1.0, 20)
    assert _primary(made).model == "answers:theirs.jsonl"
    assert "the answers were given, not computed here" in _primary(made).notes


def test_texts_by_their_prompts_from_a_table(asked: Any, tmp_path: Path) -> None:
    path = tmp_path / "theirs.csv"
    with path.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.writer(handle)
        writer.writerow(["prompt", "answer"])
        writer.writerows([row["prompt"], row["generated"]] for row in asked["nano_en_fr"])
    made = _run(path, "nano_en_fr", tmp_path / "run")
    own = {r["metric"]: r["value"] for r in read_runs(str(asked["run"][0]["folder"])).merged.rows
           if r["task"] == "nano_en_fr"}  # fmt: skip
    assert {result.metric: result.value for result in made.results} == pytest.approx(own)


def test_missing_doubled_and_unknown_answers_are_counted_and_too_many_fail(asked: Any, tmp_path: Path) -> None:
    rows = [{"id": row["item_id"], "answer": "0"} for row in asked["nano_topic"]]
    path = _lines(
        tmp_path / "a.jsonl", [*rows[1:], {"id": rows[5]["id"], "answer": "1"}, {"id": "nobody", "answer": "x"}]
    )
    failed = _run(path, "nano_topic", tmp_path / "few")
    assert f"no answer to 1 of 20 items: {rows[0]['id']}" in failed.failures[0].error
    made = _run(path, "nano_topic", tmp_path / "run", max_bad_rows=0.1)
    notes = _primary(made).notes
    assert _primary(made).coverage == 0.95
    assert "1 item without an answer" in notes
    assert "1 answer to an item that has another one: the first counts" in notes
    assert "2 of the file's answers are to no item that was asked so far" in notes


def test_an_answer_that_is_no_choice_is_wrong(asked: Any, tmp_path: Path) -> None:
    rows = [{"id": row["item_id"], "answer": "I do not know"} for row in asked["nano_topic"]]
    made = _run(_lines(tmp_path / "a.jsonl", rows), "nano_topic", tmp_path / "run")
    assert (_primary(made).value, _primary(made).coverage) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (" red", 0),
        ("blue", 1),
        ("B", 1),
        ("(b)", 1),
        ("b.", 1),
        ("1", 1),
        ("2", None),
        ("C", None),
        ("", None),
        ("-1", None),
    ],
)
def test_what_names_a_choice(answer: str, expected: int | None) -> None:
    assert chosen_of(Choice("c", [" red", " blue"], 0), answer) == expected


def test_a_log_gives_answers_to_what_it_asked(tmp_path: Path) -> None:
    items = [choice(n, [-1.0, -2.0] if n % 3 else [-3.0, -2.0]) for n in range(12)]
    texts = [generation(n, f" {n}", f"{n}") for n in range(12)]
    log = write_log(tmp_path / "log", {"t": items, "g": texts})
    made = gpteval.evaluate(f"answers:{log}", f"log:{log}", out=tmp_path / "run")
    assert not made.failures
    values = {result.task: result.value for result in made.results}
    assert values == {"t": pytest.approx(8 / 12), "g": 1.0}


@pytest.mark.parametrize(
    ("rows", "told"),
    [([{"id": "x"}], "row 1 has no answer"), ([{"answer": "x"}], "row 1 has no item_id or prompt"), ([], "")],
)
def test_files_that_hold_no_answers_are_refused(tmp_path: Path, rows: list[dict[str, Any]], told: str) -> None:
    made = _run(_lines(tmp_path / "a.jsonl", rows), "nano_topic", tmp_path / "run")
    assert told in made.failures[0].error
    assert not made.results


def test_perplexity_of_answers_is_not_to_be_had(tmp_path: Path) -> None:
    path = _lines(tmp_path / "a.jsonl", [{"id": "x", "answer": "y"}])
    made = _run(path, "nano_prose", tmp_path / "run")
    assert made.failures[0].unavailable


def test_a_served_model_is_not_a_file_of_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "EleutherAI/pythia-160m").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    (served,) = resolve_models(["completions:EleutherAI/pythia-160m"])
    assert (served.name, served.generation) == ("completions:EleutherAI/pythia-160m", "gpt3")

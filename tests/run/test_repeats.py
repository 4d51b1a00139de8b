"""Several answers an item: each journalled, their mean, what most say, and intervals that hold."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

import gpteval
from gpteval.backends.chat_options import ChatOptions
from gpteval.backends.repeats import MOST, Repeats
from gpteval.backends.text_queries import TextQuery, plan_texts
from gpteval.core.errors import UsageError
from gpteval.core.outcomes import Failed, Generated, Outcome, Repeated
from gpteval.core.types import Generate, Prompt
from gpteval.metrics.named import metric_registry
from gpteval.metrics.repeated import added_for, most_said
from gpteval.run.records import make_records
from gpteval.stats.interval import estimate
from gpteval.store.tally import Tally
from gpteval.tokens.queries import Sampling
from tests.conftest import RunCli

EXACT = metric_registry()["exact_match"]
REQUEST = Generate("Q?", ["Paris"])


def said(*texts: str) -> Repeated:
    return Repeated(tuple(Generated(text, "stop", 1) if text else Failed("no answer", answered=True) for text in texts))


def rows_of(folder: Path) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads((folder / "results.json").read_text(encoding="utf-8"))["results"]
    return found


def test_the_mean_of_answers_counts() -> None:
    metrics = [metric_registry()[name] for name in ("exact_match", "f1", "majority_exact_match", "changing")]
    prompts = [Prompt(str(n), REQUEST) for n in range(4)]
    outcomes: list[Outcome] = [
        said("Paris", "Paris.", "Lyon", "paris"),
        said("Lyon", "Paris", "Lyon", "Nice"),
        said("Paris", "PARIS", "the Paris", "paris"),
        said("", "", "", "Paris"),
    ]
    records = make_records(prompts, outcomes, metrics)
    assert [record.values["exact_match"] for record in records] == [0.75, 0.25, 1.0, 0.25]
    assert [record.values["majority_exact_match"] for record in records] == [1.0, 0.0, 1.0, 1.0]
    assert [record.values["changing"] for record in records] == [1.0, 1.0, 0.0, 1.0]
    assert records[0].answers == (1.0, 1.0, 0.0, 1.0)
    tally = Tally(metrics, clustered=False)
    tally.add(records)
    (note,) = tally.spreads()
    within = np.mean([np.var(record.answers, ddof=1) for record in records])
    between = np.var([0.75, 0.25, 1.0, 0.25], ddof=1) - within / 4
    assert f"{between**0.5:.3g} between items, {within**0.5:.3g} between answers" in note
    assert tally.failed == 0, "an answer to something else is an answer"


def test_of_answers_that_failed_each_counts_its_share() -> None:
    tally = Tally([EXACT], clustered=False)
    broken = Repeated((Generated("Paris", "stop", 1), Failed("server")))
    tally.add(make_records([Prompt("a", REQUEST)], [broken], [EXACT]))
    assert (tally.failed, tally.first_error) == (0.5, "server")
    assert tally.interval(EXACT).value == 0.5


def test_votes() -> None:
    numbers = [Generated(f"so {text}", "stop", 1, taken=text) for text in ("5", "1,000", "1000", "$1,000.00")]
    for name in ("majority_number_match", "majority_last_number"):
        wanted = Generate("Q?", ["1000"])
        assert metric_registry()[name].stats(wanted, Repeated(tuple(numbers))) == (1.0, 1.0)
        assert metric_registry()[name].stats(wanted, Repeated((numbers[0], numbers[1], numbers[0]))) == (0.0, 1.0)
    assert most_said(said("b", "a", "a", "b")).text == "b", "of equals what was said first"
    assert isinstance(most_said(said("", "")), Failed)
    assert added_for(metric_registry()["number_match"]) == ["majority_number_match", "changing"]
    assert added_for(metric_registry()["bleu"]) == ["changing"]
    one = metric_registry()["majority_exact_match"]
    assert one.stats(REQUEST, Generated("Paris", "stop", 1)) == (1.0, 1.0), "of one answer it is the metric itself"


@pytest.mark.parametrize("count", [1, 4])
@pytest.mark.parametrize("items", [60, 200])
def test_intervals_hold(count: int, items: int) -> None:
    """Items of different difficulty, answers drawn for each: the interval is of the mean over both."""
    generator = np.random.default_rng(10 * items + count)
    covered, runs = 0, 4000
    for _ in range(runs):
        easy = generator.beta(1.2, 0.8, items)  # mean 0.6
        right = generator.binomial(count, easy) / count
        found = estimate(EXACT, np.stack([right, np.ones(items)], axis=1))
        covered += found.ci_low <= 0.6 <= found.ci_high  # type: ignore[operator]
    assert 0.93 <= covered / runs <= 0.97


def test_a_run_repeats_to_the_byte(tmp_path: Path) -> None:
    found = []
    for name, how in (("one", {}), ("two", {"executor": "process", "workers": 2})):
        out = tmp_path / name
        repeats = Repeats(3, 0.8)
        gpteval.evaluate(
            "gpt2-nano",
            ["nano_reading", "nano_topic"],
            limit=10,
            out=out,
            cache=False,
            device="cpu",
            repeats=repeats,
            **how,
        )
        rows = {(row["task"], row["metric"]): row for row in rows_of(out)}
        samples = pq.read_table(next((out / "samples").glob("*reading*"))).to_pylist()
        found.append(([row["value"] for row in rows.values()], [row["answers"] for row in samples]))
        texts = [tuple(row["answers"]) for row in samples]
        assert all(len(each) == 3 for each in texts)
        assert any(len(set(each)) > 1 for each in texts), "they are drawn"
        values = [row["answers_values"] for row in samples]
        assert rows["nano_reading", "exact_match"]["value"] == pytest.approx(np.mean(values))
        assert rows["nano_reading", "changing"]["n"] == 10
        assert "temperature 0.8|3 answers an item" in str(rows["nano_reading", "exact_match"]["signature"])
        assert ("nano_topic", "changing") not in rows
        assert "temperature" not in str(rows["nano_topic", "acc"]["signature"]), "choices are not drawn"
    assert found[0] == found[1]


def test_each_answer_is_journalled(tmp_path: Path) -> None:
    """More of the cache than the second run asks anew: four answers hold those of two."""
    how = {"limit": 6, "device": "cpu"}
    two = gpteval.evaluate("gpt2-nano", "nano_reading", out=tmp_path / "two", repeats=Repeats(2, 0.8), **how)
    four = gpteval.evaluate("gpt2-nano", "nano_reading", out=tmp_path / "four", repeats=Repeats(4, 0.8), **how)
    rows = []
    for run in (two, four):
        samples = pq.read_table(next((run.folder / "samples").glob("*reading*"))).sort_by("item_id")
        rows.append(samples.to_pylist())
    assert all(a["answers"] == b["answers"][:2] for a, b in zip(*rows, strict=True))


def test_one_answer_is_as_before(tmp_path: Path, in_process: RunCli) -> None:
    asked = ("--models", "gpt2-nano", "--tasks", "nano_reading", "--limit", "5")
    assert in_process("run", *asked, "--out", tmp_path / "a").returncode == 0
    assert in_process("run", *asked, "--repeats", "1", "--out", tmp_path / "b").returncode == 0
    a, b = (json.dumps([{**row, "seconds": 0} for row in rows_of(tmp_path / name)]) for name in "ab")
    assert a == b
    refused = in_process("run", *asked, "--repeats", "2", "--temperature", "0.5", "--out", tmp_path / "a")
    assert refused.returncode == 2
    assert "repeats" in refused.stderr


def test_what_cannot_be_drawn(tmp_path: Path, in_process: RunCli) -> None:
    with pytest.raises(UsageError, match="at temperature 0 nothing is drawn"):
        Repeats(4)
    with pytest.raises(UsageError, match="from 1 to 1000"):
        Repeats(MOST + 1, 1.0)
    given = tmp_path / "given.csv"
    given.write_text("item_id,answer\nx,y\n", encoding="utf-8")
    asked = ("--models", f"answers:{given}", "--tasks", "nano_reading", "--repeats", "2", "--temperature", "1")
    done = in_process("run", *asked, "--limit", "3", "--out", tmp_path / "run")
    assert "cannot be drawn at a temperature" in done.stderr


def test_chats_are_asked_with_the_temperature_and_a_seed() -> None:
    prompt = Prompt("a", REQUEST)
    plans = [plan_texts([prompt], "key", ChatOptions(), Sampling(0.7, seed=seed)) for seed in (0, 1)]
    queries = [query for plan in plans for query in plan.queries.values()]
    assert [(query.temperature, query.seed) for query in queries if isinstance(query, TextQuery)] == [
        (0.7, 0),
        (0.7, 1),
    ]
    assert plans[0].keys != plans[1].keys
    assert plan_texts([prompt], "key").keys == plan_texts([prompt], "key", ChatOptions(), Sampling()).keys


def test_a_record_of_several_answers_is_compared_by_its_mean(tmp_path: Path, in_process: RunCli) -> None:
    asked = ("--models", "gpt2-nano,gpt3-nano", "--tasks", "nano_reading", "--limit", "20")
    done = in_process("run", *asked, "--repeats", "3", "--temperature", "0.7", "--out", tmp_path / "run")
    assert done.returncode == 0
    document = json.loads(in_process("compare", tmp_path / "run", "--format", "json").stdout)
    rows = {row["model"]: row["value"] for row in rows_of(tmp_path / "run") if row["primary"]}
    (pair,) = (one for one in document["pairs"] if one["task"] == "nano_reading")
    assert pair["figure"]["test"] == "paired jackknife t", "shares are no yes or no"
    assert pair["figure"]["effect"] == pytest.approx(rows[pair["model_a"]] - rows[pair["model_b"]], abs=1e-9)

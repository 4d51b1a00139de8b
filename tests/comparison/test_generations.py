"""What may be said of a generation: which tasks count, which models it is about, and that it is said once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats as scipy_stats

import gpteval
from gpteval.comparison.sentences import sentence, sentences
from gpteval.core.errors import UnknownNameError, UsageError
from gpteval.report.leaderboard import leaderboard
from gpteval.report.summary import answer
from gpteval.stats.evidence import Evidence, over_models
from gpteval.store.runs import read_runs
from tests.conftest import RunCli
from tests.made_runs import make_run, scores


def right(share: float, n: int = 200, seed: int = 0) -> np.ndarray:
    return (np.random.default_rng(seed).permutation(n) < share * n).astype(float)


@pytest.fixture
def five_settings(tmp_path: Path) -> Path:
    """+40 at five settings of one task, -40 on another."""
    answers: dict[tuple[str, str], Any] = {}
    for place, task in enumerate(("sst2", "sst2@1", "sst2@5", "sst2:review", "sst2:review@5")):
        answers["new", task], answers["old", task] = scores(right(0.8, seed=place)), scores(right(0.4, seed=9))
    answers["new", "piqa"], answers["old", "piqa"] = scores(right(0.4)), scores(right(0.8, seed=3))
    return make_run(tmp_path / "r", answers, generations={"new": ("gpt3", 100), "old": ("gpt2", 100)})


def test_a_task_counts_once(five_settings: Path, in_process: RunCli) -> None:
    """It gave +26.7 points over 2 tasks."""
    said = in_process("compare", five_settings)
    assert said.returncode == 0, said.stderr
    assert "new (GPT-3 style) is not separated from old (GPT-2) at +0.0 points" in said.stdout
    assert "over all 2 tasks" in said.stdout
    (overall,) = gpteval.compare(five_settings).overall
    assert overall.figure.effect == pytest.approx(0, abs=1e-12)
    assert overall.figure.n == 400, "an item counts once"
    board = leaderboard(read_runs([five_settings]).merged)
    assert [model.centred for model in board.models] == pytest.approx([0.6, 0.6])
    assert [model.tasks for model in board.models] == [2, 2]


def test_settings_of_a_task_are_no_further_items(tmp_path: Path) -> None:
    """The same answers under five templates are no more evidence than under one, and their mean's error is exact."""
    a, b = right(0.7, 100), right(0.55, 100, seed=1)
    once = {("a", "t"): scores(a), ("b", "t"): scores(b), ("a", "u"): scores(b), ("b", "u"): scores(a)}
    often = once | {(m, f"t:x{n}"): scores(s) for n in range(4) for m, s in (("a", a), ("b", b))}
    one, five = (
        gpteval.compare(make_run(tmp_path / name, answers)).overall[0].figure
        for name, answers in (("once", once), ("often", often))
    )
    assert five.n == one.n == 200
    assert (five.effect, five.stderr, five.p) == pytest.approx((one.effect, one.stderr, one.p))


def of_three(tmp_path: Path, spread: float, models: int = 3, n: int = 400) -> Path:
    """Generations that are alike, and whose models differ by more than their items."""
    answers, kinds = {}, {}
    random = np.random.default_rng(5)
    for generation in ("gpt2", "gpt3"):
        for number in range(models):
            name = f"{generation}-{number}"
            kinds[name] = (generation, 100 * 10**number)
            level = 0.6 + spread * (number - 1) + (0.03 if generation == "gpt3" else 0)
            answers[name, "t"] = scores((random.random(n) < level).astype(float))
    return make_run(tmp_path / f"r{models}-{spread}", answers, generations=kinds)


def test_a_sentence_on_generations_needs_three_models_a_side(tmp_path: Path) -> None:
    few, many = (gpteval.compare(of_three(tmp_path, 0.1, models)).generations[0] for models in (2, 3))
    assert not few.over_models
    assert "gpt3-0 and gpt3-1 (GPT-3 style)" in sentence(few)
    assert "other trainings were not seen" in sentence(few)
    assert many.over_models
    assert many.pair is not None
    assert sentence(many).startswith("GPT-3 style models are not separated from GPT-2 models at ")
    assert "means of 3 and 3 models, over models and items" in sentence(many)
    assert "chosen after seeing" in sentence(gpteval.compare(of_three(tmp_path, 0.1)).generations[1])


def test_where_models_differ_much_it_is_welchs_test(tmp_path: Path) -> None:
    run = of_three(tmp_path, 0.25, n=4000)
    row = gpteval.compare(run).generations[0]
    assert row.pair is not None
    values = {r["model"]: r["value"] for r in read_runs([run]).merged.rows}
    sides = [[v for name, v in values.items() if name.startswith(kind)] for kind in ("gpt3", "gpt2")]
    found = scipy_stats.ttest_ind(*sides, equal_var=False)
    assert row.pair.figure.p == pytest.approx(found.pvalue, rel=0.02)
    low, high = found.confidence_interval()
    assert (row.pair.figure.ci_low, row.pair.figure.ci_high) == pytest.approx((low, high), rel=0.03)


def test_models_that_are_alike_leave_the_error_of_items() -> None:
    items = Evidence(test="t", p=0.01, stderr=0.02, freedom=500.0, of_level=lambda level: (0.0, 0.1))
    found = over_models(items, [np.array([0.6, 0.6, 0.6]), np.array([0.5, 0.5, 0.5])], 0.0)
    assert (found.stderr, found.freedom) == pytest.approx((0.02, 500))
    assert found.p == pytest.approx(2 * scipy_stats.t.sf(5, 500))


def test_named_sides(tmp_path: Path, in_process: RunCli) -> None:
    run = of_three(tmp_path, 0.02)
    sides = ("--side", "old=gpt2-0,gpt2-1,gpt3-2", "--side", "new=gpt3-0,gpt3-1,gpt2-2")
    said = in_process("compare", run, *sides)
    assert said.returncode == 0, said.stderr
    assert "new models are not separated from old models" in said.stdout
    assert "GPT-3 style" not in said.stdout
    for wrong, message in (
        (("--side", "new=gpt3-0"), "two or more"),
        (("--side", "new"), "not a side"),
        (("--side", "new=gpt3-0", "--side", "old=gpt3-0"), "stands on two sides"),
        (("--side", "new=gpt3-0", "--side", "old=gpt9"), "gpt9"),
    ):
        said = in_process("compare", run, *wrong)
        assert said.returncode == 2
        assert message in said.stderr
    with pytest.raises(UsageError):
        gpteval.compare(run, sides={"one": ["gpt3-0"]})
    with pytest.raises(UnknownNameError):
        gpteval.compare(run, sides={"one": ["gpt3-0"], "two": ["nobody"]})


def test_other_metrics_stand_apart(tmp_path: Path) -> None:
    """A headline "inconclusively +1.5" stood above BLEU going from 26 to 70."""
    answers = {}
    for model, level in (("old", 0.5), ("new", 0.5)):
        answers[model, "qa"] = scores(right(level, 100, seed=len(model) + (model == "new")))
    for model, tokens in (("old", 320.0), ("new", 270.0)):
        noise = np.random.default_rng(int(tokens)).normal(0, 2, 60)
        answers[model, "lm"] = [(tokens + e, 100.0, 100.0, 400.0) for e in noise]
    kinds = {"new": ("gpt3", 100), "old": ("gpt2", 100)}
    found = gpteval.compare(
        make_run(tmp_path / "r", answers, generations=kinds, metrics={"lm": "token_perplexity"}, chance={"qa": 0.5})
    )
    first, *said, about = sentences(found)
    assert first == (
        "Means are over 1 of 2 tasks, those with right and wrong answers, each counted once; "
        "apart from them: token_perplexity (1 task)."
    )
    assert len(said) == 2, "a sentence a metric, and none of them twice"
    assert said[1].startswith("By token_perplexity, new (GPT-3 style) beats old (GPT-2) by x 0.6")
    assert "over 1 of 2 tasks: the only models on either side, of the same size; other" in said[0]
    assert "on items like these" in about


def test_one_difference_has_one_p(tmp_path: Path) -> None:
    found = gpteval.compare(of_three(tmp_path, 0.1))
    overall = {(pair.model_a, pair.model_b): pair for pair in found.overall}
    of_task = {(pair.model_a, pair.model_b): pair for pair in found.pairs}
    singles = [row for row in found.generations if len(row.news) == len(row.olds) == 1]
    assert singles
    for row in singles:
        pair, key = row.pair, (row.news[0], row.olds[0])
        assert pair is not None
        others = [overall.get(key) or overall[key[::-1]], of_task.get(key) or of_task[key[::-1]]]
        assert {other.p_adjusted for other in others} == {pair.p_adjusted}


def test_the_choice_of_the_best_is_allowed_for_under_a_baseline_too(tmp_path: Path) -> None:
    run = of_three(tmp_path, 0.02, n=4000)
    for baseline in (None, "gpt2-0"):
        rows = gpteval.compare(run, baseline=baseline).generations
        (best,) = [row.pair for row in rows if row.form == "best against best"]
        assert best is not None
        assert best.p_adjusted > 2 * best.figure.p, "of nine pairs"
        assert best.high - best.low > 1.2 * (best.figure.ci_high - best.figure.ci_low)


def test_the_last_checkpoint_stands_for_its_training(tmp_path: Path) -> None:
    run = of_three(tmp_path, 0.1)
    document = json.loads((run / "results.json").read_text())
    for row in document["results"]:
        if row["model"] in ("gpt3-0", "gpt3-1"):
            row |= {"model_family": "training", "step": 100 if row["model"] == "gpt3-0" else 200}
    (run / "results.json").write_text(json.dumps(document))
    row = gpteval.compare(run).generations[0]
    assert row.news == ("gpt3-1", "gpt3-2")
    assert not row.over_models, "checkpoints of one training are no further trainings"
    sides = {"old": ["gpt2-0", "gpt2-1", "gpt2-2"], "new": ["gpt3-0", "gpt3-1", "gpt3-2"]}
    (named,) = gpteval.compare(run, sides=sides).generations
    assert not named.over_models, "nor where somebody names them as a side"


def test_the_headline_and_the_column_are_over_the_same_tasks(tmp_path: Path) -> None:
    answers: dict[tuple[str, str], Any] = {}
    for model, level in (("old", 0.4), ("new", 0.7)):
        answers[model, "shared"] = scores(right(level))
    answers["new", "alone"] = scores(right(0.1))
    run = make_run(
        tmp_path / "r",
        answers,
        generations={"new": ("gpt3", 100), "old": ("gpt2", 100)},
        chance={"shared": 0.5, "alone": 0.5},
    )
    document = json.loads((run / "results.json").read_text())
    for row in document["results"]:
        row |= {"ci_low": row["value"] - 0.05, "ci_high": row["value"] + 0.05, "stderr": 0.025}
    (run / "results.json").write_text(json.dumps(document))
    board = leaderboard(read_runs([run]).merged)
    assert {model.name: model.centred for model in board.models} == {
        "old": pytest.approx(-0.2),
        "new": pytest.approx(0.4),
    }
    said = answer(board).replace("\u00a0", " ").replace("\u2011", "-")
    assert said.startswith("Over 1 of 2 tasks, those with right and wrong answers that every model ran, the models'")
    assert "from 0 (guessing, below it worse) to 100 (perfect) is GPT-2 −20.0" in said

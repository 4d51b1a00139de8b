"""What is said where samples are small, nobody disagrees, tables are large or results are missing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gpteval
from gpteval.cli import _run
from gpteval.stats.evidence import of_answers
from gpteval.stats.significance import holm
from gpteval.stats.simultaneous import adjusted
from gpteval.store.runs import read_runs
from tests.made_runs import make_run, scores

rng = np.random.default_rng
Compare = Callable[..., tuple[int, dict[str, Any], str]]


@pytest.fixture
def compare(capsys: pytest.CaptureFixture[str]) -> Compare:
    def command(run: Path, *options: str) -> tuple[int, dict[str, Any], str]:
        code = _run(["compare", str(run), "--format", "json", *options])
        said = capsys.readouterr()
        return code, json.loads(said.out) if said.out else {}, said.err

    return command


def failing(run: Path, model: str, task: str, error: str) -> Path:
    document = json.loads((run / "results.json").read_text())
    document["failures"].append({"model": model, "task": task, "error": error})
    (run / "results.json").write_text(json.dumps(document))
    return run


class TestTooLittle:
    @pytest.mark.parametrize("n", [1, 2, 4])
    def test_a_few_texts_name_no_winner(self, tmp_path: Path, compare: Compare, n: int) -> None:
        """Two models' perplexities of one text, 6,585 and 6,550, were "x 1.005, p < 0.001, is better"."""
        sides = {"a": 8.7925, "b": 8.7872}
        answers = {(m, "t"): [(nats * 100, 100.0, 90.0, 500.0)] * n for m, nats in sides.items()}
        run = make_run(tmp_path / "r", answers, metrics={"t": "token_perplexity"})
        code, said, _ = compare(run)
        (pair,) = said["pairs"]
        assert code == 0
        assert pair["p_adjusted"] is pair["low"] is pair["figure"]["p"] is pair["figure"]["ci_low"] is None
        assert pair["verdict"] == f"no verdict: {n} item{'s' * (n > 1)}, too few to tell: 5 are needed"
        assert _run(["compare", str(run)]) == 0

    def test_a_value_that_is_none_names_no_winner(self, tmp_path: Path, compare: Compare) -> None:
        """Perplexities beyond what a number holds have no ratio; a text without a token none at all."""
        answers = {(m, "t"): [(nats, 1.0, 1.0, 1.0)] * 8 for m, nats in (("a", 1e4), ("b", 2e4))}
        run = make_run(tmp_path / "r", answers, metrics={"t": "token_perplexity"})
        document = json.loads((run / "results.json").read_text())
        for row in document["results"]:
            row["value"] = 1e300
        (run / "results.json").write_text(json.dumps(document))
        _, said, _ = compare(run)
        assert said["pairs"][0]["verdict"] == "no verdict: the score is not finite without one of the items"

    def test_the_same_texts_with_the_same_scores_are_no_proof(self, tmp_path: Path, compare: Compare) -> None:
        """Nor are last digits that another batch size gives."""
        nats = [(float(n), 30.0, 20.0, 100.0) for n in rng(0).gamma(50, 2.0, 20)]
        again = [(n * (1 + 1e-12), *rest) for n, *rest in nats]
        run = make_run(tmp_path / "r", {("a", "t"): nats, ("b", "t"): again}, metrics={"t": "token_perplexity"})
        _, said, _ = compare(run)
        assert said["pairs"][0]["verdict"] == "no verdict: both have the same score on every item"

    def test_four_passages_are_too_few(self, tmp_path: Path, compare: Compare) -> None:
        answers = {("a", "t"): scores(np.ones(40)), ("b", "t"): scores(np.zeros(40))}
        run = make_run(tmp_path / "r", answers, clusters={"t": [f"p{n // 10}" for n in range(40)]})
        _, said, _ = compare(run)
        assert said["pairs"][0]["verdict"] == "no verdict: 4 clusters, too few to tell: 5 are needed"


@pytest.mark.parametrize("metric", ["acc", "f1", "rougeL"])
@pytest.mark.parametrize("n", [10, 100])
def test_nobody_disagrees(tmp_path: Path, compare: Compare, metric: str, n: int) -> None:
    """Such rows had the interval [0, 0], an MDE of 0 and the verdict "equal"."""
    run = make_run(tmp_path / "r", {(m, "t"): scores(np.ones(n)) for m in "ab"}, metrics={"t": metric})
    _, said, _ = compare(run)
    (pair,) = said["pairs"]
    assert pair["low"] < -2 / n
    assert pair["high"] > 2 / n
    assert pair["mde"] > 2 / n
    assert pair["verdict"].startswith("not separated: at most ")
    for row in said["overall"]:
        assert row["low"] < -2 / n < 2 / n < row["high"]


class TestMargins:
    def test_ten_of_ten_show_no_non_inferiority(self, tmp_path: Path, compare: Compare) -> None:
        run = make_run(tmp_path / "r", {(m, "t"): scores(np.ones(10)) for m in "ab"})
        code, _, told = compare(run, "--no-worse-than", "b", "--margin", "1")
        assert code == 1
        assert "a on t (0-shot) may be worse than b by 27.75 points, more than 1; about " in told
        assert "items would show it if the difference stayed" in told

    def test_many_do(self, tmp_path: Path, compare: Compare) -> None:
        run = make_run(tmp_path / "r", {(m, "t"): scores(np.ones(1000)) for m in "ab"})
        assert compare(run, "--no-worse-than", "b", "--margin", "1")[0] == 0

    def test_what_lies_on_the_margin_seldom_passes(self, tmp_path: Path, compare: Compare) -> None:
        """A true loss of one point at a level of 98 % passed 66 to 12 % of times at 20 to 100 items."""
        passed = 0
        for seed in range(60):
            worse = rng(seed).random(50) < 0.01
            run = make_run(tmp_path / f"{seed}", {("a", "t"): scores(1.0 - worse), ("b", "t"): scores(np.ones(50))})
            passed += compare(run, "--no-worse-than", "b", "--margin", "1")[0] == 0
        assert passed == 0

    def test_what_one_did_not_run_is_not_shown(self, tmp_path: Path, compare: Compare) -> None:
        both = {(m, "t"): scores(np.ones(1000)) for m in "ab"}
        run = make_run(tmp_path / "r", both | {("b", "u"): scores(np.ones(1000))})
        code, _, told = compare(run, "--no-worse-than", "b", "--margin", "1")
        assert code == 1
        assert "a on u (0-shot) has nothing to hold against b" in told

    def test_alike_within_a_margin(self, tmp_path: Path, compare: Compare) -> None:
        right = (rng(1).random(2000) < 0.7).astype(float)
        run = make_run(tmp_path / "r", {("a", "t"): scores(right), ("b", "t"): scores(right)})
        assert compare(run, "--margin", "1")[1]["pairs"][0]["verdict"] == "alike within 1 points"
        assert compare(run)[1]["pairs"][0]["verdict"] == "not separated: at most 0.20 points apart"


class TestGates:
    @pytest.fixture
    def run(self, tmp_path: Path) -> Path:
        """17 of 20 right: seen as 0.85, but 0.62 cannot be excluded."""
        values = {"mine": [1.0] * 17 + [0.0] * 3, "openai:gpt-4o": [1.0] * 19 + [0.0]}
        return make_run(tmp_path / "r", {(m, "sst2"): scores(v) for m, v in values.items()})

    @pytest.mark.parametrize(
        ("options", "code", "told"),
        [
            (["sst2>=0.85"], 0, "mine on sst2 (0-shot): 0.85 is >= 0.85, its interval 0.6211 to 0.9679 is not"),
            (["sst2>=0.85", "--gate-by", "interval"], 1, "mine on sst2 (0-shot): 0.85, its interval 0.6211 to 0.9679,"),
            (["sst2>=0.6", "--gate-by", "interval"], 0, ""),
            (["openai:gpt-4o:sst2>=0.9"], 0, "openai:gpt-4o on sst2"),
            (["mine:sst2@0>=.9"], 1, "mine on sst2 (0-shot): 0.85 is not >= 0.9"),
            (["mine:sst2@5>=0.9"], 2, "unknown model or task of these runs 'mine:sst2@5'"),
            (["other:sst2>=0.9"], 2, "unknown model or task of these runs 'other:sst2'"),
            (["sst2=0.9"], 2, "'sst2=0.9' is not a gate"),
            (["sst2>=high"], 2, "a gate is [MODEL:]TASK[@SHOTS]>=VALUE"),
            (["sst2>=0.1", "--gate-by", "luck"], 2, "unknown way to hold a gate 'luck'"),
        ],
    )
    def test_gates(self, run: Path, compare: Compare, options: list[str], code: int, told: str) -> None:
        found, _, said = compare(run, "--gate", *options)
        assert found == code, said
        assert told in said

    def test_ten_of_ten_show_no_ninety_percent(self, tmp_path: Path, compare: Compare) -> None:
        run = make_run(tmp_path / "ten", {("a", "t"): scores(np.ones(10))})
        code, _, said = compare(run, "--gate", "t>=0.9")
        assert (code, "holds by its value only: a on t (0-shot): 1 is >= 0.9, its interval 0.6915 to 1" in said) == (
            0,
            True,
        )
        assert compare(run, "--gate", "t>=0.9", "--gate-by", "interval")[0] == 1

    def test_a_model_that_failed_fails_the_gate(self, run: Path, compare: Compare) -> None:
        failing(run, "theirs", "sst2", "out of memory")
        code, _, said = compare(run, "--gate", "sst2>=0.1")
        assert code == 1
        assert "FAILED: theirs on sst2 has no result: out of memory" in said
        assert compare(run, "--gate", "mine:sst2>=0.1")[0] == 0
        assert compare(run, "--gate", "theirs:sst2>=0.1")[0] == 1

    def test_a_model_without_such_a_result_fails_the_gate(self, tmp_path: Path, compare: Compare) -> None:
        answers = {("a", "t"): scores(np.ones(20)), ("b", "t"): scores(np.ones(20)), ("a", "u"): scores(np.ones(20))}
        code, _, said = compare(make_run(tmp_path / "r", answers), "--gate", "u>=0.5")
        assert code == 1
        assert "b on u has no result: it was not run" in said


class TestTables:
    def test_thirty_three_checkpoints(self, tmp_path: Path, compare: Compare) -> None:
        """The one that is always wrong had rank 1: no permutation test of 10,000 draws survived 528 rows."""
        ability = rng(0).normal(0, 1, 300)
        answers = {("m0", "t"): scores(np.full(300, 0.0))}
        for m in range(1, 33):
            f1 = np.clip(0.5 + 0.2 * ability + rng(m).normal(0, 0.2, 300), 0, 1)
            answers[f"m{m}", "t"] = scores(f1)
        run = make_run(tmp_path / "r", answers, metrics={"t": "f1"})
        code, said, _ = compare(run)
        assert code == 0
        assert len(said["pairs"]) == 528
        of_zero = [p for p in said["pairs"] if "m0" in (p["model_a"], p["model_b"])]
        assert len(of_zero) == 32
        for pair in of_zero:
            assert pair["p_adjusted"] < 1e-6
            assert pair["verdict"] == f"{({pair['model_a'], pair['model_b']} - {'m0'}).pop()} is better"
        from gpteval.report.pairs_view import paired

        better = paired(read_runs([run])).better
        assert better["m0", "t-0"] == "32 better"
        assert better["m1", "t-0"] == "none better"
        assert [p for p in said["pairs"] if p not in of_zero and p["verdict"].endswith("better")] == []

    def test_interval_verdict_and_p_say_the_same(self, tmp_path: Path, compare: Compare) -> None:
        """20 of 190 rows of the demo had an interval without 0 and named no winner."""
        answers: dict[tuple[str, str], Any] = {}
        for task in range(8):
            for m in range(5):
                answers[f"m{m}", f"t{task}"] = scores((rng(10 * task + m).random(60) < 0.4 + 0.08 * m).astype(float))
        run = make_run(tmp_path / "r", answers, metrics={"t1": "f1", "t2": "rougeL"})
        _, said, _ = compare(run)
        rows = said["pairs"] + said["overall"] + [g["pair"] for g in said["generations"] if g["pair"]]
        assert {row["p_adjusted"] < 0.05 for row in rows} == {True, False}
        for row in rows:
            excludes = not row["low"] <= 0 <= row["high"] or 0 in (row["low"], row["high"])
            assert (row["p_adjusted"] < 0.05) == row["verdict"].endswith("is better") == excludes
            assert row["low"] <= row["figure"]["ci_low"] or row["low"] == 0
            assert row["high"] >= row["figure"]["ci_high"] or row["high"] == 0
            assert row["p_adjusted"] >= row["figure"]["p"]

    def test_one_question_has_one_answer(self, tmp_path: Path, compare: Compare) -> None:
        """A task's row, "all tasks" over that one and the sentence on generations gave p .061, .036 and .107."""
        a, b = np.zeros(60), np.zeros(60)
        a[:40], b[:30], b[40:41] = 1, 1, 1
        sides = {("new", "t"): scores(a), ("old", "t"): scores(b)}
        kinds = {"new": ("gpt2", 100), "old": ("gpt1", 100)}
        _, said, _ = compare(make_run(tmp_path / "r", sides, generations=kinds, chance={"t": 0.5}))
        task, over_all = said["pairs"][0], said["overall"][0]
        (row,) = said["generations"]
        forms = [row["pair"]]
        assert row["form"] == "family means, best against best, matched size"
        for row in (over_all, *forms):
            assert row["p_adjusted"] == pytest.approx(task["p_adjusted"], abs=1e-12)
            assert (row["low"], row["high"]) == pytest.approx((2 * task["low"], 2 * task["high"]))

    def test_it_finds_what_holm_finds_and_more(self) -> None:
        answers = [(rng(m).random(200) < 0.5 + 0.03 * m).astype(float) for m in range(8)]
        names = [str(n) for n in range(200)]
        rows = [of_answers("t", answers[a], answers[b], names) for a in range(8) for b in range(a)]
        ours, theirs = adjusted(rows).p, holm([row.p for row in rows])
        assert all(p <= q + 1e-12 for p, q in zip(ours, theirs, strict=True))
        assert sum(ours) < 0.9 * sum(theirs)
        assert all(p >= row.p for p, row in zip(ours, rows, strict=True))

    def test_independent_rows_are_sidaks(self) -> None:
        """Nothing to gain where rows share nothing: 1 - (1 - p)^m for the most striking one."""
        rows = []
        for task in range(12):
            a, b = np.ones(80), np.ones(80)
            b[: 9 if task == 3 else 4], a[9 : 13 if task != 3 else 10] = 0, 0
            rows.append(of_answers(f"t{task}", a, b, [f"{task}-{n}" for n in range(80)]))
        found = adjusted(rows)
        assert found.p[3] == pytest.approx(1 - (1 - rows[3].p) ** 12, abs=0.02)
        assert found.alpha == pytest.approx(1 - 0.95 ** (1 / 12), rel=0.06)

    def test_a_row_without_a_test_counts_for_nothing(self) -> None:
        few = of_answers("t", np.ones(3), np.zeros(3), ["a", "b", "c"])
        one = of_answers("u", np.ones(9), np.zeros(9), list("abcdefghi"))
        found = adjusted([few, one])
        assert np.isnan(found.p[0])
        assert found.p[1] == one.p
        assert adjusted([few]).alpha == adjusted([]).alpha == 0.05


def test_a_pair_says_what_pairing_gained(tmp_path: Path) -> None:
    hard = rng(0).random(400) < 0.5
    a, b = np.where(rng(1).random(400) < 0.9, hard, ~hard), np.where(rng(2).random(400) < 0.9, hard, ~hard)
    run = make_run(tmp_path / "r", {("a", "t"): scores(a.astype(float)), ("b", "t"): scores(b.astype(float))})
    figure = gpteval.compare(run).pairs[0].figure
    assert figure.correlation == pytest.approx(np.corrcoef(a, b)[0, 1])
    assert figure.gain == pytest.approx((a.var() + b.var()) / (a * 1.0 - b).var(), rel=0.03)
    assert figure.gain > 2

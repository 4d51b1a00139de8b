"""Paired comparison: against scipy, statsmodels and sacreBLEU, by simulation, and whatever the order."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gpteval
from gpteval.comparison.formats import render
from gpteval.comparison.results import as_dict
from gpteval.core.outcomes import Generated
from gpteval.core.types import Generate
from gpteval.metrics.named import metric_registry
from gpteval.stats.resample import weights
from gpteval.stats.significance import holm, mcnemar, tango
from tests import forks
from tests.compared_runs import (
    right,
    rng,
    run,  # noqa: F401  (fixtures)
)
from tests.made_runs import make_run, scores

METRICS = metric_registry()


class TestAgreement:
    @settings(deadline=None)
    @given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60))
    def test_mcnemar(self, answers: list[tuple[bool, bool]]) -> None:
        from statsmodels.stats.contingency_tables import mcnemar as reference

        a, b = np.array(answers, dtype=float).T
        table = [[int(((a == x) & (b == y)).sum()) for y in (1, 0)] for x in (1, 0)]
        assert mcnemar(table[0][1], table[1][0]) == pytest.approx(reference(table, exact=True).pvalue, abs=1e-12)

    @settings(deadline=None, max_examples=25)
    @given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
    def test_holm(self, p: list[float]) -> None:
        from statsmodels.stats.multitest import multipletests

        assert holm(p) == pytest.approx(multipletests(p, method="holm")[1], abs=1e-12)

    def test_holm_leaves_out_what_was_not_tested(self) -> None:
        adjusted = holm([0.01, float("nan"), 0.04])
        assert adjusted[0] == pytest.approx(0.02)
        assert np.isnan(adjusted[1])
        assert adjusted[2] == pytest.approx(0.04)

    @settings(deadline=None, max_examples=60)
    @given(st.integers(5, 400), st.data())
    def test_tangos_interval_is_what_a_score_test_does_not_reject(self, n: int, data: st.DataObject) -> None:
        """The likelihood under a given difference is maximised by a search here, and by Tango's formula there."""
        from scipy.optimize import minimize_scalar

        only_a = data.draw(st.integers(0, n))
        only_b = data.draw(st.integers(0, n - only_a))

        def z(d: float) -> float:
            def loss(b: float) -> float:  # minus the log-likelihood: B alone is right with share b, A with b + d
                terms = ((only_a, b + d), (only_b, b), (n - only_a - only_b, 1 - 2 * b - d))
                return -sum(count * np.log(max(share, 1e-300)) for count, share in terms if count)

            bounds = (max(0.0, -d), (1 - d) / 2)
            b = minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-10}).x
            return float(((only_a - only_b) / n - d) / np.sqrt((2 * b + d - d * d) / n))

        for bound, sign in zip(tango(only_a, only_b, n), (1, -1), strict=True):
            if abs(bound) < 1 - 1e-6:
                assert z(bound) == pytest.approx(sign * 1.959964, abs=0.01)

    def test_nobody_disagrees(self) -> None:
        low, high = tango(0, 0, 100)
        assert -low == pytest.approx(high)
        assert high == pytest.approx(1.96**2 / (100 + 1.96**2), abs=1e-4)

    @pytest.mark.parametrize("better", [0, 12])
    def test_sacrebleus_paired_bootstrap(self, tmp_path: Path, better: int) -> None:
        """The same verdict as its command line, and p within 0.02."""
        random = rng(better)
        words = "the a small cat dog sat ran on in house tree and red blue".split()
        references = [" ".join(random.choice(words, 12)) for _ in range(120)]

        def translated(seed: int, wrong: float) -> list[str]:
            noise = rng(seed)
            return [" ".join(w if noise.random() > wrong else "x" for w in r.split()) for r in references]

        systems = [translated(1, 0.30), translated(2, 0.30 - better / 100)]
        for name, lines in (("ref", references), ("one", systems[0]), ("two", systems[1])):
            (tmp_path / name).write_text("\n".join(lines) + "\n")
        command = [sys.executable, "-m", "sacrebleu", "ref", "-i", "one", "two", "--paired-bs", "-f", "json"]
        done = forks.run([*command, "--paired-bs-n", "10000"], cwd=tmp_path, check=True)
        theirs = json.loads(done.stdout)[1]["BLEU"]["p_value"]
        metric = METRICS["bleu"]
        stats = [
            [metric.stats(Generate("p", [r]), Generated(t, "stop", 1)) for r, t in zip(references, lines, strict=True)]
            for lines in systems
        ]
        run = make_run(tmp_path / "run", {("one", "t"): stats[0], ("two", "t"): stats[1]}, metrics={"t": "bleu"})
        (pair,) = gpteval.compare(run).pairs
        assert pair.figure.p_sacrebleu == pytest.approx(theirs, abs=0.02)
        assert (pair.figure.p < 0.05) == (theirs < 0.05) == bool(better)
        assert pair.figure.ahead > 0.9 or not better


class TestResamples:
    def test_weights_are_poissons(self) -> None:
        drawn = weights([str(n) for n in range(400)], draws=5000)
        shares = np.bincount(drawn.ravel(), minlength=5)[:5] / drawn.size
        assert shares == pytest.approx([np.exp(-1) / f for f in (1, 1, 2, 6, 24)], abs=0.001)
        assert drawn.mean() == pytest.approx(1, abs=0.002)
        assert np.abs(np.corrcoef(drawn[:20])[np.triu_indices(20, 1)]).max() < 0.07

    def test_an_items_weights_are_its_own(self) -> None:
        names = [f"item {n}" for n in range(20)]
        whole = weights(names)
        assert (weights(names[::-1])[::-1] == whole).all()
        assert (weights(names[3:7]) == whole[3:7]).all()
        assert (weights(["x", "y", "x"])[0] == weights(["x"])[0]).all()
        assert (weights(names, seed=1) != whole).any()


class TestComparison:
    def test_rows(self, run: Path) -> None:
        found = gpteval.compare(run)
        assert found.models == ("gpt1", "gpt2-a", "neo", "gpt2-b") or found.models == (
            "gpt1",
            "gpt2-a",
            "gpt2-b",
            "neo",
        )
        assert len(found.pairs) == 2 * 6
        pair = next(p for p in found.pairs if (p.model_a, p.model_b, p.task) == ("neo", "gpt1", "one"))
        assert pair.figure.effect == pytest.approx(pair.figure.value_a - pair.figure.value_b)
        assert pair.figure.ci_low < pair.figure.effect < pair.figure.ci_high
        assert pair.verdict == "neo is better"
        assert pair.figure.n == 200
        assert pair.uncut is not None
        assert pair.uncut.n == 140
        assert pair.low < pair.figure.ci_low
        assert pair.figure.ci_high < pair.high
        assert pair.mde > 2.8 * pair.figure.stderr, "more rows need more"
        assert 0 < pair.figure.correlation < 1
        assert pair.figure.gain > 1.5
        frame = found.to_frame()
        assert len(frame) == len(found.pairs) + len(found.families) + len(found.overall)
        assert set(frame["scope"]) == {"pairs", "overall"}

    def test_overall_is_the_mean_of_centred_scores(self, run: Path) -> None:
        found = gpteval.compare(run, baseline="gpt1")
        row = next(p for p in found.overall if p.model_a == "neo")
        of_tasks = [p.figure.effect for p in found.pairs if p.model_a == "neo"]
        assert row.figure.effect == pytest.approx(np.mean(of_tasks) / 0.75)

    def test_generations_in_three_forms(self, run: Path) -> None:
        found = {(g.older, g.newer, g.form): g for g in gpteval.compare(run).generations}
        assert [form for *_, form in found] == [
            *("family means", "best against best", "matched size"),
            *("family means", "best against best, matched size"),
            *("family means, best against best", "matched size"),
        ], "what are the same models is said once"
        means = found["GPT-1", "GPT-2", "family means"]
        assert (means.news, means.olds) == (("gpt2-a", "gpt2-b"), ("gpt1",))
        assert means.pair is not None
        assert found["GPT-1", "GPT-2", "best against best"].news == ("gpt2-b",)
        assert found["GPT-1", "GPT-2", "matched size"].news == ("gpt2-a",)
        both = found["GPT-2", "GPT-3 style", "best against best, matched size"]
        assert (both.news, both.olds) == (("neo",), ("gpt2-b",))
        none = found["GPT-1", "GPT-3 style", "matched size"]
        assert none.pair is None
        assert "no two of them are of the same size" in none.why

    def test_common_items_become_the_headline(self, run: Path) -> None:
        plain, common = gpteval.compare(run), gpteval.compare(run, common_items=True)
        for a, b in zip(plain.pairs, common.pairs, strict=True):
            if a.uncut is None:
                assert a.figure == b.figure
            else:
                assert (b.figure, b.uncut) == (a.uncut, a.figure)

    def test_a_figure_that_turns_around_in_the_same_room_is_told(self, tmp_path: Path) -> None:
        a, b = np.ones(100), np.ones(100)
        a[:40], b[40:60] = 0, 0  # a loses what it had to cut, and wins elsewhere
        run = make_run(
            tmp_path / "r", {("a", "t"): scores(a), ("b", "t"): scores(b)}, truncated={("a", "t"): range(40)}
        )
        (pair,) = gpteval.compare(run, baseline="b").pairs
        assert pair.figure.effect < 0 < pair.uncut.effect  # type: ignore[union-attr]
        assert pair.disagreement == "the sign turns around"

    def test_two_that_are_not_separated_may_be_so_far_apart(self, tmp_path: Path) -> None:
        a, b = right(0.5, 40, 1), right(0.5, 40, 2)
        run = make_run(tmp_path / "r", {("a", "t"): scores(a), ("b", "t"): scores(b)})
        (pair,) = gpteval.compare(run).pairs
        far = 100 * max(pair.high, -pair.low)
        assert (pair.low, pair.high) == (pair.figure.ci_low, pair.figure.ci_high), "one row is held against itself"
        assert pair.verdict == f"not separated: at most {np.ceil(far * 10) / 10:.1f} points apart"
        assert pair.verdict in render(gpteval.compare(run), "text")
        assert gpteval.compare(run, margin=far + 0.1).pairs[0].verdict == f"alike within {far + 0.1:g} points"

    def test_perplexities_are_compared_by_ratio(self, tmp_path: Path) -> None:
        nats = rng(0).gamma(50, 2.0, 60)
        better = [(n * 0.95, 30.0, 20.0, 100.0) for n in nats]
        worse = [(n, 30.0, 20.0, 100.0) for n in nats]
        run = make_run(tmp_path / "r", {("a", "t"): better, ("b", "t"): worse}, metrics={"t": "token_perplexity"})
        (pair,) = gpteval.compare(run, baseline="b").pairs
        assert pair.by_ratio
        assert pair.figure.effect == pytest.approx(pair.figure.value_a / pair.figure.value_b)
        assert pair.figure.ci_high < 1
        assert pair.verdict == "a is better"
        assert pair.figure.ahead == 1.0

    def test_clustered_answers_are_held_by_cluster(self, tmp_path: Path) -> None:
        passages = [f"p{n // 10}" for n in range(100)]
        a = np.repeat([1, 1, 1, 0, 1, 1, 0, 1, 1, 1], 10).astype(float)
        b = np.repeat([1, 0, 1, 1, 1, 0, 0, 1, 0, 1], 10).astype(float)
        answers = {("a", "t"): scores(a), ("b", "t"): scores(b)}
        naive = gpteval.compare(make_run(tmp_path / "n", answers)).pairs[0].figure
        grouped = gpteval.compare(make_run(tmp_path / "c", answers, clusters={"t": passages})).pairs[0].figure
        assert naive.test == "exact McNemar"
        assert naive.p < 0.01
        assert grouped.test == "paired jackknife t"
        assert grouped.p > 0.3
        assert grouped.stderr > 2 * naive.stderr


class TestInvariance:
    def test_orders_and_merging_change_no_digit(self, run: Path, tmp_path: Path) -> None:
        document = json.loads((run / "results.json").read_text())
        manifest = (run / "manifest.json").read_text()
        halves = []
        for name, models in (("x", ("neo", "gpt1")), ("y", ("gpt2-b", "gpt2-a"))):
            half = tmp_path / name
            half.mkdir()
            (half / "samples").symlink_to(run / "samples")
            rows = [row for row in reversed(document["results"]) if row["model"] in models]
            (half / "results.json").write_text(json.dumps(document | {"results": rows}))
            (half / "manifest.json").write_text(manifest)
            halves.append(half)
        whole = json.dumps(as_dict(gpteval.compare(run)))
        assert json.dumps(as_dict(gpteval.compare(run))) == whole
        assert json.dumps(as_dict(gpteval.compare(halves))) == whole
        assert json.dumps(as_dict(gpteval.compare(halves[::-1]))) == whole

    def test_other_models_change_no_figure(self, run: Path, tmp_path: Path) -> None:
        few = tmp_path / "few"
        few.mkdir()
        (few / "samples").symlink_to(run / "samples")
        document = json.loads((run / "results.json").read_text())
        rows = [row for row in document["results"] if row["model"] in ("neo", "gpt1")]
        (few / "results.json").write_text(json.dumps(document | {"results": rows}))
        (few / "manifest.json").write_text((run / "manifest.json").read_text())
        all_pairs = {(p.task, p.model_a, p.model_b): p.figure for p in gpteval.compare(run).pairs}
        for pair in gpteval.compare(few).pairs:
            assert all_pairs[pair.task, pair.model_a, pair.model_b] == pair.figure

"""The command of few-shot experiments, and what it says in words."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gpteval
from gpteval.core.errors import UsageError
from gpteval.core.outcomes import Failure
from gpteval.experiments.curves import Grid, make_curve
from gpteval.experiments.fewshot import FewShot, analyse
from gpteval.experiments.words import sparkline
from gpteval.run.units import Listener, Unit
from gpteval.stats.two_way import seed_spread, two_way
from tests.conftest import RunCli
from tests.fewshot_cells import Simulated, cell
from tests.lm_eval_logs import choice, write_log


def test_a_line_of_bars() -> None:
    assert sparkline([0, 0.5, 1, math.nan], 0, 1) == "▁▅█·"
    assert sparkline([2, 2], 2, 2) == "▅▅"


class Stopped(Listener):
    """Ends the work after some units, as Ctrl-C does."""

    def __init__(self, after: int) -> None:
        self.left = after

    def unit_done(self, unit: Unit, results: Sequence[Any]) -> None:
        self.left -= 1
        if not self.left:
            raise KeyboardInterrupt

    def unit_failed(self, unit: Unit, failure: Failure) -> None:
        raise AssertionError(failure.error)


def run(out: Path, listener: Listener | None = None, **options: Any) -> FewShot:
    settings: dict[str, Any] = {"shots": (0, 1, 3), "seeds": 2, "limit": 15, "cache": False, "device": "cpu"} | options
    controls = ("random-labels", "order")
    return gpteval.fewshot("gpt2-nano", "nano_topic", controls=controls, out=out, listener=listener, **settings)


class TestRuns:
    def test_stopped_and_continued(self, tmp_path: Path) -> None:
        calm = run(tmp_path / "calm")
        for after in (4,):
            with pytest.raises(KeyboardInterrupt):
                run(tmp_path / "stopped", Stopped(after))
        run(tmp_path / "stopped")
        texts = [(tmp_path / name / "fewshot.json").read_text() for name in ("calm", "stopped")]
        assert texts[0] == texts[1]
        document = json.loads(texts[0])
        assert document["settings"]["seeds"] == 2
        (curve,) = document["curves"]
        assert [point["shots"] for point in curve["points"]] == [0, 1, 3]
        assert [len(point["orders"]) for point in curve["points"]] == [0, 0, 3]
        frame = calm.to_frame()
        assert list(frame["shots"]) == [0, 1, 3]
        assert frame["value"][0] == calm.curves[0].points[0].score.value
        rows = json.loads((tmp_path / "calm" / "results.json").read_text())["results"]
        values = {row["shots"]: row["value"] for row in rows if row["primary"]}
        assert values == {point.shots: point.seeds[0] for point in calm.curves[0].points}, (
            "the first seed's are results"
        )

    def test_more_seeds_and_shots_change_no_cell(self, tmp_path: Path) -> None:
        fewer = run(tmp_path / "a", shots=(0, 3), seeds=1)
        more = run(tmp_path / "b", shots=(0, 1, 3), seeds=2, templates="all")
        points = {point.shots: point for point in more.curves[0].points}
        for point in fewer.curves[0].points:
            assert point.seeds == points[point.shots].seeds[:1]

    def test_on_screen(self, tmp_path: Path, in_process: RunCli) -> None:
        words = ("fewshot", "--models", "gpt2-nano", "--tasks", "nano_topic,nano_prose", "--shots", "0,2", "--seeds", 2)
        done = in_process(*words, "--limit", 15, "--out", tmp_path / "run")
        assert done.returncode == 0
        assert "nano_prose scores whole texts and takes no examples: it is left out" in done.stderr
        assert "3 of 3 cells" in done.stderr
        assert "a doubling brings" in done.stdout
        assert "from 0 to 2 examples" in done.stdout.replace("\n", " ")
        page = (tmp_path / "run" / "report.html").read_text()
        assert "Examples in the prompt" in page
        document = in_process(*words, "--limit", 15, "--out", tmp_path / "run", "--json")
        assert json.loads(document.stdout)["curves"][0]["task"] == "nano_topic"

    def test_a_pool_that_is_too_small_costs_that_number_of_examples_only(
        self, tmp_path: Path, in_process: RunCli
    ) -> None:
        (tmp_path / "tasks").mkdir()
        (tmp_path / "tasks" / "few.py").write_text(
            "from gpteval import Choice, generated, task\n"
            "rows = [{'n': n} for n in range(6)]\n"
            "@task(family='qa', source=generated(lambda split: rows, revision='1'), metric='acc')\n"
            "def few(item):\n"
            "    return Choice(f\"{item['n']} is\", [' even', ' odd'], gold=item['n'] % 2)\n"
        )
        words = ("--models", "gpt2-nano", "--tasks", "few", "--shots", "0,2,9", "--task-dir", tmp_path / "tasks")
        done = in_process("fewshot", *words, "--seeds", 2, "--out", tmp_path / "run")
        assert done.returncode == 1
        assert "9 examples asked for, but only 5 others are there" in done.stderr
        (curve,) = json.loads((tmp_path / "run" / "fewshot.json").read_text())["curves"]
        assert all(point["room"] == point["uncut"] for point in curve["points"]), "its name before"
        assert [point["shots"] for point in curve["points"]] == [0, 2]

    @pytest.mark.parametrize(
        ("words", "told"),
        [
            (("--shots", "4"), "--shots takes two numbers"),
            (("--seeds", "0"), "--seeds must be at least 1"),
            (("--controls", "labels"), "--controls are random-labels and order, not labels"),
            (("--templates", "nope"), "unknown template of nano_topic"),
            (("--shots-mode", "all"), "--shots-mode is per-item or fixed"),
            (("--tasks", "nano_prose"), "none of these tasks takes examples"),
            (("--metric", "ece"), "ece tells of one model"),
            (("--metric", "nope"), "unknown metric"),
        ],
    )
    def test_what_cannot_be_is_refused(
        self, tmp_path: Path, in_process: RunCli, words: tuple[str, ...], told: str
    ) -> None:
        common = ("fewshot", "--models", "gpt2-nano", "--tasks", "nano_topic", "--out", tmp_path / "run")
        done = in_process(*common, *words)
        assert done.returncode == 2
        assert told in done.stderr

    def test_by_another_metric_its_scores_are_those_of_the_results(self, tmp_path: Path, in_process: RunCli) -> None:
        common = (
            "fewshot",
            "--models",
            "gpt2-nano",
            "--shots",
            "0,2",
            "--seeds",
            "1",
            "--limit",
            "8",
            "--out",
            tmp_path,
        )
        done = in_process(*common, "--tasks", "nano_topic,nano_en_fr", "--metric", "bpb")
        assert "nano_en_fr cannot be scored by bpb: left out." in done.stdout
        document = json.loads((tmp_path / "fewshot.json").read_text())
        rows = json.loads((tmp_path / "results.json").read_text())["results"]
        values = {row["shots"]: row["value"] for row in rows if row["metric"] == "bpb"}
        (curve,) = document["curves"]
        assert (curve["metric"], curve["higher_is_better"]) == ("bpb", False)
        assert {point["shots"]: point["score"]["value"] for point in curve["points"]} == pytest.approx(
            values, abs=1e-12
        )
        refused = in_process(*common, "--tasks", "nano_en_fr", "--metric", "bpb")
        assert (refused.returncode, "none of these tasks can be scored by bpb" in refused.stderr) == (2, True)

    def test_a_logs_own_prompts_take_no_examples(self, tmp_path: Path, in_process: RunCli) -> None:
        log = write_log(tmp_path / "log", {"t": [choice(n, [-1.0, -2.0]) for n in range(6)]})
        done = in_process("fewshot", "--models", "gpt2-nano", "--tasks", f"log:{log}", "--out", tmp_path / "run")
        assert done.returncode == 2
        assert "t asks a log's own prompts, and takes no examples: it is left out" in done.stderr

    def test_python_refuses_too(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match="takes no examples|takes examples"):
            gpteval.fewshot("gpt2-nano", "nano_prose", out=tmp_path)


def test_sentences_say_who_gains() -> None:
    shares = {"low": (0.3, 0.3), "high": (0.3, 0.7)}
    rng = np.random.default_rng(0)
    cells = []
    for model, (without, given) in shares.items():
        luck = rng.random(300)
        cells += [cell(luck < without, 0, 0, model=model), cell(luck < given, 8, 0, model=model)]
    (alone,) = analyse(cells).sentences
    assert alone.startswith(
        "On t, low has 25.3 with 0 and 25.3 with 8; high has 28.0 with 0 and 71.3 with 8. That is a"
    )
    (said,) = analyse(cells, per_item=True).sentences
    assert said.startswith("high gains 4")
    assert "points from 0 to 8 examples on t (" in said
    assert said.endswith("low gains nothing measurable.")


def test_sentences_hold_any_name_and_say_each_models_own_range() -> None:
    luck = np.random.default_rng(0).random(300)
    cells = []
    for model, most in (("nothing measurable (v 2)", 8), ("b c", 4)):
        cells += [cell(luck < 0.3, 0, model=model), cell(luck < 0.7, most, model=model)]
    gain = f"{100 * ((luck < 0.7).mean() - (luck < 0.3).mean()):.0f}"
    first, second = analyse(cells, per_item=True).sentences
    assert first.startswith(f"nothing measurable (v 2) gains {gain} points from 0 to 8 examples on t (")
    assert second.startswith(f"b c gains {gain} points from 0 to 4 examples on t (")


def test_what_is_not_finite_stays_so() -> None:
    values, draws = np.array([0.5, math.nan]), np.full((2, 100), 0.5)
    assert math.isnan(seed_spread(values, draws, 50).sd)
    assert math.isnan(two_way(values, draws, 50).ci_low)


def test_orders_without_the_first_seeds_own() -> None:
    cells = [cell([1, 0], 2, 1), cell([1, 0], 2, 0, control="order-1")]
    (point,) = make_curve(Grid(cells)).points
    assert point.orders == ()


def test_curves_are_of_one_template_each() -> None:
    labels = [curve.label for curve in analyse(Simulated(0).cells).curves]
    assert labels == ["t", "t:other"]
    assert all(a.points[0].shots < b.shots for a in analyse(Simulated(0).cells).curves for _, b in pairwise(a.points))


@pytest.mark.parametrize("mode", ["fixed", "per-item"])
def test_one_seed_tells_of_others_where_each_item_has_its_own_examples(tmp_path: Path, mode: str) -> None:
    asked = {"shots": (0, 2), "seeds": 1, "limit": 20, "device": "cpu", "shots_mode": mode}
    found = gpteval.fewshot("gpt2-nano", "nano_topic", out=tmp_path, **asked)  # type: ignore[arg-type]
    (curve,) = found.curves
    assert curve.one_set == (mode == "fixed")
    assert ("a single set of examples" in found.sentences[0]) == (mode == "fixed")

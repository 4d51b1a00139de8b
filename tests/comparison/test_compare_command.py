"""The command compare, and comparisons of many models."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

import gpteval
from gpteval.cli import _run
from gpteval.comparison.formats import FORMATS
from gpteval.core.errors import UnknownNameError, UsageError
from tests.compared_runs import (
    right,
    run,  # noqa: F401  (fixtures)
)
from tests.made_runs import make_run, scores


class TestComparability:
    def two(self, tmp_path: Path, first: dict[str, Any], second: dict[str, Any]) -> list[Path]:
        return [
            make_run(tmp_path / name, {(name, "t"): scores(right(0.5, 50, 1))}, **facts)
            for name, facts in (("a", first), ("b", second))
        ]

    @pytest.mark.parametrize(
        ("first", "second", "told"),
        [
            ({"tasks": {"t": {"version": 1}}}, {"tasks": {"t": {"version": 2}}}, "version 2 and 1"),
            ({"tasks": {"t": {"revision": "x"}}}, {"tasks": {"t": {"revision": "y"}}}, "revision y and x"),
            ({"hashes": {("a", "t"): "p"}}, {"hashes": {("b", "t"): "q"}}, "prompts of 50 of 50 items"),
        ],
    )
    def test_other_prompts_or_data_are_refused(
        self, tmp_path: Path, first: dict[str, Any], second: dict[str, Any], told: str
    ) -> None:
        runs = self.two(tmp_path, first, second)
        with pytest.raises(UsageError, match=f"not comparable: they differ in {told}"):
            gpteval.compare(runs)
        (pair,) = gpteval.compare(runs, force=True).pairs
        assert pair.notes == (f"forced: {told}",)

    def test_another_dtype_is_marked(self, tmp_path: Path) -> None:
        runs = self.two(tmp_path, {"models": {"a": {"dtype": "float32"}}}, {"models": {"b": {"dtype": "bfloat16"}}})
        (pair,) = gpteval.compare(runs).pairs
        assert pair.notes == ("dtype bfloat16 and float32",)

    def test_what_a_server_does_not_tell_is_unknown(self, tmp_path: Path) -> None:
        runs = self.two(tmp_path, {"models": {"a": {"dtype": ""}}}, {"models": {"b": {"dtype": "float32"}}})
        (pair,) = gpteval.compare(runs).pairs
        assert sorted(pair.notes) in (["dtype float32 and unknown"], ["dtype unknown and float32"])

    def test_another_limit_leaves_the_shared_items(self, tmp_path: Path) -> None:
        a = make_run(tmp_path / "a", {("a", "t"): scores(right(0.5, 50, 1))}, config={"limit": 50})
        b = make_run(tmp_path / "b", {("b", "t"): scores(right(0.5, 80, 1))}, config={"limit": 80})
        (pair,) = gpteval.compare([a, b]).pairs
        assert pair.figure.n == 50
        assert "30 items that only one of them answered are left out" in pair.notes


class TestCommand:
    @pytest.mark.parametrize("kind", FORMATS)
    def test_formats(self, run: Path, capsys: pytest.CaptureFixture[str], kind: str) -> None:
        assert _run(["compare", str(run), "--baseline", "gpt1", "--format", kind]) == 0
        said = capsys.readouterr().out
        assert "gpt2-a" in said
        if kind == "json":
            pairs = json.loads(said)["pairs"]
            assert len(pairs) == 6
            assert all(pair["room"] == pair["uncut"] for pair in pairs), "its name before"
        if kind == "latex":
            assert said.count(r"\begin{tabular}") == said.count(r"\end{tabular}") == 2

    @pytest.mark.parametrize(
        ("options", "code", "told"),
        [
            (["--gate", "one>=0.1"], 0, ""),
            (["--gate", "one>=0.6"], 1, "gpt1 on one (0-shot)"),
            (["--gate", "two@0>=0.999"], 1, "is not >= 0.999"),
            (["--no-worse-than", "gpt1", "--margin", "5"], 0, ""),
            (["--no-worse-than", "neo", "--margin", "5"], 1, "gpt1 on one (0-shot) may be worse than neo by"),
            (["--gate", "one"], 2, "'one' is not a gate"),
            (["--gate", "three>=1"], 2, "unknown model or task of these runs 'three'"),
            (["--baseline", "gpt9"], 2, "unknown model 'gpt9'"),
            (["--metric", "bleu"], 2, "no results by 'bleu'"),
            (["--format", "pdf"], 2, "unknown format 'pdf'"),
        ],
    )
    def test_gates(
        self, run: Path, capsys: pytest.CaptureFixture[str], options: list[str], code: int, told: str
    ) -> None:
        assert _run(["compare", str(run), *options]) == code
        assert told in capsys.readouterr().err

    def test_a_run_without_samples(self, run: Path, capsys: pytest.CaptureFixture[str]) -> None:
        next((run / "samples").iterdir()).unlink()
        assert _run(["compare", str(run)]) == 2
        assert "has no samples of" in capsys.readouterr().err

    def test_no_torch(self, run: Path) -> None:
        code = f"import gpteval, sys; gpteval.compare({str(run)!r}); print('torch' in sys.modules)"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert done.stdout == "False\n"

    def test_gates_as_junit(self, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        file = tmp_path / "new" / "gates.xml"
        gates = ["--gate", "one>=0.1", "--gate", "one>=0.6", "--no-worse-than", "gpt1"]
        for _ in range(2):
            assert _run(["compare", str(run), *gates, "--junit", str(file)]) == 1
        told = [line for line in capsys.readouterr().err.splitlines() if line.startswith("FAILED: ")]
        suite = ElementTree.parse(file).getroot()
        failures = [found.get("message") for found in suite.iter("failure")]
        assert [f"FAILED: {message}" for message in failures] * 2 == told
        cases = list(suite.iter("testcase"))
        assert (suite.get("failures"), suite.get("tests")) == (str(len(failures)), str(len(cases)))
        assert {case.get("classname") for case in cases} == {
            "one>=0.1",
            "one>=0.6",
            "no worse than gpt1 by more than 0",
        }

    def test_junit_takes_no_other_file_and_needs_gates(
        self, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        file = tmp_path / "mine.xml"
        file.write_text("<mine/>")
        assert _run(["compare", str(run), "--gate", "one>=0.1", "--junit", str(file)]) == 2
        assert "was not made by gpteval and is left as it is" in capsys.readouterr().err
        assert file.read_text() == "<mine/>"
        assert _run(["compare", str(run), "--junit", str(tmp_path / "new.xml")]) == 2
        assert "--junit writes what --gate and --no-worse-than ask" in capsys.readouterr().err
        file.unlink()
        assert _run(["compare", str(run), "--gate", "one>=0.1", "--junit", str(run / "results.json" / "x.xml")]) == 2
        assert "cannot write" in capsys.readouterr().err


def test_python_says_what_is_not_there(run: Path) -> None:
    with pytest.raises(UnknownNameError, match="gpt9"):
        gpteval.compare(run, baseline="gpt9")


def test_many_models(tmp_path: Path) -> None:
    """``benchmarks/pairs.py`` measures 20 models on 20 tasks."""
    answers = {(f"m{m}", f"t{t}"): scores(right(0.4 + m / 60, 1000, 100 * t + m)) for m in range(20) for t in range(3)}
    run = make_run(tmp_path / "big", answers)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = gpteval.compare(run)
    assert len(found.pairs) == 190 * 3
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2**20  # KiB

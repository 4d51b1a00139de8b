"""Running until two models are told apart: what is asked, what is said, and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

import gpteval
from gpteval.core.errors import OutputError, UnknownNameError, UsageError
from gpteval.run.config import RunConfig
from gpteval.run.decide import FIRST, run_until_decided
from gpteval.run.runner import execute
from tests.conftest import RunCli

PAIR = ("gpt1-nano", "gpt3-nano")


def test_only_what_is_open_is_asked_further(tmp_path: Path, in_process: RunCli) -> None:
    done = in_process(
        *("run", "--models", ",".join(PAIR), "--tasks", "nano_topic,nano_rule", "--shots", 0, "--limit", 90),
        *("--until-decided", ",".join(PAIR), "--out", tmp_path / "r"),
    )
    assert done.returncode == 0, done.stderr
    said = done.stdout.splitlines()
    assert f"nano_topic: gpt3-nano is better, p < 0.001, after {FIRST} items" in said
    assert any(line.startswith("nano_rule: not separated: at most ") and "after 90 items" in line for line in said)
    rows = json.loads((tmp_path / "r" / "results.json").read_text())["results"]
    assert {(row["task"], row["n"]) for row in rows if row["primary"]} == {("nano_topic", FIRST), ("nano_rule", 90)}
    found = gpteval.compare(tmp_path / "r")
    assert {pair.figure.test for pair in found.pairs} == {"betting, at any time"}
    page = (tmp_path / "r" / "report.html").read_text()
    assert "took items until gpt1-nano and gpt3-nano were told apart" in page


def test_alike_is_an_answer_and_so_is_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    same = ("gpt2-nano", "gpt2-nano-medium")
    config = RunConfig(same, ("nano_rule",), shots=(0,), until_decided=same, out=tmp_path / "r", limit=60)
    _, (alike,) = run_until_decided(config, 60.0)
    assert alike.pair.verdict == "alike within 60 points"
    assert (alike.items, alike.whole, alike.open) == (FIRST, False, False)
    monkeypatch.setattr("gpteval.run.decide.GROWTH", 20)
    _, (ended,) = run_until_decided(replace(config, limit=None, out=tmp_path / "s"), 0.0)
    assert ended.pair.verdict.startswith("not separated")
    assert (ended.whole, ended.open) == (True, False)
    assert 60 < ended.items < 1000


def test_tasks_of_an_earlier_command_are_not_asked_further(tmp_path: Path) -> None:
    """Nobody asked for them, and at an API they cost."""
    same = ("gpt2-nano", "gpt2-nano-medium")
    asked = {"shots": (0,), "until_decided": same, "out": tmp_path, "limit": 70}
    run_until_decided(RunConfig(same, ("nano_rule",), **asked), 60.0)  # type: ignore[arg-type]
    _, found = run_until_decided(RunConfig(same, ("nano_sentiment",), **asked), 0.0)  # type: ignore[arg-type]
    assert [one.pair.task for one in found] == ["nano_sentiment"]
    rows = json.loads((tmp_path / "results.json").read_text())["results"]
    assert {(row["task"], row["n"]) for row in rows if row["primary"]} == {("nano_rule", FIRST), ("nano_sentiment", 70)}


def test_such_a_run_has_a_folder_of_its_own(tmp_path: Path) -> None:
    plain = RunConfig(PAIR, ("nano_topic",), shots=(0,), limit=50, out=tmp_path / "r")
    stopping = RunConfig(PAIR, ("nano_topic",), shots=(0,), limit=50, out=tmp_path / "r", until_decided=PAIR)
    run_until_decided(stopping, 0.0)
    with pytest.raises(OutputError, match="folder of its own"):
        execute(plain)


def test_bad_questions(tmp_path: Path, in_process: RunCli) -> None:
    def asked(*pair: str, task: str = "nano_topic", margin: float = 0.0) -> None:
        config = RunConfig(PAIR, (task,), shots=(0,), until_decided=pair, out=tmp_path / "r", limit=50)
        run_until_decided(config, margin)

    with pytest.raises(UsageError, match="two models"):
        asked("gpt1-nano")
    with pytest.raises(UnknownNameError, match="gpt2-nano"):
        asked("gpt1-nano", "gpt2-nano")
    with pytest.raises(UsageError, match="--margin"):
        asked(*PAIR, margin=-1.0)
    with pytest.raises(UsageError, match="nano_prose cannot be decided before the end: bits_per_byte is no mean"):
        asked(*PAIR, task="nano_prose")
    done = in_process("run", "--models", "nano", "--tasks", "nano_topic", "--margin", 1, "--out", tmp_path / "x")
    assert (done.returncode, "--until-decided" in done.stderr) == (2, True)

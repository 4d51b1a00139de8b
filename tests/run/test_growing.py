"""A folder that grows: more items, shots and tasks in place, and never numbers of fewer items beside those of more."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gpteval.core.errors import OutputError
from gpteval.report.leaderboard import leaderboard
from gpteval.run.evaluate import evaluate
from gpteval.run.units import Listener, RunOutcome, Unit
from gpteval.store.runs import read_runs
from tests.run.test_workers import results

TASKS = ("nano_topic", "nano_facts")


class Computed(Listener):
    """The tokens that were computed."""

    def __init__(self) -> None:
        self.tokens = 0

    def advanced(self, unit: Unit, tokens: int) -> None:
        self.tokens += tokens


def run(out: Path, limit: int | None, tasks: Any = TASKS, models: Any = "gpt2-nano", **more: Any) -> RunOutcome:
    made = evaluate(models, tasks, limit=limit, out=out, cache=False, device="cpu", **more)
    assert made.failures == ()
    return made


@pytest.mark.parametrize("more", [14, None])
def test_more_items_go_on_in_place(tmp_path: Path, more: int | None) -> None:
    run(tmp_path / "grown", 6, "nano_topic")
    few, many = Computed(), Computed()
    run(tmp_path / "grown", more, "nano_topic", listener=few)
    run(tmp_path / "fresh", more, "nano_topic", listener=many)
    assert results(tmp_path / "grown") == results(tmp_path / "fresh")
    assert few.tokens < many.tokens, "those of before are not asked again"
    assert json.loads((tmp_path / "grown" / "manifest.json").read_text())["config"]["limit"] == more
    run(tmp_path / "grown", more, "nano_facts")


def test_fewer_items_are_refused_with_a_folder_that_would_do(tmp_path: Path) -> None:
    run(tmp_path / "r", 6)
    with pytest.raises(OutputError, match="a run with limit=6; this command has limit=4") as refused:
        run(tmp_path / "r", 4)
    assert refused.value.hint == f"choose another folder, such as --out {tmp_path / 'r'}-limit-4"
    with pytest.raises(OutputError, match="limit=6, seed=0|seed=0, limit=6"):
        run(tmp_path / "r", 14, seed=1)


def test_nothing_of_fewer_items_is_left_beside_more(tmp_path: Path) -> None:
    run(tmp_path / "r", 6, shots=(0, 1))
    before = (tmp_path / "r" / "results.json").read_bytes()
    with pytest.raises(OutputError, match="gpt2-nano on nano_topic, 1-shot and 2 more"):
        run(tmp_path / "r", 14, "nano_topic", shots=0)
    assert (tmp_path / "r" / "results.json").read_bytes() == before
    run(tmp_path / "r", 14, models=["gpt2-nano", "gpt1-nano"], shots=(0, 1))
    assert {row["n"] for row in results(tmp_path / "r")} == {14}


def test_a_folder_that_grew_in_part_goes_on_and_says_so(tmp_path: Path) -> None:
    class Stop(Listener):
        def unit_done(self, unit: Unit, made: Any) -> None:
            raise KeyboardInterrupt

    run(tmp_path / "r", 6)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "r", 14, listener=Stop())
    assert [row["n"] for row in results(tmp_path / "r") if row["primary"]] == [14, 6]
    run(tmp_path / "other", 14, models="gpt1-nano")
    board = leaderboard(read_runs([tmp_path / "other", tmp_path / "r"]).merged)
    assert board.remarks == ["gpt2-nano, nano_facts: 6 items, where others have 14"]
    with pytest.raises(OutputError, match="gpt2-nano on nano_facts"):
        run(tmp_path / "r", 14, "nano_topic")
    run(tmp_path / "r", 14)
    assert [row["n"] for row in results(tmp_path / "r") if row["primary"]] == [14, 14]
    run(tmp_path / "r", 14, "nano_topic")

"""Units that are planned, computed and finished in slices: the results of whole ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from gpteval.core.errors import ItemError
from gpteval.engine.engine import Engine
from gpteval.run.evaluate import evaluate
from gpteval.run.finish import _Cost
from gpteval.tokens.queries import QueryResult
from tests.run.test_workers import results

TASKS = ("nano_topic", "nano_prose", "nano_en_fr")


def run(out: Path, **settings: Any) -> list[dict[str, Any]]:
    made = evaluate(["gpt2-nano"], TASKS, out=out, limit=20, cache=False, device="cpu", **settings)
    assert made.failures == ()
    return results(out)


def test_slices_give_the_results_of_a_whole_unit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = run(tmp_path / "whole")
    monkeypatch.setattr("gpteval.run.parts.SLICE", 7)
    monkeypatch.setattr("gpteval.run.finish.STRETCH", 3)
    sliced = run(tmp_path / "sliced")
    again = run(tmp_path / "sliced")
    spread = run(tmp_path / "spread", executor="process", workers=2)
    assert again == sliced == spread
    for a, b in zip(whole, sliced, strict=True):
        for key in ("value", "ci_low", "ci_high", "stderr"):
            assert a.pop(key) == pytest.approx(b.pop(key), rel=1e-5)
        a.pop("tokens"), b.pop("tokens")  # what items share is read once a slice
        assert a == b
    files = sorted(path.name for path in (tmp_path / "whole" / "samples").iterdir())
    assert files == sorted(path.name for path in (tmp_path / "sliced" / "samples").iterdir())
    for file in files:
        a, b = (pq.read_table(tmp_path / name / "samples" / file) for name in ("whole", "sliced"))
        assert a["item_id"].to_pylist() == b["item_id"].to_pylist()
        assert a["prediction"].to_pylist() == b["prediction"].to_pylist()


def test_a_slice_that_cannot_be_planned_ends_its_unit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gpteval.run.parts.SLICE", 7)
    plan, planned = Engine.plan, []

    def third(self: Engine, prompts: Any) -> Any:
        planned.append(len(prompts))
        if len(planned) == 2:
            raise ItemError("item 9 is none")
        return plan(self, prompts)

    monkeypatch.setattr(Engine, "plan", third)
    made = evaluate(["gpt2-nano"], ("nano_topic", "nano_prose"), out=tmp_path, limit=20, cache=False, device="cpu")
    (failure,) = made.failures
    assert "item 9 is none" in failure.error
    assert planned == [7, 7, 7, 7, 6], "nothing more of the first unit, all of the second"
    assert {path.name for path in (tmp_path / "samples").iterdir()} == {"gpt2-nano__nano_prose__0shot.parquet"}
    listed = json.loads((tmp_path / "manifest.json").read_text())["samples"]
    assert [entry["task"] for entry in listed] == ["nano_prose"]


def test_what_slices_share_costs_once() -> None:
    cost = _Cost()
    rows = {bytes([n]) * 16: QueryResult(1, seconds=1.0, processed=10) for n in range(3)}
    first, second, third = rows
    cost.add({first: rows[first], second: rows[second]}, lambda found: 1.0)
    cost.add({second: rows[second]}, lambda found: 0.0)
    cost.end_slice()
    cost.add({first: rows[first], third: rows[third]}, lambda found: 2.0)
    cost.end_slice()
    assert (cost.tokens, cost.seconds, cost.dollars) == (30, 3.0, 3.0)
    cost.add({}, lambda found: None)
    assert cost.dollars is None

"""Units that are planned, computed and finished in slices: the results of whole ones."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast

import pyarrow.parquet as pq
import pytest

from gpteval.backends.interface import Backend
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


class Priced:
    """What costs a dollar a query, all of which are asked for in the same second."""

    known = True

    def dollars(self, results: Iterable[QueryResult]) -> float | None:
        return float(len(list(results))) if self.known else None

    def spans(self, results: Iterable[QueryResult]) -> list[tuple[float, float]]:
        return [(0.0, result.seconds) for result in results] if self.known else []


def test_what_slices_share_costs_once() -> None:
    cost, backend = _Cost(), Priced()
    rows = {bytes([n]) * 16: QueryResult(1, seconds=1.0, processed=10) for n in range(3)}
    first, second, third = rows
    cost.add({first: rows[first], second: rows[second]}, cast(Backend, backend))
    cost.add({second: rows[second]}, cast(Backend, backend))
    cost.end_slice()
    cost.add({first: rows[first], third: rows[third]}, cast(Backend, backend))
    cost.end_slice()
    assert (cost.tokens, cost.seconds, cost.dollars, cost.wall_seconds) == (30, 3.0, 3.0, 1.0)
    backend.known = False
    cost.add({bytes([9]) * 16: QueryResult(1)}, cast(Backend, backend))
    assert (cost.dollars, cost.wall_seconds) == (None, None), "not known of one"

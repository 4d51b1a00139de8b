"""results.json is written as often as is cheap, and always at the end and on a stop."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gpteval.core.errors import ModelError
from gpteval.models.catalogue import resolve_models
from gpteval.run.config import RunConfig
from gpteval.run.ledger import SHARE, Ledger
from gpteval.run.runner import execute
from gpteval.run.units import Listener, Unit
from gpteval.store.folder import RunFolder
from gpteval.tasks.registry import task_registry

UNITS = 1000


def document(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "results.json").read_text())
    return found


def test_writing_takes_a_share_of_the_time_at_most(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (model,), task = resolve_models(["gpt2-nano"]), task_registry()["nano_topic"]
    time, spent = [0.0], [0.0]
    written = RunFolder.write_json

    def slow(self: RunFolder, name: str, content: dict[str, Any]) -> None:
        time[0] += 0.5
        spent[0] += 0.5
        written(self, name, content)

    monkeypatch.setattr(RunFolder, "write_json", slow)
    ledger = Ledger.of(RunConfig(("gpt2-nano",), ("nano_topic",), out=tmp_path), RunFolder(tmp_path), Listener())
    ledger.clock = lambda: time[0]
    for number in range(UNITS):
        time[0] += 0.1
        ledger.fail(Unit(model, task, number), ModelError("it is gone"))
        if number == 0:
            assert len(document(tmp_path)["failures"]) == 1, "the first is written at once"
    assert spent[0] < 2 * SHARE * time[0]
    assert 1 < len(document(tmp_path)["failures"]) < UNITS
    ledger.save()
    assert len(document(tmp_path)["failures"]) == UNITS, "nothing is missing at the end"


def test_what_is_done_is_written_when_a_run_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Stopping(Listener):
        done = 0

        def unit_done(self, *told: object) -> None:
            self.done += 1
            if self.done == 3:
                raise KeyboardInterrupt

    monkeypatch.setattr("gpteval.run.ledger.SHARE", 1e-9)  # after the first, never again
    config = RunConfig(("gpt2-nano",), ("nano_topic", "nano_facts", "nano_rule"), (0, 1), limit=4, out=tmp_path)
    with pytest.raises(KeyboardInterrupt):
        execute(config, Stopping())
    assert {row["task"] for row in document(tmp_path)["results"]} == {"nano_topic", "nano_facts"}
    assert execute(config).results
    assert len({(row["task"], row["shots"]) for row in document(tmp_path)["results"]}) == 6

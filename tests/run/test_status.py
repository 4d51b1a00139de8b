"""``gpteval status``, and ``--retry-failed``."""

from __future__ import annotations

import fcntl
import json
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from gpteval.core.errors import UsageError
from gpteval.run.evaluate import evaluate
from gpteval.run.units import Listener, Unit
from gpteval.store.folder import RunFolder
from gpteval.store.progress import ProgressFile, State, causes, read_progress
from tests.conftest import RunCli
from tests.tiny import save_tiny


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One that made a result of two models, and has a failure for a third whose weights are none."""
    folder = tmp_path_factory.mktemp("status")
    broken = save_tiny(folder / "broken")
    (broken / "model.safetensors").rename(folder / "kept")
    (broken / "model.safetensors").write_bytes(b"none")
    models = ["gpt1-nano", str(broken), "gpt2-nano"]
    evaluate(models, "nano_topic", limit=5, out=folder / "run", cache=False, device="cpu")
    return folder / "run"


def test_a_run_that_has_ended(run: Path, in_process: RunCli) -> None:
    done = in_process("status", run)
    assert done.returncode == 0
    assert "ended; 3 of 3 done, 1 of them failed" in done.stdout
    assert "2 results in" in done.stdout
    assert "failed: broken on nano_topic" in done.stdout
    assert "--retry-failed" in done.stdout
    told = json.loads(in_process("status", run, "--json").stdout)
    assert (told["running"], told["results"], told["progress"]["ended"]) == (False, 2, True)


def test_a_run_under_way_and_one_that_was_stopped(run: Path, tmp_path: Path, in_process: RunCli) -> None:
    progress = ProgressFile(tmp_path, 8)
    state = progress.state
    state.planned, state.finished, state.workers, state.wanted = 2, 1, 3, 4000
    progress.add("gpt2 on piqa, 0-shot", 200)
    assert progress.state.rate == 0, "one batch tells nothing"
    progress._first = (time.monotonic() - 8, 200)
    progress.add("gpt2 on piqa, 0-shot", 800)
    progress.write(now=True)
    folder = RunFolder(tmp_path)
    told = in_process("status", tmp_path).stdout
    assert "running" in told
    assert "1 of 8 done" in told
    assert "at gpt2 on piqa, 0-shot" in told
    assert "3 workers: 1,000 tokens, 100 tok/s, about 3 min left" in told
    folder.close()
    told = in_process("status", tmp_path).stdout
    assert "stopped in the middle" in told
    assert "run the same command again" in told


def test_looking_keeps_no_run_from_beginning(tmp_path: Path) -> None:
    RunFolder(tmp_path).close()
    with (tmp_path / ".lock").open("rb") as looking:
        fcntl.flock(looking, fcntl.LOCK_SH)
        threading.Timer(0.1, looking.close).start()
        RunFolder(tmp_path).close()
        assert looking.closed, "it began when nobody looked any more"


def test_what_is_no_run(tmp_path: Path, in_process: RunCli) -> None:
    assert in_process("status", tmp_path).returncode == 2
    (tmp_path / "progress.json").write_text("{")
    assert read_progress(tmp_path) is None
    assert in_process("status", tmp_path / "nowhere").returncode == 2


def test_time_left_is_that_of_units_like_the_planned_ones() -> None:
    assert State(10).seconds_left is None
    assert State(10, planned=5, done=100, wanted=400, rate=10).seconds_left == pytest.approx((800 - 100) / 10)


def test_causes_are_told_once() -> None:
    failures: list[dict[str, Any]] = [{"model": m, "task": "t", "error": e} for m, e in zip("abc", "xyx", strict=True)]
    assert causes(failures) == {"x": ["a on t", "c on t"], "y": ["b on t"]}


def test_only_what_failed_is_run_again(run: Path) -> None:
    models = ["gpt1-nano", str(run.parent / "broken"), "gpt2-nano"]
    again: dict[str, Any] = {"limit": 5, "out": run, "cache": False, "device": "cpu", "retry_failed": True}
    asked: list[str] = []

    class Asked(Listener):
        def estimated(self, unit: Unit, estimate: Any) -> None:
            asked.append(unit.model.name)

    evaluate(models, "nano_topic", listener=Asked(), dry_run=True, **again)
    assert asked == ["broken"]
    (run.parent / "kept").rename(run.parent / "broken" / "model.safetensors")
    seen: list[str] = []

    class Seen(Listener):
        def unit_done(self, unit: Unit, results: Any) -> None:
            seen.append(unit.model.name)

    made = evaluate(models, "nano_topic", listener=Seen(), **again)
    assert made.failures == ()
    assert seen == ["broken"]
    rows = json.loads((run / "results.json").read_text())
    assert {row["model"] for row in rows["results"]} == {"gpt1-nano", "gpt2-nano", "broken"}
    assert rows["failures"] == []
    order = [row["model"] for row in rows["results"] if row["primary"]]
    assert order == ["gpt1-nano", "broken", "gpt2-nano"], "where it would have stood at once"
    with pytest.raises(UsageError, match="nothing of what is asked for has failed before"):
        evaluate(models, "nano_topic", **again)

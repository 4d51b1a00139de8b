"""The wall clock leaps: a machine that wakes, a corrected clock, that of another machine. No result may follow it."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from gpteval.run.config import RunConfig
from gpteval.run.evaluate import evaluate
from gpteval.run.executors import shared_folder as shared
from gpteval.run.executors.shared_folder import CLAIMED, FolderPool, _Given
from gpteval.run.units import Listener
from tests.run.test_workers import results

LEAPS = ("-3650d", "+3650d", "+0", "-1h", "+2d")


@pytest.mark.slow
def test_results_do_not_follow_a_clock_that_leaps(tmp_path: Path) -> None:
    """Of the run and its worker both. (The executors of folders and Ray sleep, which faketime does not let them.)"""
    libraries = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
    if not libraries:
        pytest.skip("faketime is not installed")
    clock, fresh = tmp_path / "clock", tmp_path / "fresh"
    clock.write_text("+0")
    leaping = {"LD_PRELOAD": str(libraries[0]), "FAKETIME_TIMESTAMP_FILE": str(clock)}
    leaping |= {"FAKETIME_NO_CACHE": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    evaluate("gpt1-nano", "nano_topic", limit=20, device="cpu", out=tmp_path / "still", cache=False)
    run = [sys.executable, "-m", "gpteval", "run", "--models", "gpt1-nano", "--tasks", "nano_topic", "--limit", "20"]
    run += ["--device", "cpu", "--no-cache", "--no-report"]
    run += ["--executor", "process", "--workers", "1", "--out", str(tmp_path / "leaping")]
    process, draw = subprocess.Popen(run, env=os.environ | leaping), random.Random(0)
    while process.poll() is None:
        fresh.write_text(draw.choice(LEAPS))
        fresh.replace(clock)
        time.sleep(0.1)
    assert process.returncode == 0
    assert results(tmp_path / "leaping") == results(tmp_path / "still")


def test_a_worker_lives_while_its_time_changes_whatever_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr(shared, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    folder = FolderPool(RunConfig(("gpt2-nano",), ("nano_topic",), out=tmp_path), Listener())
    folder._open()
    given = _Given(part=None)  # type: ignore[arg-type]  # is not asked for
    order = folder.folder / CLAIMED / "order"
    assert not folder._is_lost("order", given), "nobody claimed it"
    order.touch()
    for year in (1980, 2036, 1999):
        os.utime(order, (0, (year - 1970) * 365 * 86_400))
        assert not folder._is_lost("order", given), year
        clock[0] += 0.9 * shared.LEASE
        assert not folder._is_lost("order", given), year
    clock[0] += 0.2 * shared.LEASE
    assert folder._is_lost("order", given), "it stood still for longer than a lease"

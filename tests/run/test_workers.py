"""Several processes: the results of one, whatever dies on the way."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gpteval.core.errors import UsageError
from gpteval.run.config import RunConfig
from gpteval.run.evaluate import evaluate
from gpteval.run.executors import processes as workers
from gpteval.run.units import Listener, Unit
from gpteval.store.progress import State
from tests import forks
from tests.dying import die
from tests.tiny import save_tiny

BOTH = ("gpt1-nano", "gpt2-nano")
TASKS = ("nano_topic", "nano_prose", "nano_en_fr")
HASTY: dict[str, Any] = {"executor": "process", "workers": 1, "worker_timeout": 0.1}


def results(folder: Path) -> list[dict[str, Any]]:
    """The rows but for what they cost."""
    rows = json.loads((folder / "results.json").read_text())["results"]
    return [{key: value for key, value in row.items() if key != "seconds"} for row in rows]


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    folder = tmp_path_factory.mktemp("alone")
    made = evaluate(BOTH, TASKS, shots=(0, 2), limit=30, out=folder, cache=False)
    assert made.failures == ()
    return results(folder)


@pytest.fixture(scope="module")
def of_one(alone: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those of the second model."""
    return [row for row in alone if row["model"] == "gpt2-nano"]


def run(out: Path, models: Sequence[str] = ("gpt2-nano",), **settings: Any) -> Any:
    options: dict[str, Any] = {"shots": (0, 2), "limit": 30, "cache": False, "executor": "process", "workers": 2}
    return evaluate(models, TASKS, out=out, **options | settings)


def test_two_processes_give_the_results_of_one(tmp_path: Path, alone: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gpteval.run.executors.part_queue.PART_TOKENS", 2000)  # so that units are cut
    made = run(tmp_path, BOTH)
    assert made.failures == ()
    assert results(tmp_path) == alone
    facts = json.loads((tmp_path / "manifest.json").read_text())["models"]["gpt2-nano"]
    assert facts["attention"] == "sdpa", "what ran is known although it ran elsewhere"
    run(tmp_path, BOTH)
    assert results(tmp_path) == alone


def test_a_worker_that_is_killed_costs_nothing_but_time(
    tmp_path: Path, of_one: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard, killed = workers.ProcessPool._heard, []

    def kill(pool: Any, worker: Any, message: Any) -> Any:
        """Two of the workers, each when it has given something for the first time."""
        if len(killed) < 2 and worker.process.pid not in killed:
            os.kill(worker.process.pid, signal.SIGKILL)
            killed.append(worker.process.pid)
        return heard(pool, worker, message)

    monkeypatch.setattr(workers.ProcessPool, "_heard", kill)
    made = run(tmp_path)
    assert len(killed) == 2
    assert made.failures == ()
    assert results(tmp_path) == of_one


@pytest.mark.parametrize(
    ("system", "device"), [("linux", "cuda"), ("linux", "mps"), ("darwin", "cpu"), ("win32", "cpu")]
)
def test_workers_fork_only_where_that_is_safe(monkeypatch: pytest.MonkeyPatch, system: str, device: str) -> None:
    assert workers._starting("cpu").get_start_method() == "forkserver"
    monkeypatch.setattr(workers, "pick_device", lambda asked: device)
    monkeypatch.setattr(workers, "sys", SimpleNamespace(platform=system))
    assert workers._starting("auto").get_start_method() == "spawn"


def test_workers_that_always_die_are_a_failure_of_their_unit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "_work", die)
    monkeypatch.setattr("gpteval.run.executors.part_queue.PART_TOKENS", 500)
    start, started = workers.ProcessPool._start, []
    monkeypatch.setattr(workers.ProcessPool, "_start", lambda pool: started.append(1) or start(pool))
    made = run(tmp_path, shots=0)
    assert len(made.failures) == 3
    assert 3 * 3 <= len(started) <= 3 * 6, "the other parts of a unit that has failed are let go"
    assert "3 worker processes, one after the other, died or gave nothing for 1800 s" in made.failures[0].error
    assert "fewer --workers" in made.failures[0].error


def test_what_a_worker_cannot_do_is_told_as_by_one_process(tmp_path: Path) -> None:
    folder = save_tiny(tmp_path / "broken")
    (folder / "model.safetensors").write_bytes(b"no weights")
    models = [str(folder), "gpt2-nano"]
    made = evaluate(models, "nano_topic", limit=5, out=tmp_path / "r", cache=False, executor="process", workers=2)
    (failure,) = made.failures
    assert "cannot load model broken" in failure.error
    assert [result.model for result in made.results if result.primary] == ["gpt2-nano"]


KILLED = """
import sys
from gpteval.run.evaluate import evaluate
if __name__ == "__main__":
    evaluate("gpt2-nano", ("nano_topic", "nano_prose", "nano_en_fr"), shots=(0, 2), limit=30,
             out=sys.argv[1], cache=False, executor="process", workers=int(sys.argv[2]))
"""


@pytest.mark.parametrize(("how", "count", "then"), [(signal.SIGKILL, 2, "process"), (signal.SIGTERM, 1, "inline")])
def test_the_run_itself_killed_and_continued(
    tmp_path: Path, of_one: Any, how: signal.Signals, count: int, then: str
) -> None:
    script = tmp_path / "run.py"
    script.write_text(KILLED)
    process = subprocess.Popen([sys.executable, str(script), str(tmp_path / "r"), str(count)], start_new_session=True)
    while process.poll() is None:
        journal = tmp_path / "r" / "journal.sqlite-wal"
        if journal.is_file() and journal.stat().st_size > 50_000:
            break
        time.sleep(0.02)
    assert process.poll() is None, "it was killed in the middle"
    process.send_signal(how)
    process.wait(timeout=900)
    deadline = time.monotonic() + 900
    while left := subprocess.run(["pgrep", "-g", str(process.pid)], capture_output=True, check=False).stdout:
        assert time.monotonic() < deadline, f"no worker outlives it, but {left!r} does"
        time.sleep(0.05)
    run(tmp_path / "r", executor=then)
    assert results(tmp_path / "r") == of_one


def test_bad_executors() -> None:
    with pytest.raises(UsageError, match="--executor is one of auto, inline, process, ray, folder"):
        RunConfig(("gpt2",), ("piqa",), executor="slurm")
    with pytest.raises(UsageError, match="--workers must be at least 1"):
        RunConfig(("gpt2",), ("piqa",), workers=0)
    with pytest.raises(UsageError, match="--worker-timeout must be above 0"):
        RunConfig(("gpt2",), ("piqa",), worker_timeout=0)
    with pytest.raises(UsageError, match="--ray-address is for --executor ray"):
        RunConfig(("gpt2",), ("piqa",), ray_address="head:6379")


@pytest.fixture
def cluster() -> Iterator[Any]:
    """A Ray cluster of two nodes on this machine, one core each."""
    ray = pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    found = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    found.second = found.add_node(num_cpus=1)
    yield found
    ray.shutdown()
    found.shutdown()


def test_two_nodes_of_ray_give_the_results_of_one_process_even_when_one_dies(
    tmp_path: Path, alone: Any, cluster: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gpteval.run.executors.part_queue.PART_TOKENS", 2000)
    killed = []

    class Kill(Listener):
        def filled(self, unit: Unit, state: State) -> None:
            assert state.workers == 2
            if not killed and state.done > 20_000:
                killed.append(state.done)
                cluster.remove_node(cluster.second, allow_graceful=False)

    config = {"executor": "ray", "workers": None, "ray_address": cluster.address, "listener": Kill()}
    handler = signal.getsignal(signal.SIGTERM)
    made = run(tmp_path, BOTH, **config)
    assert signal.getsignal(signal.SIGTERM) is handler, "Ray would have it end the run as if a plugin had failed"
    assert made.failures == ()
    assert killed
    assert results(tmp_path) == alone


def test_a_cluster_that_is_not_there(tmp_path: Path) -> None:
    pytest.importorskip("ray")
    with pytest.raises(UsageError, match="cannot be used"):
        run(tmp_path, executor="ray", ray_address="127.0.0.1:1")


def test_a_worker_that_hangs_is_replaced(tmp_path: Path, of_one: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gpteval.run.executors.pool.LOOK_SECONDS", 0.2)
    stopped: list[Any] = []

    class Stop(Listener):
        def filled(self, unit: Unit, state: State) -> None:
            if not stopped:
                stopped.append(multiprocessing.active_children()[0])
                os.kill(stopped[0].pid, signal.SIGSTOP)

    def now() -> float:
        return time.monotonic() + (1801 if stopped else 0)  # silent for longer than is waited

    monkeypatch.setattr(workers, "time", SimpleNamespace(monotonic=now))
    made = run(tmp_path, listener=Stop(), workers=1)
    assert [worker.exitcode for worker in stopped] == [-signal.SIGKILL]
    assert made.failures == ()
    assert results(tmp_path) == of_one


def test_workers_that_are_too_slow_say_what_would_help(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gpteval.run.executors.pool.LOOK_SECONDS", 0.1)
    (failure,) = evaluate("gpt2-nano", "nano_topic", limit=5, out=tmp_path, cache=False, **HASTY).failures
    assert "3 worker processes, one after the other, died or gave nothing for 0.1 s" in failure.error
    assert "a longer --worker-timeout" in failure.error


LIMITED = """
import resource
from gpteval.cli import main
resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, resource.RLIM_INFINITY))
main()
"""


def test_a_disk_that_is_full_in_the_middle(tmp_path: Path, of_one: Any) -> None:
    """No file may grow beyond a limit that the journal reaches; then there is room again."""
    words = ["run", "--models", "gpt2-nano", "--tasks", ",".join(TASKS), "--shots", "0,2", "--limit", "30"]
    words += ["--no-cache", "--no-report", "--out", str(tmp_path / "r"), "--executor", "process", "--workers", "1"]
    done = forks.run([sys.executable, "-c", LIMITED, *words])
    assert done.returncode == 1, done.stderr
    assert "cannot write" in done.stderr
    assert "run the same command again" in done.stderr
    assert "Traceback" not in done.stderr
    run(tmp_path / "r", executor="inline", workers=None)
    assert results(tmp_path / "r") == of_one

"""Workers that share nothing with a run but its folder, what is written there, and how far a run is."""

from __future__ import annotations

import json
import shutil
import signal
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gpteval.backends.opening import Computing
from gpteval.core.errors import StoreError, UsageError
from gpteval.models.catalogue import resolve_models
from gpteval.models.loader import HFModel, LoadOptions
from gpteval.run.config import RunConfig
from gpteval.run.evaluate import evaluate
from gpteval.run.executors import shared_folder as shared
from gpteval.run.executors.computer import Computer, Order, order_of
from gpteval.run.executors.folder_worker import _Worker, work
from gpteval.run.executors.shared_folder import CLAIMED, WAITING, WORK
from gpteval.run.executors.wire import dump_message, dump_order, dump_queries, load_message, load_order, load_queries
from gpteval.run.units import Listener
from gpteval.tokens.queries import ENGINE_VERSION, GenerateQuery, QueryResult, Sampling, ScoreQuery, Tokens
from gpteval.tune.head_engine import HeadQuery
from tests import forks
from tests.nanogpt import GPT, VOCABULARY, save_nanogpt
from tests.run.test_workers import results
from tests.tiny import byte_level_tokenizer, save_tiny

TASKS = ("nano_topic", "nano_prose", "nano_en_fr")
WORKER = """
import sys
from pathlib import Path
from gpteval.models.loader import HFModel, LoadOptions
from gpteval.run.executors import folder_worker as worker
worker.BEAT = 0.2
worker.work(Path(sys.argv[1]), LoadOptions(device="cpu"), wait=900, tell=print)
"""


def test_queries_come_back_as_they_were() -> None:
    text = Tokens([3, 50256, 0])
    queries: Any = {
        b"a": ScoreQuery(text, Tokens([7]), Tokens([1, 2])),
        b"b": GenerateQuery(text, 9, ("\n", "é"), Sampling(0.5, 3, 7)),
        b"c": HeadQuery((text, Tokens([4])), 1),
    }
    assert load_queries(dump_queries(queries)) == queries
    with pytest.raises(ValueError, match="unknown kind of query"):
        load_queries('["aa", "pickle", "x"]')


def test_orders_and_messages_come_back_as_they_were() -> None:
    (info,) = resolve_models(["gpt2"])
    order = Order(
        info, "/c/ckpt.pt", "key", ENGINE_VERSION, "bfloat16", "cuda", "finetune", frozenset([b"\x00", b"\xff"]), 2, 5
    )
    assert load_order(json.loads(json.dumps(dump_order(order)))) == order
    batch = {b"\x01": QueryResult(3, -1.25, True), b"\x02": QueryResult(2, text="é\n", finish="stop")}
    for message in (("batch", batch), ("facts", {"attention": "sdpa"}), ("failed", ["no", "try"])):
        assert load_message(dump_message(message)) == message
    with pytest.raises(ValueError, match="unknown kind of message"):
        load_message('["pickle", "x"]')


def test_workers_of_a_folder_give_the_results_of_one_process_even_when_one_dies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared, "LEASE", 2.0)
    monkeypatch.setattr("gpteval.run.executors.part_queue.PART_TOKENS", 2000)
    options: dict[str, Any] = {"shots": (0, 2), "limit": 30, "cache": False, "device": "cpu"}
    models = ["gpt1-nano", "gpt2-nano"]
    evaluate(models, TASKS, out=tmp_path / "alone", **options)
    run = tmp_path / "run"
    begin = [sys.executable, "-c", WORKER, str(run)]
    first, second = (forks.Process(begin) for _ in range(2))

    def kill() -> None:
        while not list((run / WORK / CLAIMED).glob("*")):
            time.sleep(0.05)
        first.send_signal(signal.SIGKILL)

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    made = evaluate(models, TASKS, out=run, executor="folder", workers=2, **options)
    killer.join(timeout=900)
    assert first.wait(timeout=900) == -signal.SIGKILL
    assert second.wait(timeout=900) == 0, "it has seen the end"
    assert made.failures == ()
    assert results(run) == results(tmp_path / "alone")


def test_a_run_without_workers_says_how_to_start_them_and_says_it_again_when_they_have_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared, "CALL_SECONDS", 2.0)
    monkeypatch.setattr(shared, "LEASE", 2.0)
    run, called = tmp_path / "run", threading.Event()
    workers: list[forks.Process] = []

    class Calls(Listener):
        def warned(self, message: str) -> None:
            assert message.endswith(f"gpteval worker {run}")
            called.set()

    def follow() -> None:
        for leaves in (True, False):
            assert called.wait(timeout=900)
            called.clear()
            workers.append(forks.Process([sys.executable, "-c", WORKER, str(run)]))
            if leaves:
                until(lambda: list((run / WORK / CLAIMED).glob("*")))
                workers[0].kill()

    follower = threading.Thread(target=follow, daemon=True)
    follower.start()
    options: dict[str, Any] = {"limit": 30, "cache": False, "device": "cpu", "executor": "folder"}
    made = evaluate("gpt2-nano", TASKS, out=run, listener=Calls(), **options)
    follower.join(timeout=900)
    assert made.failures == ()
    assert [worker.wait(timeout=900) for worker in workers] == [-signal.SIGKILL, 0]


def test_a_worker_with_other_weights_or_another_engine_computes_nothing(tmp_path: Path) -> None:
    (info,) = resolve_models([str(save_tiny(tmp_path / "m"))])
    model = HFModel(info, LoadOptions(device="cpu"))
    queries: Any = {b"a": ScoreQuery(Tokens([1, 2]), Tokens([3]))}
    right = Order(model.info, model.source, model.key, ENGINE_VERSION, "float32", "cpu", "", frozenset(), 0, 1)
    computer = Computer(Computing(LoadOptions()))
    other, older = replace(right, key="other"), replace(right, version=ENGINE_VERSION - 1)
    for order, reason in ((other, "has other files or code"), (older, "another version")):
        ((kind, (message, hint)),) = computer.messages(order, queries)
        assert kind == "failed"
        assert reason in message
        assert "same versions" in hint
        assert [kind for kind, _ in computer.messages(right, queries)] == ["batch", "facts"], "it goes on afterwards"


def test_models_lie_elsewhere_on_another_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPTEVAL_CACHE", str(tmp_path / "planner"))
    checkpoint = save_nanogpt(tmp_path / "ckpt.pt", GPT(VOCABULARY))
    byte_level_tokenizer().save_pretrained(tmp_path)
    queries: Any = {b"a": ScoreQuery(Tokens([1, 2]), Tokens([3]))}
    monkeypatch.chdir(tmp_path)
    for name in ("gpt2-nano", "ckpt.pt"):  # embedded, and named by a relative path
        (info,) = resolve_models([name])
        model = HFModel(info, LoadOptions(device="cpu"))
        order = order_of(part_of(model))
        assert Path(order.model.location).is_absolute()
        assert Path(order.source) == (checkpoint if name == "ckpt.pt" else Path(model.info.location))
        elsewhere = replace(order, model=replace(order.model, location="/of/another/machine"))
        monkeypatch.setenv("GPTEVAL_CACHE", str(tmp_path / "worker"))
        messages = list(Computer(Computing(LoadOptions())).messages(elsewhere, queries))
        assert [kind for kind, _ in messages] == ["batch", "facts"], messages
    assert list((tmp_path / "worker" / "converted").iterdir()), "the checkpoint was converted there too"
    checkpoint.unlink()
    ((kind, (message, hint)),) = Computer(Computing(LoadOptions())).messages(elsewhere, queries)
    assert (kind, message) == ("failed", f"a worker does not see model ckpt.pt at {checkpoint}")
    assert "a path that all machines see" in hint


def test_a_tokenizer_that_is_named_by_a_relative_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own").mkdir()
    for named, handed in (("own", str(tmp_path / "own")), ("openai-community/gpt2", "openai-community/gpt2"), ("", "")):
        config = RunConfig(("m",), ("t",), load=LoadOptions(tokenizer=named))
        assert config.computing.load.tokenizer == handed


def part_of(model: HFModel) -> Any:
    job = SimpleNamespace(backend=SimpleNamespace(model=model, protocol=""))
    return SimpleNamespace(work=SimpleNamespace(job=job, known=set()), number=0, of=1)


def test_a_worker_decides_itself_what_models_may_do(tmp_path: Path) -> None:
    settings = {"tokenizer": "", "batch_tokens": 512, "stride": None, "profile": "gpteval"}
    for allowed in (False, True):
        worker = _Worker(tmp_path, LoadOptions(device="cpu", allow_pickle=allowed, trust_remote_code=allowed))
        config = worker._computer_for(settings | {"allow_pickle": True, "trust_remote_code": True}).config
        assert (config.load.allow_pickle, config.load.trust_remote_code) == (allowed, allowed)
        assert config.batch_tokens == 512, "the rest is the run's"


def test_a_worker_without_a_run(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no run hands out work"):
        work(tmp_path, LoadOptions(), wait=0.1, tell=lambda text: None)
    (tmp_path / WORK / WAITING).mkdir(parents=True)
    (tmp_path / WORK / shared.ENDED).touch()
    with pytest.raises(UsageError, match="--executor folder"):
        work(tmp_path, LoadOptions(), wait=0.1, tell=lambda text: None)


def test_what_is_removed_from_the_folder_is_handed_out_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole of ``work/`` while orders wait, and while one is computed; then a single order, then the queries."""
    monkeypatch.setattr("gpteval.run.executors.part_queue.PART_TOKENS", 2000)
    options: dict[str, Any] = {"shots": (0, 2), "limit": 30, "cache": False, "device": "cpu"}
    evaluate("gpt2-nano", TASKS, out=tmp_path / "alone", **options)
    run, warned = tmp_path / "run", []
    folder = run / WORK

    class Hears(Listener):
        def warned(self, message: str) -> None:
            if "handed out again" in message:  # on a slow machine it also says that no worker is at work
                warned.append(message)

    def lost(count: int) -> bool:
        """Remove the folder; again, where an order was just then being written, and so was not lost."""
        shutil.rmtree(folder, ignore_errors=True)
        time.sleep(0.3)
        return len(warned) >= count

    def remove() -> None:
        until(lambda: list((folder / WAITING).glob("*")))
        until(lambda: lost(1))
        workers.append(forks.Process([sys.executable, "-c", WORKER, str(run)]))
        until(lambda: list((folder / CLAIMED).glob("*")))
        before = len(warned)
        until(lambda: lost(before + 1))
        until(lambda: list((folder / WAITING).glob("*")))
        for path in [*(folder / WAITING).glob("*")][:1] + [*folder.glob("*.queries")][:1]:
            path.unlink(missing_ok=True)
        removed.append(True)

    workers: list[forks.Process] = []
    removed: list[bool] = []
    options |= {"executor": "folder", "workers": 2, "listener": Hears()}
    threads = [
        threading.Thread(target=remove, daemon=True),
        threading.Thread(target=evaluate, args=("gpt2-nano", TASKS), kwargs={"out": run, **options}, daemon=True),
    ]
    for thread in threads:
        thread.start()
    threads[0].join(timeout=900)
    assert removed, "it ended with an error"
    threads[1].join(timeout=900)
    assert not threads[1].is_alive()
    assert "orders that were handed out: they are handed out again" in warned[0], warned
    assert results(run) == results(tmp_path / "alone")
    assert [worker.wait(timeout=900) for worker in workers] == [0]


def until(there: Any) -> None:
    """Wait until something is true."""
    end = time.monotonic() + 300
    while not there():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_an_order_of_deep_brackets_is_refused(tmp_path: Path) -> None:
    for name in (WAITING, CLAIMED):
        (tmp_path / name).mkdir()
    deep = '{"queries": ' + "[" * 100_000 + "]" * 100_000 + "}"
    for number, text in enumerate([deep, "[" * 990 + "]" * 990, "3", ""]):
        (tmp_path / WAITING / str(number)).write_text(text)
        with pytest.raises(StoreError, match="cannot work in"):
            _Worker(tmp_path, LoadOptions(device="cpu")).one()

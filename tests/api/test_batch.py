"""OpenAI's batch interface: every answer once, whatever ends the command, and wherever."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gpteval.api import batch
from gpteval.api.http import Http, NoAnswer
from gpteval.backends.api_options import ApiOptions
from gpteval.core.errors import UsageError
from gpteval.run.evaluate import evaluate
from tests.api_runs import KEY
from tests.batch_server import BatchServer, Body

TASK = '''
from gpteval import Generate, generated, task

@task(family="qa", source=generated(lambda split: [{"n": n} for n in range(COUNT)], revision="1"), metric="exact_match")
def sums(item):
    """Sums."""
    return Generate(f"{item['n']} + 1 =", [str(item["n"] + 1)], max_new_tokens=4)
'''
PRICES = "model,dollars_per_million_in,dollars_per_million_out,date\nadder,1000,1000,2026-01-01\n"


def adds(body: Body) -> str:
    return str(int(body["messages"][-1]["content"].split()[0]) + 1)


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Iterator[BatchServer]:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    server = BatchServer()
    server.answer = adds
    yield server
    server.close()


def tasks_of(folder: Path, count: int) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "sums.py").write_text(TASK.replace("COUNT", str(count)), encoding="utf-8")
    return folder


def run(server: BatchServer, root: Path, count: int = 12, **how: Any) -> Any:
    api = ApiOptions(base_url=server.url, batch=True, backoff=0.002, **how)
    tasks = (tasks_of(root / f"tasks{count}", count),)
    return evaluate("openai:adder", "sums", out=root / "run", cache=False, api=api, task_dirs=tasks)


def once(server: BatchServer, count: int) -> None:
    """Each request was answered, and paid, once."""
    assert len(server.paid) == count
    assert set(server.paid.values()) == {1}


def test_a_batch(served: BatchServer, tmp_path: Path) -> None:
    made = run(served, tmp_path)
    (row,) = (row for row in made.results if row.primary)
    assert (row.value, row.coverage, row.n) == (1.0, 1.0, 12)
    assert len(served.batches) == 1
    assert served.batches[0]["metadata"].keys() == {"gpteval"}
    once(served, 12)
    steps = len(served.steps)
    run(served, tmp_path)
    assert len(served.steps) == steps, "nothing is left to ask"


def test_half_the_price(served: BatchServer, tmp_path: Path) -> None:
    prices = tmp_path / "prices.csv"
    prices.write_text(PRICES, encoding="utf-8")
    refused = run(served, tmp_path, max_cost=0.01, prices=prices)
    assert "--max-cost 0.01 is reached" in refused.failures[0].error
    assert not served.batches, "it is known before anything is sent"
    made = run(served, tmp_path, max_cost=100.0, prices=prices)
    assert made.results[0].dollars == pytest.approx(12 * 22 * 1000 / 1e6 / 2)


def test_what_expires_or_fails_is_asked_again(served: BatchServer, tmp_path: Path) -> None:
    def fate(body: Body, number: int) -> int | str:
        n = int(body["messages"][-1]["content"].split()[0])
        if number == 0 and n % 3 == 0:
            return "expired"
        if number == 0 and n % 3 == 1:
            return 500
        return "temperature" if "temperature" in body and n == 2 else 0

    served.fate = fate
    made = run(served, tmp_path)
    assert made.results[0].value == 1.0
    once(served, 12)
    assert len(served.batches) > 1


def test_what_always_fails_is_given_up(served: BatchServer, tmp_path: Path) -> None:
    served.fate = lambda body, number: 500 if body["messages"][-1]["content"].startswith("3 ") else 0
    made = run(served, tmp_path)
    (row,) = (row for row in made.results if row.primary)
    assert row.value == pytest.approx(11 / 12)
    assert row.coverage == pytest.approx(11 / 12)
    assert len(served.batches) == batch.ROUNDS


def test_a_batch_that_is_refused(served: BatchServer, tmp_path: Path) -> None:
    look = served._look

    def failing(one: Body) -> Body:
        return look(one) | {"status": "failed", "errors": {"data": [{"message": "too large a file"}]}}

    served._look = failing  # type: ignore[method-assign]
    made = run(served, tmp_path)
    assert "refuses batch batch_0: too large a file" in made.failures[0].error


def test_a_server_that_has_bad_moments(served: BatchServer, tmp_path: Path) -> None:
    moments = random.Random(4)
    served.refuse = lambda method, path: 500 if moments.random() < 0.3 else 0
    made = run(served, tmp_path)
    assert made.results[0].value == 1.0
    once(served, 12)


def test_a_creation_of_which_nobody_hears_is_found_again(
    served: BatchServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent, lost = Http._sent, []

    def losing(self: Http, method: str, path: str, **what: Any) -> Any:
        reply = sent(self, method, path, **what)
        if (method, path) == ("POST", "batches") and not lost:
            lost.append(path)
            raise NoAnswer("the connection failed")
        return reply

    monkeypatch.setattr(Http, "_sent", losing)
    made = run(served, tmp_path)
    assert lost
    assert made.results[0].value == 1.0
    assert len(served.batches) == 1
    once(served, 12)


def test_a_batch_of_another_run_is_not_waited_for(served: BatchServer, tmp_path: Path) -> None:
    """One of the same model, of which this run wants nothing."""
    look = served._look
    served._look = lambda one: look(one) if one["id"] != "batch_0" else one  # type: ignore[method-assign]
    first = tasks_of(tmp_path / "others", 3)
    (first / "sums.py").write_text((first / "sums.py").read_text().replace("+ 1 =", "+ 1 is"), encoding="utf-8")
    api = ApiOptions(base_url=served.url, batch=True, backoff=0.002)
    thread = threading.Thread(
        target=lambda: evaluate(
            "openai:adder", "sums", out=tmp_path / "other", cache=False, api=api, task_dirs=(first,)
        ),
        daemon=True,
    )
    thread.start()
    until = time.monotonic() + 60
    while not served.batches:
        assert time.monotonic() < until
        time.sleep(0.01)
    made = run(served, tmp_path)
    assert made.results[0].value == 1.0
    served._look = look  # type: ignore[method-assign]
    thread.join(60)
    assert not thread.is_alive()


def test_completions_have_no_batches() -> None:
    from gpteval.backends.by_prefix import open_backend
    from gpteval.backends.opening import Opening
    from gpteval.models.catalogue import resolve_models

    with pytest.raises(UsageError, match="--batch is for chats"):
        open_backend(
            resolve_models(["completions:gpt2-nano"])[0], Opening(api=ApiOptions("http://localhost:1/v1", batch=True))
        )


class Killed(BaseException):
    """As a kill, in the middle of a command."""


def test_killed_twenty_times_among_two_thousand_requests(
    served: BatchServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each time before a step is taken, or when the server has taken it and nobody heard."""
    moments, sent = random.Random(11), Http._sent
    calls, at = 0, 0

    def killing(self: Http, method: str, path: str, **what: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == at and moments.random() < 0.5:
            raise Killed
        reply = sent(self, method, path, **what)
        if calls == at:
            raise Killed
        return reply

    monkeypatch.setattr(Http, "_sent", killing)
    monkeypatch.setattr(batch, "MOST", 400)
    served.looks = 3
    kills = 0
    while kills < 20:
        calls, at = 0, moments.randint(1, 12)
        try:
            run(served, tmp_path, 2000)
        except Killed:
            kills += 1
        else:
            once(served, 2000)  # it came through: from the beginning, elsewhere
            served.paid.clear()
            tmp_path = tmp_path / "again"
            tmp_path.mkdir()
            served.batches.clear()
    assert calls
    at = 0
    made = run(served, tmp_path, 2000)
    (row,) = (row for row in made.results if row.primary)
    assert (row.value, row.n) == (1.0, 2000)
    once(served, 2000)


def test_a_real_kill(served: BatchServer, tmp_path: Path) -> None:
    served.looks = 10**9  # it is never done
    tasks = tasks_of(tmp_path / "tasks12", 12)
    command = [sys.executable, "-m", "gpteval", "run", "--models", "openai:adder", "--tasks", "sums", "--no-cache"]
    options = ["--task-dir", tasks, "--out", tmp_path / "run", "--base-url", served.url, "--batch"]
    process = subprocess.Popen([*command, *options], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    until = time.monotonic() + 120
    while not served.batches:
        assert time.monotonic() < until
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    served.looks = 1
    done = subprocess.run([*command, *options], capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    assert len(served.batches) == 1, "it was found again"
    once(served, 12)
    rows = json.loads((tmp_path / "run" / "results.json").read_text(encoding="utf-8"))["results"]
    assert rows[0]["value"] == 1.0

"""A server that fails, refuses, is slow or is another: nothing is lost, asked twice or paid twice."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections import Counter
from dataclasses import replace
from email.utils import formatdate
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gpteval.backends.api_options import ApiOptions
from gpteval.run.evaluate import evaluate
from tests import forks
from tests.api_runs import KEY, MODEL, QUICK, run
from tests.api_server import ApiServer, Body, Fault

QUIET: dict[str, float] = {}


REQUESTS = int(os.environ.get("TEST_REQUESTS", "240"))  # an item has four; 2000 were tried, too


CHANGED = {"model": "another"}


def _short(document: Body) -> Body:
    document["choices"][0]["logprobs"]["token_logprobs"].pop()
    return document


def _wrong_echo(document: Body) -> Body:
    document["choices"][0]["logprobs"]["tokens"][0] = " other"
    return document


def _null(document: Body) -> Body:
    document["choices"][0]["logprobs"]["token_logprobs"][-2] = None
    return document


OFTEN: dict[str, Fault] = {
    "refused for the rate": Fault(429, {"Retry-After": "0.01"}, {"error": {"message": "slow down"}}),
    "errors": Fault(500, document={"error": {"message": "broken"}}),
    "overloaded": Fault(503, {"retry-after-ms": "5"}, {"error": {"message": "busy"}}),
    "cut": Fault(cut=True),
    "no JSON": Fault(raw=b'{"choices": [{"te'),
    "another JSON": Fault(document=[1, 2]),
    "no choices": Fault(document={"model": MODEL, "choices": []}),
    "short lists": Fault(change=_short),
    "wrong echo": Fault(change=_wrong_echo),
    "no number": Fault(change=_null),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", OFTEN)
def test_no_request_is_lost_or_paid_twice(
    server: ApiServer, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bursts: of every twenty requests the last five go wrong."""
    monkeypatch.setattr("gpteval.api.client.ATTEMPTS", 30)  # here the pauses are too short to outlast a burst
    tasks = ["nano_topic", "nano_facts"] if REQUESTS > 1200 else ["nano_topic"]
    limit = REQUESTS // 4 // len(tasks)
    if not QUIET:
        made = run(server, tmp_path / "quiet", f"completions:{MODEL}", tasks, limit=limit)
        QUIET.update({result.task: result.value for result in made.results if result.primary})
        server.answered.clear()
        server.seen.clear()
    fault = OFTEN[name]
    server.fault = lambda number, body: fault if number % 20 >= 15 else None
    made = run(server, tmp_path / "r", f"completions:{MODEL}", tasks, limit=limit)
    assert made.failures == ()
    assert {result.task: result.value for result in made.results if result.primary} == QUIET
    assert len(server.seen) >= 4 * limit * len(tasks)
    if fault.change is None:
        twice = {body for body, times in Counter(server.answered).items() if times > 1}
        assert twice == set(), "an answer that arrived is not asked for again"
    assert len(server.seen) > len(server.answered) or fault.change is not None


def test_slow_answers_are_asked_for_again(server: ApiServer, tmp_path: Path) -> None:
    run(server, tmp_path / "warm", f"completions:{MODEL}", "nano_facts", limit=10)  # the server knows its answers now
    server.fault = lambda number, body: Fault(seconds=2.5) if number % 10 == 9 else None
    quick = replace(QUICK, timeout=1.5)
    made = run(server, tmp_path / "r", f"completions:{MODEL}", "nano_facts", quick, limit=10)
    assert made.failures == ()
    assert made.results[0].coverage == 1.0


def test_a_date_to_wait_for_is_of_the_servers_clock(
    server: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused: list[Body] = []

    def refuse(number: int, body: Body) -> Fault | None:
        if refused:
            return None
        refused.append(body)
        return Fault(503, {"Retry-After": formatdate(time.time() + 1, usegmt=True)}, {"error": {"message": "busy"}})

    server.fault = refuse
    wrong = SimpleNamespace(time=lambda: 0.0, monotonic=time.monotonic)  # for the client it is 1970
    monkeypatch.setattr("gpteval.api.client.time", wrong)
    made = run(server, tmp_path / "soon", f"completions:{MODEL}", "nano_facts", limit=10)
    assert made.failures == ()
    assert refused


def test_a_server_that_asks_for_a_year_is_not_waited_for(server: ApiServer, tmp_path: Path) -> None:
    late = Fault(503, {"Retry-After": "31536000"}, {"error": {"message": "closed"}})
    server.fault = lambda number, body: late if number >= 3 else None
    (failure,) = run(server, tmp_path, f"completions:{MODEL}", "nano_facts", limit=10).failures
    assert "does not answer" in failure.error
    assert "closed; it asks to wait for 31,536,000 s" in failure.error


def test_another_model_behind_the_name_is_refused(server: ApiServer, tmp_path: Path) -> None:
    server.fault = lambda number, body: Fault(change=lambda d: d | CHANGED) if number >= 20 else None
    made = run(server, tmp_path, f"completions:{MODEL}", "nano_facts", limit=20)
    (failure,) = made.failures
    assert "is not one model: 'another' answers, before it was 'gpt2-nano'" in failure.error
    server.fault = lambda number, body: Fault(change=lambda d: d | CHANGED)
    made = run(server, tmp_path, f"completions:{MODEL}", "nano_facts", limit=20)
    assert "is not one model" in made.failures[0].error, "nor when the run goes on"


def _no_echo(document: Body) -> Body:
    document["choices"][0]["logprobs"] = None
    return document


def _shifted(document: Body) -> Body:
    numbers = document["choices"][0]["logprobs"]["token_logprobs"]
    numbers[1:] = [-3.0, *numbers[1:-1]]
    return document


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (Fault(change=_no_echo), "its logprobs have not tokens"),
        (Fault(change=_wrong_echo), "the echoed tokens are not the prompt's"),
        (Fault(change=_shifted), "a token that it wrote with a log-probability of"),
        (Fault(400, document={"error": {"message": "echo is not supported"}}), "echo is not supported"),
        (Fault(401, document={"error": {"message": f"wrong key {KEY}"}}), r"wrong key \*\*\*"),
        (Fault(404, document={"error": {"message": "no such model"}}), "no such model"),
    ],
)
def test_a_server_that_cannot_be_used_is_refused_at_once(
    server: ApiServer, tmp_path: Path, fault: Fault, reason: str
) -> None:
    server.fault = lambda number, body: fault
    made = run(server, tmp_path, f"completions:{MODEL}", "nano_facts", limit=20)
    with pytest.raises(AssertionError, match=reason):
        raise AssertionError(made.failures[0].error)
    assert len(server.seen) <= 4


def test_nobody_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gpteval.api.client.ATTEMPTS", 2)
    api = ApiOptions(base_url="http://127.0.0.1:9/v1", backoff=0.001)
    made = evaluate(f"openai:{MODEL}", "nano_topic", limit=3, out=tmp_path, cache=False, api=api)
    assert "the server does not answer: the connection failed" in made.failures[0].error


def test_a_server_that_dies_of_its_load_is_waited_for_and_asked_for_less_at_a_time(
    server: ApiServer, tmp_path: Path
) -> None:
    server.seconds = 0.05
    deaths = []

    def die_of(number: int, body: dict[str, Any]) -> None:
        with server.lock:
            if server.active <= 4 or server.dead:
                return
            server.dead = True
            deaths.append(threading.Thread(target=server.die, args=(0.4,)))
        deaths[-1].start()

    server.fault = die_of
    api = ApiOptions(server.url, in_flight=16, backoff=0.02)
    made = evaluate(f"completions:{MODEL}", "nano_facts", limit=60, out=tmp_path / "a", cache=False, api=api)
    for death in deaths:
        death.join()
    facts = json.loads((tmp_path / "a" / "manifest.json").read_text())["models"][f"completions:{MODEL}"]
    assert made.failures == ()
    assert 1 <= len(deaths) <= 6
    assert facts["in_flight"]["lowest"] <= 4, "as many as it bears"
    server.fault = lambda number, body: None
    quiet = run(server, tmp_path / "q", f"completions:{MODEL}", "nano_facts", limit=60)
    assert made.results[0].value == quiet.results[0].value


def test_a_server_that_does_not_come_back_ends_the_run(
    server: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gpteval.api.client.PATIENCE", 0.5)
    gone = Fault(502, document={"error": {"message": "bad gateway"}})
    server.fault = lambda number, body: gone if number > 20 else None
    made = run(server, tmp_path, f"completions:{MODEL}", "nano_facts", limit=60)
    assert "the server does not answer: status 502: bad gateway" in made.failures[0].error


KILLED = """
import sys
import threading
from pathlib import Path
from gpteval.backends.api_options import ApiOptions
from gpteval.run.evaluate import evaluate
from gpteval.run.config import RunConfig
from gpteval.run.decide import run_until_decided
from gpteval.run.runner import execute
url, out = sys.argv[1:]
made = evaluate("completions:gpt2-nano", "nano_facts", limit=60, out=out, cache=False, api=ApiOptions(url, in_flight=4))
print(made.results[0].value)
"""


def test_killed_and_continued_asks_nothing_again(server: ApiServer, tmp_path: Path) -> None:
    server.seconds = 0.1
    command = [sys.executable, "-c", KILLED, server.url, str(tmp_path / "r")]
    process = forks.Process(command)
    while len(server.answered) < 60:
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    time.sleep(0.2)
    before = Counter(server.answered)
    done = forks.run(command, check=True)
    again = [body for body, times in Counter(server.answered).items() if times > 1 and before[body]]
    assert len(again) <= 4 + 2, "those on their way when it was killed, and the two questions at the start"
    server.seconds = 0.0
    quiet = run(server, tmp_path / "q", f"completions:{MODEL}", "nano_facts", limit=60)
    assert float(done.stdout) == quiet.results[0].value


def test_as_many_at_a_time_as_asked_and_fewer_when_the_server_says_so(server: ApiServer, tmp_path: Path) -> None:
    tasks, limit = "nano_facts", 50
    run(server, tmp_path / "warm", f"completions:{MODEL}", tasks, limit=limit)
    server.seconds, server.most = 0.1, 0
    run(server, tmp_path / "a", f"completions:{MODEL}", tasks, limit=limit)
    assert server.most > 8
    server.seconds, server.most = 0.02, 0
    busy = Fault(429, {"Retry-After": "0"}, {"error": {"message": "too many"}})
    server.fault = lambda number, body: busy if server.active > 4 else None
    made = run(server, tmp_path / "b", f"completions:{MODEL}", tasks, limit=limit)
    facts = json.loads((tmp_path / "b" / "manifest.json").read_text())["models"][f"completions:{MODEL}"]
    assert made.failures == ()
    assert facts["in_flight"]["lowest"] <= 8

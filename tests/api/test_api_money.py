"""What is spent at a server: never beyond the limit, and told as the server has it."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Lock
from typing import Any

import pytest

from gpteval.backends.api_options import ApiOptions
from gpteval.backends.prices import Budget, Price
from gpteval.run.config import RunConfig
from gpteval.run.runner import execute
from tests.api_runs import MODEL, QUICK, facts, prices, refusal, run, says
from tests.api_server import ApiServer, Body, Fault
from tests.conftest import RunCli

CHAT, SERVED = f"openai:{MODEL}", f"completions:{MODEL}"
PRICE = Price(MODEL, 1000, 2000, "2026-01-01")


def dollars(usage: dict[str, int]) -> float:
    return PRICE.of(usage["prompt_tokens"], usage["completion_tokens"])


@dataclass
class Till:
    """A server's own account: what it charges for each request that it has computed, whatever became of the answer."""

    total: float = 0.0
    dearest: float = 0.0
    lock: Any = field(default_factory=Lock)

    def charge(self, path: str, body: Body) -> Body:
        """An answer of as many tokens as were allowed; a token is two bytes."""
        texts = [message["content"] for message in body.get("messages", [])]
        read = sum(len(text.encode()) // 2 + 4 for text in texts) + 3
        usage = {"prompt_tokens": read, "completion_tokens": body.get("max_tokens") or body["max_completion_tokens"]}
        with self.lock:
            self.total += dollars(usage)
            self.dearest = max(self.dearest, dollars(usage))
        return says("la rue")({"model": MODEL, "choices": [{}], "usage": usage})


@pytest.fixture
def till(server: ApiServer) -> Till:
    till = Till()
    server.own = till.charge
    return till


def without_usage(document: Body) -> Body:
    return {name: value for name, value in document.items() if name != "usage"}


def using(**usage: Any) -> Callable[[Body], Body]:
    return lambda document: document | {"usage": {**document["usage"], **usage}}


def to_nothing(document: Body) -> Body:
    return document | {"choices": []}


BAD: dict[str, Fault] = {
    "no JSON": Fault(raw=b'{"choices": [{"mess'),
    "cut": Fault(cut=True),
    "no choice": Fault(change=to_nothing),
    "no choice, no usage": Fault(change=lambda document: to_nothing(without_usage(document))),
    "no usage": Fault(change=without_usage),
    "negative": Fault(change=using(prompt_tokens=-1_000_000, completion_tokens=-5)),
    "half negative": Fault(change=using(prompt_tokens=-7)),
    "words": Fault(change=using(prompt_tokens="many")),
    "true": Fault(change=using(prompt_tokens=True, completion_tokens=False)),
    "null": Fault(change=using(prompt_tokens=None)),
    "late": Fault(seconds=0.6),
    "busy": Fault(429, {"Retry-After": "0.01"}, {"error": {"message": "slow down"}}),
    "broken": Fault(500, document={"error": {"message": "broken"}}),
    "rejected": refusal("this prompt is refused"),
}


def answers(server: ApiServer, kinds: list[str], share: float, seed: int) -> None:
    """Of the requests a share goes wrong in one of these ways; which is drawn."""
    drawn = random.Random(seed)

    def fault(number: int, body: Body) -> Fault | None:
        if drawn.random() >= share:
            return None
        return BAD[drawn.choice(kinds)]

    server.fault = fault


@pytest.mark.parametrize("seed", range(6))
def test_whatever_the_server_does_the_limit_holds(server: ApiServer, tmp_path: Path, till: Till, seed: int) -> None:
    """A property: the server's own account, at the end, against the limit and against what is told."""
    drawn = random.Random(seed)
    kinds = drawn.sample(list(BAD), drawn.randint(2, len(BAD)))
    answers(server, kinds, drawn.choice([0.2, 0.5, 0.9]), seed)
    limit, in_flight = drawn.choice([0.5, 2.0, 5.0]), drawn.choice([1, 3, 8])
    api = replace(QUICK, prices=prices(tmp_path), max_cost=limit, in_flight=in_flight, timeout=0.5)
    made = run(server, tmp_path / "r", CHAT, ["nano_en_fr", "nano_topic"], api, limit=20)
    assert till.total <= limit + 1e-9, kinds
    told = sum(result.dollars or 0.0 for result in made.results if result.primary)
    lost = facts(tmp_path / "r")["lost"]
    assert min(lost.values()) >= 0
    if not made.failures:
        assert told >= till.total - 1e-9
        exact = {"busy", "broken", "rejected", "no choice"}
        assert told == pytest.approx(till.total) or set(kinds) - exact


@pytest.mark.parametrize("kind", ["no choice", "busy", "broken", "rejected"])
def test_results_and_server_agree(server: ApiServer, tmp_path: Path, till: Till, kind: str) -> None:
    """Where the server says what each attempt took, those that came to nothing are in the results to the cent."""
    answers(server, [kind], 0.4, 1)
    api = replace(QUICK, prices=prices(tmp_path), in_flight=4)
    made = run(server, tmp_path / "r", CHAT, "nano_en_fr", api, limit=20)
    assert made.failures == ()
    assert made.results[0].dollars == pytest.approx(till.total)
    assert not [note for note in made.results[0].notes if "at most" in note]
    assert facts(tmp_path / "r")["lost"] == {"tokens_in": 0, "tokens_out": 0}


@pytest.mark.parametrize("kind", ["no JSON", "cut", "no usage", "negative", "half negative", "words", "true", "null"])
def test_what_is_not_known_is_taken_at_its_most_and_told(
    server: ApiServer, tmp_path: Path, till: Till, kind: str
) -> None:
    answers(server, [kind], 0.4, 1)
    api = replace(QUICK, prices=prices(tmp_path), in_flight=4)
    made = run(server, tmp_path / "r", CHAT, "nano_en_fr", api, limit=20)
    assert made.failures == ()
    result = made.results[0]
    assert result.dollars is not None
    assert till.total < result.dollars < 3 * till.total
    assert [note for note in result.notes if "tokens and dollars are at most" in note]


def test_a_refused_limit_costs_what_is_asked_then(server: ApiServer, tmp_path: Path, till: Till) -> None:
    """The newer name of the limit brings room to think, thousands of tokens, which have to fit into the dollars too."""
    refused = refusal("use max_completion_tokens", "max_tokens")
    server.fault = lambda number, body: refused if "max_tokens" in body else None
    api = replace(QUICK, prices=prices(tmp_path), max_cost=1.0, in_flight=8)
    made = run(server, tmp_path / "r", CHAT, "nano_en_fr", api, limit=20)
    assert "--max-cost 1 is reached" in made.failures[0].error
    assert till.total == 0, "one such answer costs 8 dollars"
    made = run(server, tmp_path / "r", CHAT, "nano_en_fr", replace(api, max_cost=30.0), limit=20)
    assert till.total <= 30


@pytest.mark.parametrize("text", ["x", "héé ", "中文", "🙂🙂", "a b c d e f g"])
@pytest.mark.parametrize("task", ["nano_topic", "nano_en_fr"])
def test_the_estimate_is_never_below_the_bill(
    server: ApiServer, tmp_path: Path, text: str, task: str, in_process: RunCli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server whose tokens are bytes, and which wraps every message."""
    spent = 0.0

    def answer(path: str, body: Body) -> Body:
        nonlocal spent
        read = sum(len(message["content"].encode()) + 8 for message in body["messages"]) + 3
        usage = {"prompt_tokens": read, "completion_tokens": body["max_tokens"]}
        spent += dollars(usage)
        return says("A")({"model": MODEL, "choices": [{}], "usage": usage})

    monkeypatch.setattr("gpteval.backends.text_queries.SYSTEM", text * 20)
    server.own = answer
    common = ("run", "--models", CHAT, "--tasks", task, "--limit", 5, "--no-cache", "--base-url", server.url)
    common = (*common, "--prices", prices(tmp_path))
    done = in_process(*common, "--out", tmp_path / "dry", "--dry-run", "--json")
    (estimate,) = json.loads(done.stdout)["estimates"]
    done = in_process(*common, "--out", tmp_path / "r")
    assert done.returncode == 0, done.stderr
    assert spent <= estimate["dollars"]


def test_completions_that_come_to_nothing_count(server: ApiServer, tmp_path: Path) -> None:
    def bad(document: Body) -> Body:
        document["choices"][0]["logprobs"]["token_logprobs"][-2] = None
        return document

    api = replace(QUICK, prices=prices(tmp_path), in_flight=1)
    quiet = run(server, tmp_path / "quiet", SERVED, "nano_facts", api, limit=5)
    asked = len(server.seen)
    server.seen.clear()
    server.fault = lambda number, body: Fault(change=bad) if number % 2 else None
    made = run(server, tmp_path / "r", SERVED, "nano_facts", api, limit=5)
    assert (made.failures, made.results[0].value) == ((), quiet.results[0].value)
    assert len(server.seen) > asked
    assert (made.results[0].dollars or 0) > 1.2 * (quiet.results[0].dollars or 0)


def test_a_limit_of_nothing_sends_nothing(server: ApiServer, tmp_path: Path, till: Till) -> None:
    api = ApiOptions(prices=prices(tmp_path), max_cost=0.0)
    made = run(server, tmp_path, CHAT, "nano_topic", api, limit=2)
    assert "--max-cost 0 is reached" in made.failures[0].error
    assert server.seen == []


@pytest.mark.parametrize("kind", ["rejected", "busy", "broken", "no choice", "learnt"])
def test_each_attempt_is_settled_once(server: ApiServer, tmp_path: Path, till: Till, kind: str) -> None:
    """At the end nothing is set aside any more, and nothing was given back twice."""
    learnt = refusal("temperature is not supported", "temperature")
    if kind == "learnt":
        server.fault = lambda number, body: learnt if "temperature" in body else None
    else:
        answers(server, [kind], 0.5, 3)
    budget = Budget(100.0)
    api = replace(QUICK, prices=prices(tmp_path), max_cost=100.0, in_flight=4, base_url=server.url)
    config = RunConfig(models=(CHAT,), tasks=("nano_en_fr",), limit=20, out=tmp_path / "r", cache=False, api=api)
    assert execute(config, budget=budget).failures == ()
    assert budget.committed == pytest.approx(till.total)

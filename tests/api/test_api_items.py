"""One bad answer is one item's: a server that answers in all the ways servers do, and what becomes of each item."""

from __future__ import annotations

import json
import os
import random
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from gpteval.run.config import RunConfig
from gpteval.run.runner import execute
from gpteval.run.units import Listener
from gpteval.store.documents import read_samples, sample_file
from tests.api_runs import MODEL, QUICK, facts, run, says
from tests.api_server import ApiServer, Body, Fault
from tests.conftest import RunCli

CHAT, SERVED = f"openai:{MODEL}", f"completions:{MODEL}"
ITEMS = int(os.environ.get("TEST_ITEMS", "500"))  # of each task; 2000 were tried, too
PLUGIN = """
from gpteval import Choice, Generate, file, task

@task(family="qa", source=file("rows.jsonl"), metric="acc")
def lettered(item):
    return Choice(f"Item {item['number']}.\\nA. yes\\nB. no\\nAnswer:", [" A", " B"], gold=item["gold"])

@task(family="qa", source=file("rows.jsonl"), metric="exact_match")
def written(item):
    return Generate(f"Item {item['number']}:", ["AB"[item["gold"]]], stop=["\\n"], max_new_tokens=4)
"""


@dataclass(frozen=True)
class Way:
    """How an item is answered: ``kind`` of its outcome, whether a right answer ``counts``, how many ``requests`` it
    takes, and how an answer with the right letter is changed. ``once``: the first request only, the next is answered.
    """

    kind: str
    requests: int
    change: Callable[[Body], Body] | None = None
    fault: Fault | None = None
    once: bool = False


def message(**fields: Any) -> Callable[[Body], Body]:
    def change(document: Body) -> Body:
        choice = document["choices"][0]
        return document | {"choices": [choice | {"message": {"role": "assistant", "content": None, **fields}}]}

    return change


def parts(document: Body) -> Body:
    text = document["choices"][0]["message"]["content"]
    thought = {"type": "thinking", "thinking": [{"type": "text", "text": "Is it A, or is it B?"}]}
    return message(content=[thought, {"type": "text", "text": text}])(document)


def using(usage: Any) -> Callable[[Body], Body]:
    return lambda document: document | {"usage": usage}


def error(message: str, code: Any = None, **more: Any) -> Fault:
    return Fault(document={"error": {"message": message, "code": code, **more}, "user_id": "u"})


def raw(text: str) -> Fault:
    return Fault(raw=text.encode())


CALL = {"id": "c", "type": "function", "function": {"name": "look_up", "arguments": "{}"}}
FILTER = {"finish_reason": "content_filter"}
BROKEN = {"finish_reason": "error", "error": {"code": 502, "message": "upstream broke off"}}
WAYS: dict[str, Way] = {
    "right": Way("answer", 1),
    "content in parts": Way("answer", 1, parts),
    "model null": Way("answer", 1, lambda document: document | {"model": None}),
    "model a number": Way("answer", 1, lambda document: document | {"model": 4}),
    "usage a list": Way("answer", 1, using([1, 2])),
    "usage a text": Way("answer", 1, using("many")),
    "usage infinite": Way("answer", 1, using({"prompt_tokens": float("inf"), "completion_tokens": 1})),
    "usage 1e308": Way("answer", 1, using({"prompt_tokens": 1e308, "completion_tokens": 10**300})),
    "infinity beside": Way("answer", 1, lambda document: document | {"created": float("inf"), "x": 1e308}),
    "busy once": Way("answer", 2, fault=Fault(503, document={"error": {"message": "busy"}}), once=True),
    "no choice once": Way("answer", 2, lambda document: document | {"choices": []}, once=True),
    "an error once": Way("answer", 2, fault=error("try again", 502), once=True),
    "torn once": Way("answer", 2, fault=raw('{"choices": [{"mes'), once=True),
    "refusal": Way("refusal", 1, message(refusal="I cannot.")),
    "stopped": Way("content filter", 1, lambda d: d | {"choices": [d["choices"][0] | FILTER]}),
    "403": Way("content filter", 1, fault=Fault(403, document={"error": {"message": "Input was flagged: violence"}})),
    "403 in an answer": Way("content filter", 1, fault=error("not allowed", 403, metadata={"reasons": ["hate"]})),
    "400": Way("content filter", 1, fault=Fault(400, document={"error": {"message": "x", "code": "content_filter"}})),
    "too long": Way("the server rejects it", 1, fault=Fault(400, document={"error": {"message": "it is too long"}})),
    "tool": Way("no text", 1, message(tool_calls=[CALL])),
    "function": Way("no text", 1, message(function_call={"name": "look_up"}, content="")),
    "thoughts": Way("no text", 1, message(reasoning_content="Hm.")),
    "thoughts elsewhere": Way("no text", 1, message(reasoning="Hm.", content="")),
    "null": Way("no answer", 3, message()),
    "no choice": Way("no answer", 3, lambda document: document | {"choices": []}),
    "an error beside": Way("no answer", 3, fault=Fault(document={"choices": [], "error": {"message": "gone"}})),
    "flagged in an answer": Way("content filter", 1, fault=error("Content policy violation", "moderation_blocked")),
    "choices null": Way("no answer", 3, lambda document: document | {"choices": None}),
    "an error": Way("no answer", 3, fault=error("the provider returned an error")),
    "an error's text": Way("no answer", 3, fault=Fault(document={"error": "overloaded"})),
    "broke off": Way("no answer", 3, lambda d: d | {"choices": [d["choices"][0] | BROKEN]}),
    "500": Way("no answer", 8, fault=Fault(500, document={"error": {"message": "broken"}})),
    "content a number": Way("unreadable", 3, message(content=7)),
    "parts of parts": Way("unreadable", 3, message(content=[{"type": "text", "text": {"deep": 1}}])),
    "message a list": Way("unreadable", 3, lambda d: d | {"choices": [{"message": ["B"]}]}),
    "choice a text": Way("unreadable", 3, lambda document: document | {"choices": ["B"]}),
    "choices a text": Way("unreadable", 3, lambda document: document | {"choices": "B"}),
    "calls a text": Way("unreadable", 3, message(tool_calls="look_up")),
    "torn": Way("unreadable", 3, fault=raw('{"choices": [{"mes')),
    "a page": Way("unreadable", 3, fault=raw("<html>Bad gateway</html>")),
    "nothing": Way("unreadable", 3, fault=raw("")),
    "a list": Way("unreadable", 3, fault=raw("[1, 2]")),
    "deep": Way("unreadable", 3, fault=raw('{"a": ' * 450 + "1" + "}" * 450)),
    "deeper": Way("unreadable", 3, fault=raw('{"choices": ' + "[" * 100_000 + "]" * 100_000 + "}")),
    "deep error": Way("the server rejects it", 1, fault=Fault(400, raw=b'{"error": ' + b"[" * 900 + b"]" * 900 + b"}")),
    "a long number": Way("unreadable", 3, fault=raw('{"choices": ' + "9" * 5000 + "}")),
    "no letters at all": Way("unreadable", 3, fault=Fault(raw=bytes(range(128, 256)))),
}
NEVER = {name for name, way in WAYS.items() if way.kind in ("no answer", "unreadable")}


class Odd:
    """A server that answers each item in one of the ways, drawn; ``asked`` counts the requests of each item."""

    def __init__(self, server: ApiServer, ways: list[str], right: float, seed: int) -> None:
        drawn = random.Random(seed)
        self.ways = ["right" if drawn.random() < right else drawn.choice(ways) for _ in range(ITEMS)]
        self.golds = [drawn.randrange(2) for _ in range(ITEMS)]
        self.asked: Counter[int] = Counter()
        server.own = self.answer
        server.fault = self.fault

    @staticmethod
    def item_of(body: Body) -> int:
        found = re.search(r"Item (\d+)", body["messages"][-1]["content"])
        assert found
        return int(found[1])

    def answer(self, path: str, body: Body) -> Body:
        number = self.item_of(body)
        way = WAYS[self.ways[number]]
        usage = {"prompt_tokens": 20, "completion_tokens": 1}
        document = says("AB"[self.golds[number]])({"model": MODEL, "choices": [{}], "usage": usage})
        return way.change(document) if way.change and not (way.once and self.asked[number] > 1) else document

    def fault(self, number: int, body: Body) -> Fault | None:
        item = self.item_of(body)
        self.asked[item] += 1
        way = WAYS[self.ways[item]]
        return None if way.once and self.asked[item] > 1 else way.fault


def put(folder: Path, golds: list[int]) -> Path:
    folder.mkdir()
    (folder / "mine.py").write_text(PLUGIN)
    rows = [json.dumps({"number": number, "gold": gold}) + "\n" for number, gold in enumerate(golds)]
    (folder / "rows.jsonl").write_text("".join(rows))
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("task", ["lettered", "written"])
def test_every_item_has_its_outcome_and_no_more_requests_than_it_needs(
    server: ApiServer, tmp_path: Path, task: str
) -> None:
    odd = Odd(server, list(WAYS), 0.3, seed=len(task))
    where = {"task_dirs": [put(tmp_path / "tasks", odd.golds)]}
    made = run(server, tmp_path / "r", CHAT, task, **where)
    assert made.failures == ()
    kinds = [WAYS[way].kind for way in odd.ways]
    rows = read_samples(tmp_path / "r" / sample_file(CHAT, made.results[0].task, 0))
    told = [row["answer"] for row in rows]
    assert {way for way, a, b in zip(odd.ways, told, kinds, strict=True) if a != b} == set()
    result, counts = made.results[0], Counter(kinds)
    assert result.n == len(rows) == ITEMS
    right = [kind == "answer" for kind in kinds]
    metric = result.metric
    assert [row["values"][metric] for row in rows] == right
    assert result.value == pytest.approx(sum(right) / ITEMS)
    lost = counts["no answer"] + counts["unreadable"] + counts["the server rejects it"]
    assert result.coverage == pytest.approx(1 - lost / ITEMS)
    assert odd.asked == {number: WAYS[way].requests for number, way in enumerate(odd.ways)}
    notes = "\n".join(result.notes)
    for kind in ("no answer", "unreadable"):
        assert f"{counts[kind]} items have no answer ({kind}); the same command asks for them again" in notes
    for kind in ("refusal", "content filter", "no text"):
        assert f"{counts[kind]} answers count as wrong ({kind})" in notes
    assert "bug" not in notes + "".join(str(row["error"]) for row in rows)
    assert facts(tmp_path / "r", CHAT)["lost"] == {"tokens_in": 0, "tokens_out": 0}
    shown = {odd.ways[number]: row["error"] for number, row in enumerate(rows) if row["error"]}
    assert "the provider returned an error" in shown["an error"]
    assert "upstream broke off" in shown["broke off"]
    assert "Input was flagged: violence" in shown["403"]

    odd.asked.clear()  # the server is mended
    odd.ways = ["right" if way in NEVER else way for way in odd.ways]
    made = run(server, tmp_path / "r", CHAT, task, **where)
    assert odd.asked == {number: 1 for number, kind in enumerate(kinds) if kind in ("no answer", "unreadable")}
    assert made.results[0].value == pytest.approx((sum(right) + len(odd.asked)) / ITEMS)
    assert made.results[0].tokens == 21 * len(odd.asked) + result.tokens, "what was paid in vain stays in the account"


@pytest.mark.parametrize("way", [name for name in WAYS if WAYS[name].kind in ("no answer", "unreadable")])
def test_what_hits_every_item_ends_early_with_the_servers_words(server: ApiServer, tmp_path: Path, way: str) -> None:
    odd = Odd(server, [way], 0.0, seed=0)
    tasks = [put(tmp_path / "t", odd.golds)]
    made = run(server, tmp_path / "r", CHAT, "lettered", replace(QUICK, in_flight=1), limit=10, task_dirs=tasks)
    (failure,) = made.failures
    assert sum(odd.asked.values()) <= 5 * 3 or way == "500"
    assert sum(odd.asked.values()) == (8 if way == "500" else 15)
    assert "bug" not in failure.error
    words = {
        "an error": "the provider returned an error",
        "an error's text": "overloaded",
        "an error beside": "gone",
        "500": "broken",
    }
    assert words.get(way, "the first 5 requests fail alike: it gave no answer") in failure.error
    assert facts(tmp_path / "r", CHAT)["lost"]["tokens_in"] > 0 or way == "500"
    odd.ways = ["right"] * ITEMS
    made = run(server, tmp_path / "r", CHAT, "lettered", limit=10, task_dirs=tasks)
    assert (made.failures, made.results[0].value) == ((), 1.0), "nothing of it was kept as an item's"


@pytest.mark.parametrize("answer", [Fault(403, document={"error": {"message": "no access to it"}}), error("no", 403)])
def test_what_a_key_may_not_do_ends_early(server: ApiServer, tmp_path: Path, answer: Fault) -> None:
    server.fault = lambda number, body: answer
    (failure,) = run(server, tmp_path, CHAT, "nano_topic", replace(QUICK, in_flight=1), limit=50).failures
    assert len(server.seen) == 5
    assert "the first 5 requests fail alike: the server rejects it: status 403: no" in failure.error
    assert "check what the key may do" in failure.error
    server.fault = lambda number, body: None
    made = run(server, tmp_path, CHAT, "nano_topic", limit=50)
    assert (made.failures, made.results[0].coverage) == ((), 1.0), "the refusals were none of the items'"


@pytest.mark.parametrize("status", [401, 402, 404])
@pytest.mark.parametrize("inside", [False, True])
def test_what_no_item_can_help_ends_at_once(server: ApiServer, tmp_path: Path, status: int, inside: bool) -> None:
    """As a status, and as an error in an answer."""
    bad = (
        error("that will not do", status)
        if inside
        else Fault(status, document={"error": {"message": "that will not do"}})
    )
    server.fault = lambda number, body: bad
    (failure,) = run(server, tmp_path, CHAT, "nano_topic", replace(QUICK, in_flight=1), limit=50).failures
    assert len(server.seen) == 1
    assert f"status {status}: that will not do" in failure.error


def test_answers_of_completions_are_outcomes_of_their_items(server: ApiServer, tmp_path: Path) -> None:
    """Some prompts always get an error in the place of their text."""
    lost = set(range(0, 40, 7))
    asked: dict[str, int] = {}  # prompts, in the order in which they came first

    def fault(number: int, body: Body) -> Fault | None:
        place = asked.setdefault(json.dumps(body["prompt"]), len(asked))
        return error("try another day") if place in lost else None

    server.fault = fault
    made = run(server, tmp_path, SERVED, "nano_en_fr", replace(QUICK, in_flight=1), limit=40)
    rows = read_samples(tmp_path / sample_file(SERVED, "nano_en_fr", 0))
    assert made.failures == ()
    assert Counter(row["answer"] for row in rows) == {"answer": 40 - len(lost), "no answer": len(lost)}
    assert {row["error"] for row in rows if row["error"]} == {"no answer: try another day"}
    assert made.results[0].coverage == pytest.approx(1 - len(lost) / 40)


def test_nobody_at_the_address_is_told_at_once(tmp_path: Path, run_cli: RunCli) -> None:
    """One attempt, without a pause before another."""
    where = ("--base-url", "http://127.0.0.1:9/v1", "--out", tmp_path / "r")
    done = run_cli("run", "--models", CHAT, "--tasks", "nano_topic", "--limit", "4", "--no-cache", *where)
    assert done.returncode == 1
    assert "the server does not answer: the connection failed" in done.stderr
    assert "start the server, or check --base-url: it is http://127.0.0.1:9/v1" in done.stderr
    assert facts(tmp_path / "r", CHAT)["requests_sent"] <= 4, "those that were on their way together"


def test_a_wait_is_told_with_its_reason_and_the_next_try(
    server: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gpteval.api.waiting.FIRST_SECONDS", 0.05)
    told: list[str] = []

    class Hears(Listener):
        def waiting(self, what: str) -> None:
            told.append(what)

    busy = Fault(503, {"Retry-After": "1"}, {"error": {"message": "warming up"}})
    server.fault = lambda number, body: busy if number == 0 else None
    api = replace(QUICK, base_url=server.url, in_flight=1)
    config = RunConfig(models=(CHAT,), tasks=("nano_topic",), limit=2, out=tmp_path / "busy", cache=False, api=api)
    assert execute(config, Hears()).failures == ()
    assert "without an answer: status 503: warming up; next try in " in told[0]
    assert len(told) < 10, "less and less often"
    told.clear()
    server.fault = lambda number, body: Fault(seconds=0.5)
    execute(replace(config, out=tmp_path / "slow"), Hears())
    assert "without an answer; a request is given up after 120 s" in told[0]


@pytest.mark.parametrize("status", [301, 308])
def test_a_request_that_was_sent_on_is_named_as_such(server: ApiServer, tmp_path: Path, status: int) -> None:
    def fault(number: int, body: Body) -> Fault:
        if server.seen[-1][0].startswith("/v1"):
            return Fault(status, {"Location": "/v2/chat/completions"}, {})
        return Fault(405, document={"error": {"message": "not here"}})

    server.fault = fault
    api = replace(QUICK, in_flight=1)
    (failure,) = run(server, tmp_path, CHAT, "nano_topic", api, limit=4).failures
    assert "the server refuses (status 405: not here; it redirects to http://127.0.0.1:" in failure.error
    assert f"/v2/chat/completions (status {status})" in failure.error
    server.fault = lambda number, body: Fault(status, document={"message": "elsewhere"})
    (failure,) = run(server, tmp_path / "nowhere", CHAT, "nano_topic", api, limit=4).failures
    assert f"status {status}, moved: elsewhere" in failure.error

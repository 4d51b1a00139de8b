"""Servers that answer otherwise than asked: what is refused is learnt from, what is not told is not made up."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gpteval.api.gate import Gate
from gpteval.backends.thinking import answer_behind
from gpteval.store.documents import read_samples, sample_file
from tests.api_runs import MODEL, QUICK, changing, facts, refusal, run, says, values
from tests.api_server import ApiServer, Body, Fault
from tests.conftest import RunCli

CHAT = f"openai:{MODEL}"
SERVED = f"completions:{MODEL}"
MESSAGES = {
    "max_tokens": "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.",
    "temperature": "Unsupported value: 'temperature' does not support 0 with this model.",
    "seed": "Unrecognized request argument supplied: seed",
    "logprobs": "You are not allowed to request logprobs from this model",
    "top_logprobs": "You are not allowed to request logprobs from this model",
}


def samples(folder: Path, task: str = "nano_topic:letters", model: str = CHAT) -> list[dict[str, Any]]:
    return read_samples(folder / sample_file(model, task, 0))


def right_letter(server: ApiServer, text: str = "{}") -> Callable[[str, Body], Body]:
    """A model that answers A, or a text with it."""

    def answer(path: str, body: Body) -> Body:
        document = {"model": MODEL, "choices": [{}], "usage": {"prompt_tokens": 50, "completion_tokens": 1}}
        return says(text.format("A"))(document)

    return answer


@pytest.mark.parametrize("named", [True, False], ids=["the parameter named", "only the message"])
@pytest.mark.parametrize("refused", [("max_tokens",), ("temperature",), ("logprobs",), ("seed",), tuple(MESSAGES)])
def test_a_refused_parameter_costs_no_prompt(
    server: ApiServer, tmp_path: Path, refused: tuple[str, ...], named: bool
) -> None:
    """All first requests are on their way together, so all are refused."""
    server.own, server.seconds = right_letter(server), 0.1
    quiet = run(server, tmp_path / "quiet", CHAT, "nano_topic", limit=12)

    def picky(number: int, body: Body) -> Fault | None:
        for name in MESSAGES:
            if name in refused and name in body:
                return refusal(MESSAGES[name], name if named else None)
        return None

    server.fault = picky
    made = run(server, tmp_path / "r", CHAT, "nano_topic", replace(QUICK, in_flight=12), limit=12)
    (result, before) = (made.results[0], quiet.results[0])
    assert (made.failures, result.value, result.coverage) == ((), before.value, 1.0)
    left = {"logprobs" if name == "top_logprobs" else name for name in refused}
    assert set(facts(tmp_path / "r")["asked_without"]) == left
    server.seen.clear()
    run(server, tmp_path / "r", CHAT, "nano_topic", replace(QUICK, in_flight=12), limit=12, shots=(0, 1))
    assert len(server.seen) == 12, "what was learnt is known from the answers that are there"
    assert not any(set(refused) & set(body) for _, _, body in server.seen)
    if "temperature" in refused:
        assert "12 answers are samples" in " ".join(result.notes)
        assert "asked without" in result.signature, "which a comparison tells"


def test_a_rejection_that_only_quotes_a_parameter_changes_nothing(server: ApiServer, tmp_path: Path) -> None:
    """A prompt that speaks of the temperature is refused for what it says: all others are asked as before."""
    server.own = right_letter(server)
    quoted = "Invalid prompt: 'the temperature at noon', seed of logprobs"

    def refuse(number: int, body: Body) -> Fault | None:
        return refusal(quoted) if hash(body["messages"][-1]["content"]) % 3 == 0 else None

    server.fault = refuse
    made = run(server, tmp_path, CHAT, "nano_topic", replace(QUICK, in_flight=1), limit=30)
    assert facts(tmp_path)["asked_without"] == []
    assert made.failures == ()
    answered = [body for _, _, body in server.seen if hash(body["messages"][-1]["content"]) % 3]
    assert all(body["temperature"] == 0 and body["logprobs"] for body in answered)
    errors = [row["error"] for row in samples(tmp_path) if row["error"]]
    assert len(errors) == 30 - len({json.dumps(body) for body in answered})
    assert all(error.startswith("the server rejects it: Invalid prompt") for error in errors)


THINKS = (
    "<think>It may be B. No.</think>A",
    "<think>\nB?\n</think>\n\nA",
    "B, or is it</think>A",
    "<thinking>B</thinking> A.",
    "<think>B</think>The answer is A",
    "◁think▷B◁/think▷A",
    "<think>a</think> hm <think>B</think>A",
)


@pytest.mark.parametrize("text", THINKS)
def test_the_answer_is_what_follows_the_thought(server: ApiServer, tmp_path: Path, text: str) -> None:
    server.own = right_letter(server)
    plain = run(server, tmp_path / "plain", CHAT, "nano_topic", limit=12)

    def think(path: str, body: Body) -> Body:
        document = right_letter(server, text)(path, body)
        first = [{"token": "<think>", "logprob": -0.1}, {"token": "B", "logprob": -3.0}]
        document["choices"][0]["logprobs"] = {"content": [first[0] | {"top_logprobs": first}]}
        return document

    server.own = think
    made = run(server, tmp_path / "thinks", CHAT, "nano_topic", limit=12)
    assert made.results[0].value == plain.results[0].value > 0
    assert "12 answers came behind a thought" in " ".join(made.results[0].notes)


@pytest.mark.parametrize(
    ("text", "reason", "more"),
    [
        ("<think>It may be A, since", "length", {}),
        ("<think>A", "stop", {}),
        ("", "length", {}),
        ("  \n", "length", {}),
        (None, "length", {"reasoning_content": "A"}),
        ("<think>A</think>", "length", {}),
    ],
)
@pytest.mark.parametrize("task", ["nano_topic", "nano_en_fr"])
def test_a_cut_thought_is_no_answer(
    server: ApiServer, tmp_path: Path, text: str | None, reason: str, more: dict[str, Any], task: str
) -> None:
    server.fault = changing(says(text, reason, **more))
    made = run(server, tmp_path, CHAT, task, limit=6)
    result = made.results[0]
    assert (result.value, result.n, result.coverage) == (0.0, 6, 1.0)
    assert "6 answers count as wrong (cut before an answer)" in " ".join(result.notes)


def test_the_thought_of_a_text() -> None:
    assert answer_behind("no thought") == ("no thought", False)
    assert answer_behind("a < b > c <think> in the middle") == ("a < b > c <think> in the middle", False)
    assert answer_behind("<THINK>a</THINK>b") == ("b", True)
    assert answer_behind("") == ("", False)
    assert answer_behind("<think>a</think>\n<think>and then") == (None, True), "the second one was cut"


def test_a_translation_behind_a_thought(server: ApiServer, tmp_path: Path) -> None:
    plain = run(server, tmp_path / "plain", CHAT, "nano_en_fr", limit=10)

    def think(document: Body) -> Body:
        message = document["choices"][0]["message"]
        message["content"] = f"<think>le la les</think>\n{message['content']}"
        return document

    server.fault = changing(think)
    made = run(server, tmp_path / "thinks", CHAT, "nano_en_fr", limit=10)
    assert values(made, CHAT) == values(plain, CHAT)


def test_what_a_server_does_not_tell_is_null(server: ApiServer, tmp_path: Path, in_process: RunCli) -> None:
    server.own = right_letter(server)
    run(server, tmp_path / "text", CHAT, "nano_topic", limit=5)
    for row in samples(tmp_path / "text"):
        assert row["logprobs"] == [None] * 4
        assert row["letter_share"] is None
        assert (row["generated"], row["prediction"]) == ("A", 0)

    def two(document: Body) -> Body:
        top = [{"token": "B", "logprob": -0.5}, {"token": " A", "logprob": -1.5}, {"token": "x", "logprob": -9.0}]
        document["choices"][0]["logprobs"] = {"content": [top[0] | {"top_logprobs": top}]}
        return document

    server.fault = changing(two)
    run(server, tmp_path / "told", CHAT, "nano_topic", limit=5)
    for row in samples(tmp_path / "told"):
        assert row["logprobs"] == [pytest.approx(-1.5), pytest.approx(-0.5), None, None]
        assert (row["generated"], row["prediction"]) == ("A", 1)
    for name in ("text", "told"):
        done = in_process("samples", tmp_path / name, "--model", CHAT, "--task", "nano_topic:letters", "--jsonl")
        assert done.returncode == 0, done.stderr
        for line in done.stdout.splitlines():
            json.loads(line, parse_constant=_no_constant)
        done = in_process("samples", tmp_path / name, "--model", CHAT, "--task", "nano_topic:letters")
        assert "generated: 'A'" in done.stdout


def _no_constant(name: str) -> None:
    raise AssertionError(f"{name} is no JSON")


def test_a_refusals_text_is_kept(server: ApiServer, tmp_path: Path) -> None:
    server.fault = changing(says("I would rather not say.", refusal="no"))
    run(server, tmp_path, CHAT, "nano_topic", limit=3)
    assert {row["generated"] for row in samples(tmp_path)} == {"I would rather not say."}


def _number(value: Any, place: int = -2) -> Callable[[Body], Body]:
    def change(document: Body) -> Body:
        document["choices"][0]["logprobs"]["token_logprobs"][place] = value
        return document

    return change


def _top(value: Any) -> Callable[[Body], Body]:
    def change(document: Body) -> Body:
        document["choices"][0]["logprobs"]["top_logprobs"][-2] = value
        return document

    return change


def _other_token(document: Body) -> Body:
    document["choices"][0]["logprobs"]["tokens"][2] = ["x"]
    return document


def _cut_otherwise(document: Body) -> Body:
    """The same text, in other tokens: the first letter of one belongs to the one before."""
    tokens = document["choices"][0]["logprobs"]["tokens"]
    at = next(
        n for n in range(1, len(tokens) - 1) if len(tokens[n]) > 1 and tokens[n].isascii() and tokens[n][0] == " "
    )
    tokens[at - 1], tokens[at] = tokens[at - 1] + tokens[at][0], tokens[at][1:]
    return document


@pytest.mark.parametrize(
    "change",
    [
        *(_number(value) for value in (5.0, 0.5, True, False, "-1.0", math.nan, math.inf, -math.inf, [], {})),
        *(
            _top(value)
            for value in ({"a": 5.0}, {"a": True}, {"a": "-1"}, [1], "x", {"a": math.nan}, None, {}, {"a": -90.0})
        ),
        _other_token,
        _cut_otherwise,
    ],
)
def test_each_answer_is_checked_as_the_first_was(
    server: ApiServer, tmp_path: Path, change: Callable[[Body], Body], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The two questions at the start are answered well. What is none later is asked for again, and then told."""
    quiet = run(server, tmp_path / "quiet", SERVED, "nano_topic", limit=4)
    bad: set[int] = {5, 9}
    server.seen.clear()
    server.fault = lambda number, body: Fault(change=change) if number in bad else None
    made = run(server, tmp_path / "r", SERVED, "nano_topic", limit=4)
    assert (made.failures, values(made, SERVED)) == ((), values(quiet, SERVED))
    assert len(server.seen) == 2 + 16 + len(bad)
    monkeypatch.setattr("gpteval.api.client.ATTEMPTS", 2)
    server.seen.clear()
    server.fault = lambda number, body: Fault(change=change) if number >= 2 else None
    (failure,) = run(server, tmp_path / "never", SERVED, "nano_topic", limit=4).failures
    assert "it gave no answer that can be read" in failure.error


@pytest.mark.parametrize("model", [CHAT, SERVED])
def test_a_text_without_end_is_cut_at_the_tasks_limit(server: ApiServer, tmp_path: Path, model: str) -> None:
    def long(document: Body) -> Body:
        choice = document["choices"][0]
        text = "la maison est rouge et " * 400_000
        if "message" in choice:
            return says(text)(document)
        return document | {"choices": [choice | {"text": text}]}

    server.fault = changing(long)
    made = run(server, tmp_path, model, "nano_en_fr", limit=2)
    assert made.failures == ()
    assert "2 answers were longer than the task asked for" in " ".join(made.results[0].notes)
    for row in samples(tmp_path, "nano_en_fr", model):
        assert len(row["generated"]) < 10_000


def first_token(text: str, *top: tuple[str, float | None]) -> Callable[[Body], Body]:
    """A chat's answer with the likeliest first tokens."""
    told = [{"token": token, "logprob": n} for token, n in top]
    logprobs = {"content": [told[0] | {"top_logprobs": told}]}

    def change(document: Body) -> Body:
        document = says(text)(document)
        return document | {"choices": [document["choices"][0] | {"logprobs": logprobs}]}

    return change


@pytest.mark.parametrize(
    ("text", "top", "chosen", "share"),
    [
        ("(B)", [("(", -0.02), ("A", math.log(0.007))], "B", 0.007),
        ("B", [("B", math.log(0.45)), ("A", math.log(0.04))], "B", 0.49),
        ("The answer is C.", [("The", -0.05), ("D", -4.0)], "C", math.exp(-4)),
        ("B", [("B", math.log(0.3)), (" b", math.log(0.2)), ("(B", math.log(0.2)), ("A", math.log(0.28))], "B", 0.98),
        ("A", [("A", math.log(0.6)), ("B", None), ("C", -9999.0), ("D", float("-inf"))], "A", 0.6),
    ],
)
def test_letters_count_where_they_hold_most_of_the_probability(
    server: ApiServer, tmp_path: Path, text: str, top: list[tuple[str, float | None]], chosen: str, share: float
) -> None:
    server.fault = lambda number, body: Fault(change=first_token(text, *top))
    assert run(server, tmp_path, CHAT, "nano_topic", limit=6).failures == ()
    for row in samples(tmp_path):
        assert "ABCD"[row["prediction"]] == chosen
        assert row["letter_share"] == pytest.approx(share)


def test_a_pause_never_shrinks_to_what_the_server_asks(
    server: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    leave = Gate.leave

    def leaving(gate: Gate, *, refused: bool = False, seconds: float = 0.0) -> None:
        if refused:
            pauses.append(seconds)
        leave(gate, refused=refused, seconds=seconds)

    monkeypatch.setattr(Gate, "leave", leaving)
    busy = Fault(429, {"Retry-After": "0"}, {"error": {"message": "slow down"}})
    server.fault = lambda number, body: busy if number < 6 else None
    assert run(server, tmp_path, CHAT, "nano_topic", replace(QUICK, in_flight=1), limit=1).failures == ()
    assert len(pauses) == 6
    assert all(pause >= 0.5 * QUICK.backoff * 2**number for number, pause in enumerate(pauses))

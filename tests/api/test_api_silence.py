"""Whose silence it is: the server's, which ends a task, or an item's, which is that item's outcome."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from gpteval.api.streak import FIRST
from tests.api_runs import MODEL, QUICK, run
from tests.api_server import ApiServer, Body, Fault

CHAT = f"openai:{MODEL}"


def test_quick_refusals_end_nothing_while_an_earlier_item_waits(server: ApiServer, tmp_path: Path) -> None:
    refused = Fault(400, document={"error": {"message": "content management policy", "code": "content_filter"}})
    server.fault = lambda number, body: Fault(seconds=1.0) if number == 1 else refused
    made = run(server, tmp_path, CHAT, "nano_topic", replace(QUICK, in_flight=4), limit=12)
    assert made.failures == ()
    assert "11 answers count as wrong (content filter)" in " ".join(made.results[0].notes)


def test_a_server_that_falls_silent_ends_the_task_and_no_item(server: ApiServer, tmp_path: Path) -> None:
    down = [True]
    server.fault = lambda number, body: (
        Fault(500, document={"error": {"message": "down"}}) if down and number > 9 else None
    )
    (failure,) = run(server, tmp_path, CHAT, "nano_topic", limit=40).failures
    assert "the server does not answer: status 500: down" in failure.error
    down.clear()
    made = run(server, tmp_path, CHAT, "nano_topic", limit=40)
    assert (made.failures, made.results[0].coverage) == ((), 1.0)


def test_items_that_are_never_answered_end_last_and_are_items_all_the_same(server: ApiServer, tmp_path: Path) -> None:
    """Each is tried eight times, which takes longer than all that comes after it: they fail one after the other."""
    lost = range(26, 26 + FIRST + 2)
    asked: dict[str, int] = {}  # prompts, in the order in which they came first

    def fault(number: int, body: Body) -> Fault | None:
        place = asked.setdefault(json.dumps(body["messages"]), len(asked))
        return Fault(500, document={"error": {"message": "broken"}}) if place in lost else None

    server.fault = fault
    made = run(server, tmp_path, CHAT, "nano_topic", replace(QUICK, in_flight=8), limit=40)
    assert made.failures == ()
    assert made.results[0].coverage == pytest.approx(1 - len(lost) / 40)

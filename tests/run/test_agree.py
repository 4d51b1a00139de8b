"""Two ways to run one model: where they agree it is shown, and where they do not, whatever the reason."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gpteval.backends.api_options import ApiOptions
from gpteval.backends.by_prefix import open_backend
from gpteval.backends.opening import Computing, Opening
from gpteval.comparison.agreement import Certificate, Steadiness, TaskAgreement, of_task, steadiness
from gpteval.core.errors import GptevalError, UsageError
from gpteval.core.outcomes import Failed, Generated, Outcome, Rolled, Score, Scored
from gpteval.core.types import Choice, Generate, Prompt, Rolling
from gpteval.models.catalogue import resolve_models
from gpteval.models.loader import LoadOptions
from gpteval.report.html import write_report
from gpteval.run.agreeing import CROWD, agreement, questions
from gpteval.run.evaluate import evaluate
from gpteval.tasks.registry import select_tasks, task_registry
from tests.api_server import ApiServer, Body, Fault
from tests.conftest import RunCli

MODEL = "gpt2-nano"
TASKS = ("nano_topic", "nano_lastword", "nano_en_fr")


def opened(name: str, server: ApiServer | None = None, dtype: str = "float32", **how: Any) -> Any:
    api = ApiOptions(base_url=server.url, in_flight=CROWD, backoff=0.002) if server else ApiOptions()
    (info,) = resolve_models([name])
    return open_backend(info, Opening(Computing(LoadOptions("cpu", dtype), **how), api))


def certified(server: ApiServer, tasks: tuple[str, ...] = TASKS, items: int = 12) -> Certificate:
    chosen = select_tasks(task_registry(), tasks)
    backends = opened(MODEL), opened(f"completions:{MODEL}", server)
    return agreement(*backends, questions(chosen, backends, items=items))


def test_what_is_told_of_two_ways() -> None:
    choice = Choice("Q", [" a", " bb"], 0)
    prompts = [
        Prompt(str(n), request) for n, request in enumerate((choice, choice, Generate("Q", ["x"]), Rolling("t")))
    ]

    def scored(*logprobs: float) -> Scored:
        return Scored(tuple(Score(one, n + 1, one == max(logprobs)) for n, one in enumerate(logprobs)))

    ours: list[Outcome] = [scored(-1.0, -2.0), scored(-1.0, -1.1), Generated("as it is", "stop", 3), Rolled(-50.0, 100)]
    theirs: list[Outcome] = [scored(-1.0, -2.2), scored(-1.2, -1.1), Generated("as it was", "stop", 3), Failed("gone")]
    told, flips, texts = of_task("task", prompts, ours, theirs)
    assert told.largest == pytest.approx(0.2)
    assert told.mean == pytest.approx((0 + 0.2 / 2 + 0.2 + 0) / 4)
    assert (told.flips, told.choices, told.texts_differ, told.failed, told.scored) == (1, 2, 1, 1, 4)
    assert told.greedy == 0.5
    assert flips[0].item == "1"
    assert flips[0].margin == pytest.approx(0.1)
    assert (texts[0].at, texts[0].reference) == (6, "as it is")
    assert steadiness([ours, ours]) == Steadiness()
    assert steadiness([ours, theirs]).largest == float("inf"), "an item that has an outcome at one time only"
    whole = Certificate("a", "b", (told,), tuple(flips), tuple(texts), Steadiness(), Steadiness(), Steadiness(0.5, 1))
    assert "differ by up to 0.2 nats" in whole.broken(0.1)
    assert "1 items have no outcome" in whole.broken(0.1)
    assert "its own answers differ by up to 0.5" in whole.broken(0.3)
    assert not TaskAgreement(*("t", 1, 1, 0.0, 0.0, 1.0, 0, 0, 0, 0, 0.0, 1.0, 0)).failed


def test_a_true_server_agrees(server: ApiServer) -> None:
    found = certified(server)
    assert found.largest < 1e-3
    assert not found.flips
    assert not found.texts
    assert max(one.largest for one in (found.alone, found.crowd, found.between)) < 1e-3
    assert not found.broken(2e-3)
    assert server.most > 1, "it was asked many at a time"


def test_two_precisions() -> None:
    backends = opened(MODEL, top_logprobs=20), opened(MODEL, dtype="bfloat16", top_logprobs=20)
    found = agreement(
        *backends, questions(select_tasks(task_registry(), ("nano_topic", "nano_prose")), backends, items=6)
    )
    assert (found.reference, found.other) == (f"{MODEL} in float32", f"{MODEL} in bfloat16")
    assert 1e-4 < found.largest < 0.5
    prose = found.tasks[1]
    assert 0 < prose.kl < 0.01
    assert prose.same_token > 0.9
    assert "nats a token" in found.broken(1e-4)


def changed(change: Callable[[list[Any], list[Any], list[Any]], tuple[list[Any], list[Any], list[Any]]]) -> Any:
    def change_document(document: Body) -> Body:
        found = document["choices"][0]["logprobs"]
        if found is not None:
            names = ("tokens", "token_logprobs", "top_logprobs")
            found |= dict(zip(names, change(*(found[name] for name in names)), strict=True))
        return document

    return lambda number, body: Fault(change=change_document)


def near(n: float | None) -> float | None:
    return None if n is None else round(n, 1)


@pytest.mark.parametrize(
    ("what", "change"),
    [
        (
            "rounded",
            lambda t, n, tops: (t, [*map(near, n)], [top and {k: near(v) for k, v in top.items()} for top in tops]),
        ),
        ("shifted by one", lambda t, n, tops: (t, [None, *n[2:], -1.5], [None, *tops[2:], {"x": -1.5}])),
        ("without the last token", lambda t, n, tops: (t[:-1], n[:-1], tops[:-1])),
    ],
)
def test_servers_whose_numbers_are_no_ones_are_refused(server: ApiServer, what: str, change: Any) -> None:
    server.fault = changed(change)
    with pytest.raises(GptevalError, match="cannot be scored"):
        certified(server, ("nano_topic",))


def test_a_server_whose_answers_vary_with_its_load_is_shown(server: ApiServer) -> None:
    def noisy(document: Body) -> Body:
        found = document["choices"][0]["logprobs"]
        if found is not None and server.active > 1:  # others are under way
            by = 0.05 + 0.001 * len(server.seen)
            found["token_logprobs"] = [n if n is None else n - by for n in found["token_logprobs"]]
            found["top_logprobs"] = [top and {k: v - by for k, v in top.items()} for top in found["top_logprobs"]]
        return document

    server.seconds = 0.01
    server.fault = lambda number, body: Fault(change=noisy)
    found = certified(server, ("nano_topic",), items=8)
    assert found.alone.largest < 1e-3, "alone it is steady"
    assert found.between.largest > 0.04
    assert "from one time to the next" in found.broken(0.01)


def test_texts_alone_have_no_largest_difference(in_process: RunCli) -> None:
    asked = ("agree", MODEL, MODEL, "--tasks", "nano_en_fr", "--limit", "2", "--device", "cpu", "--within", "0")
    document = json.loads(in_process(*asked, "--json").stdout)
    assert document["largest"] is None
    assert (document["within"], document["broken"]) == (0.0, "")


def test_another_model_is_shown() -> None:
    backends = opened("gpt2-nano"), opened("gpt3-nano")
    found = agreement(*backends, questions(select_tasks(task_registry(), TASKS), backends, items=30))
    assert found.largest > 0.1
    assert found.texts
    assert found.texts[0].reference != found.texts[0].other


def test_what_no_two_can_be_asked(server: ApiServer) -> None:
    backends = opened(MODEL), opened("openai:gpt-4o", server)
    with pytest.raises(UsageError, match="nothing that both can be asked"):
        agreement(*backends, questions(select_tasks(task_registry(), ("nano_prose",)), backends, items=2))


def test_on_the_command_line(in_process: RunCli) -> None:
    asked = ("agree", MODEL, MODEL, "--tasks", "nano_topic,nano_en_fr", "--limit", "6", "--device", "cpu")
    done = in_process(*asked, "--within", "0.001")
    assert done.returncode == 0, done.stderr
    assert "nats a token" in done.stdout
    broken = in_process(*asked, "--dtype", "bfloat16", "--within", "0.00001")
    assert broken.returncode == 1
    assert "FAILED: not within 1e-05" in broken.stderr
    document = json.loads(in_process(*asked, "--dtype", "bfloat16", "--json").stdout)
    assert document["reference"] == f"{MODEL} in float32"
    assert document["largest"] > 0
    assert {one["task"] for one in document["tasks"]} == {"nano_topic", "nano_en_fr"}


def run_of(server: ApiServer, out: Path, **how: Any) -> tuple[Any, dict[str, Any]]:
    api = ApiOptions(base_url=server.url, in_flight=CROWD, backoff=0.002)
    made = evaluate(f"completions:{MODEL}", ["nano_topic", "nano_en_fr"], limit=20, out=out, api=api, **how)
    return made, json.loads((out / "manifest.json").read_text(encoding="utf-8"))["models"][f"completions:{MODEL}"]


def test_before_a_run(server: ApiServer, tmp_path: Path) -> None:
    made, facts = run_of(server, tmp_path / "run", agree=MODEL, agree_within=0.002)
    assert not made.failures
    assert f"nats a token of {MODEL}" in facts["agreement"]["agrees"]
    assert "0 flips of 16 choices, 0 of 16 texts differ" in facts["agreement"]["agrees"]
    asked = len(server.seen)
    run_of(server, tmp_path / "run", agree=MODEL, agree_within=0.002)
    assert len(server.seen) == asked, "what was found is not asked for again"
    write_report([tmp_path / "run"], tmp_path / "report.html", "leaderboard")
    assert "0 flips of 16 choices" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_a_server_of_another_model_is_refused_before_it_is_asked_more(server: ApiServer, tmp_path: Path) -> None:
    def lower(t: list[Any], n: list[Any], tops: list[Any]) -> tuple[list[Any], list[Any], list[Any]]:
        return t, [m if m is None else 1.01 * m for m in n], [p and {k: 1.01 * v for k, v in p.items()} for p in tops]

    server.fault = changed(lower)
    made, facts = run_of(server, tmp_path / "run", agree=MODEL, agree_within=0.002)
    assert not made.results
    assert all("is not within 0.002 nats a token" in failure.error for failure in made.failures)
    assert "differ by up to" in facts["agreement"]["broken"]
    with pytest.raises(UsageError, match="--agree-within is for --agree"):
        run_of(server, tmp_path / "other", agree_within=0.1)
    made, _ = run_of(server, tmp_path / "third", agree="openai:gpt-4o")
    assert "is no model that is loaded here" in made.failures[0].error

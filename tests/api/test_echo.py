"""Servers whose echoed numbers are not the model's: refused, or scored as the model itself is; never another number."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gpteval.api.echo import step_of
from gpteval.run.units import RunOutcome
from tests.api_runs import MODEL, run, values
from tests.api_server import ApiServer, Body, Fault

SERVED = f"completions:{MODEL}"
TASKS = ["nano_facts", "nano_topic"]
Change = Callable[[Body], Body]


def told(change: Callable[[list[Any], list[Any], list[Any]], tuple[list[Any], list[Any], list[Any]]]) -> Change:
    """An answer whose lists are changed: tokens, numbers, likeliest ones."""

    def changed(document: Body) -> Body:
        found = document["choices"][0]["logprobs"]
        if found is not None:
            names = ("tokens", "token_logprobs", "top_logprobs")
            found |= dict(zip(names, change(*(found[name] for name in names)), strict=True))
        return document

    return changed


def itself(tokens: list[Any], numbers: list[Any], tops: list[Any]) -> tuple[list[Any], list[Any], list[Any]]:
    return tokens, numbers, [None if n is None else {t: n} for t, n in zip(tokens, numbers, strict=True)]


def rounded(step: float) -> Change:
    def near(n: float | None) -> float | None:
        return None if n is None else round(n / step) * step

    return told(lambda t, n, tops: (t, [*map(near, n)], [top and {k: near(v) for k, v in top.items()} for top in tops]))


def digits(count: int) -> Change:
    def near(n: float | None) -> float | None:
        return None if n is None else float(f"{n:.{count}g}")

    return told(lambda t, n, tops: (t, [*map(near, n)], [top and {k: near(v) for k, v in top.items()} for top in tops]))


def cut(keep: int, where: str) -> Change:
    """A prompt of which only so many tokens are read; the others have zeros."""

    def change(t: list[Any], n: list[Any], tops: list[Any]) -> tuple[list[Any], list[Any], list[Any]]:
        behind = len(t) - 1 if where == "front" else keep
        for place in range(1, len(t) - 1):
            if (place < behind - keep) if where == "front" else (place >= behind):
                n[place], tops[place] = 0.0, {t[place]: 0.0}
        return t, n, tops

    return told(change)


# Each with all answers changed.
DEVIATIONS: dict[str, Change] = {
    "only the token itself": told(itself),
    "no likeliest ones": told(lambda t, n, tops: (t, n, [None for _ in t])),
    "empty likeliest ones": told(lambda t, n, tops: (t, n, [None, *({} for _ in t[1:])])),
    "nothing behind": told(lambda t, n, tops: (t[:-1], n[:-1], tops[:-1])),
    "nothing behind, a place early": told(lambda t, n, tops: (t[:-1], [None, *n[2:]], [None, *tops[2:]])),
    "a place early": told(lambda t, n, tops: (t, [None, *n[2:], -1.5], [None, *tops[2:], {"x": -1.5}])),
    "a place late": told(lambda t, n, tops: (t, [None, -2.5, *n[1:-1]], [None, {"x": -0.5}, *tops[1:-1]])),
    "a place early from the first": told(lambda t, n, tops: (t[:-1], n[1:], tops[1:])),
    "a token of its own before": told(lambda t, n, tops: (t, [-7.25, *n[1:]], [{"x": -2.0}, *tops[1:]])),
    "steps of 0.1": rounded(0.1),
    "steps of 0.25": rounded(0.25),
    "steps of 0.01": rounded(0.01),
    "steps of 0.037": rounded(0.037),
    "two digits": digits(2),
    "three digits": digits(3),
    "cut in front": cut(20, "front"),
    "cut behind": cut(20, "behind"),
    "fewer tokens": told(lambda t, n, tops: (t[:9], n[:9], tops[:9])),
    "fewer numbers": told(lambda t, n, tops: (t, n[:9], tops)),
    "the same number": told(
        lambda t, n, tops: (t, [None, *(-1.25 for _ in n[1:])], [None, *({"x": -1.0} for _ in n[1:])])
    ),
}


@pytest.fixture(scope="module")
def true(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, int, str], float]:
    from gpteval.run.evaluate import evaluate

    made = evaluate(MODEL, TASKS, limit=8, out=tmp_path_factory.mktemp("true"), cache=False)
    return values(made, MODEL)


def refused_or_right(made: RunOutcome, true: dict[tuple[str, int, str], float]) -> int:
    """How many tasks were scored."""
    found = values(made, SERVED)
    for key, value in found.items():
        assert value == pytest.approx(true[key], abs=1e-4), key
    assert {failure.task for failure in made.failures} | {task for task, _, _ in found} == set(TASKS)
    return len(TASKS) - len({failure.task for failure in made.failures})


@pytest.mark.parametrize("deviation", DEVIATIONS)
def test_each_deviation(
    server: ApiServer, tmp_path: Path, deviation: str, true: dict[tuple[str, int, str], float]
) -> None:
    server.fault = lambda number, body: Fault(change=DEVIATIONS[deviation])
    made = run(server, tmp_path, SERVED, TASKS, limit=8)
    assert refused_or_right(made, true) == 0
    assert all("cannot be scored: " in failure.error for failure in made.failures)
    assert len(server.seen) <= 2 * 6, "refused at the start"


def test_a_server_that_tells_the_prompts_own_beside_the_likeliest(
    server: ApiServer, tmp_path: Path, true: dict[tuple[str, int, str], float]
) -> None:
    def both(t: list[Any], n: list[Any], tops: list[Any]) -> tuple[list[Any], list[Any], list[Any]]:
        return t, n, [top if own is None else {name: own, **top} for name, own, top in zip(t, n, tops, strict=True)]

    server.fault = lambda number, body: Fault(change=told(both))
    assert refused_or_right(run(server, tmp_path, SERVED, TASKS, limit=8), true) == len(TASKS)


@pytest.mark.parametrize("deviation", [name for name in DEVIATIONS if name != "cut behind"])  # that shows at the start
def test_a_deviation_that_begins_later(
    server: ApiServer, tmp_path: Path, deviation: str, true: dict[tuple[str, int, str], float]
) -> None:
    """Behind the questions at the start one backend of several answers otherwise, at random."""
    draw = random.Random(deviation)
    change = DEVIATIONS[deviation]
    server.fault = lambda number, body: Fault(change=change) if number > 2 and draw.random() < 0.3 else None
    scored = refused_or_right(run(server, tmp_path, SERVED, TASKS, limit=8), true)
    assert scored or deviation.startswith(("cut", "nothing"))


@pytest.mark.parametrize("window", [24, 60, 90])
def test_a_prompt_that_is_longer_than_the_server_reads(
    server: ApiServer, tmp_path: Path, window: int, true: dict[tuple[str, int, str], float]
) -> None:
    """Right for short prompts: found out before the longer ones are asked."""

    def shorter(path: str, body: Body) -> Body:
        ids = body["prompt"]
        server.own = None
        try:
            document = server.answer(path, body | {"prompt": ids[-window:]})
        finally:
            server.own = shorter
        found, lost = document["choices"][0]["logprobs"], len(ids[:-window])
        names = [server._token(token) for token in ids[:-window]]
        found["tokens"] = names + found["tokens"]
        padded = [None, *(0.0 for _ in names[1:]), 0.0] if lost else [None]
        found["token_logprobs"] = padded + found["token_logprobs"][1:]
        cut = [{name: 0.0} for name in found["tokens"][1 : lost + 1]]
        found["top_logprobs"] = [None, *cut, *found["top_logprobs"][1:]]
        return document

    server.own = shorter
    made = run(server, tmp_path, SERVED, TASKS, limit=8)
    refused_or_right(made, true)
    longest = max(len(body["prompt"]) for _, _, body in server.seen)
    assert bool(made.failures) == (longest > window)


def test_the_longest_prompt_is_asked_for_before_any_other(server: ApiServer, tmp_path: Path) -> None:
    run(server, tmp_path, SERVED, ["nano_facts"], shots=(0, 3), limit=8)
    lengths = [len(body["prompt"]) for _, _, body in server.seen]
    for place, length in enumerate(lengths[2:], 2):
        assert length <= max(lengths[:place]) or length == max(lengths)
    assert lengths[1] >= max(lengths[2:10])


def test_what_cannot_be_asked_is_a_refusal(server: ApiServer, tmp_path: Path) -> None:
    server.fault = lambda number, body: Fault(change=DEVIATIONS["nothing behind"])
    (failure,) = run(server, tmp_path, SERVED, "nano_facts", limit=8).failures
    assert "it writes no token that can be told" in failure.error


def test_tasks_that_are_written_need_no_echo(server: ApiServer, tmp_path: Path) -> None:
    server.fault = lambda number, body: Fault(change=DEVIATIONS["nothing behind"])
    made = run(server, tmp_path, SERVED, "nano_en_fr", limit=4)
    assert made.failures == ()
    assert not any(body.get("echo") for _, _, body in server.seen)


@pytest.mark.parametrize("step", [0.01, 0.02, 0.037, 0.1, 0.125, 0.25, 0.3])
def test_steps_are_told(step: float) -> None:
    draw = np.random.default_rng(1)
    for _ in range(50):
        numbers = -draw.exponential(3, size=40)
        numbers32 = (np.round(numbers / step) * step).astype(np.float32)
        assert step_of(list(map(float, numbers32))) >= 0.01
        assert step_of(list(map(float, numbers.astype(np.float32)))) == 0.0
        assert step_of(list(map(float, numbers.astype(np.float16).astype(np.float32)))) <= 0.02


def test_numbers_in_bfloat16_are_coarse() -> None:
    import torch

    numbers = -torch.from_numpy(np.random.default_rng(1).exponential(3, size=60) + 0.5)
    assert step_of(numbers.to(torch.bfloat16).double().tolist()) >= 0.01
    assert step_of(numbers.float().double().tolist()) == 0.0


@pytest.mark.parametrize("numbers", [[], [-1.0], [-1.0] * 30, [0.0] * 30, [-float("inf")] * 30, [-0.5, -0.25, -3.0]])
def test_too_few_numbers_tell_no_step(numbers: list[float]) -> None:
    assert step_of(numbers) == 0.0

"""A judge: what it is asked, and what its word comes to, whatever it says."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

import gpteval
from gpteval.backends.api_options import ApiOptions
from gpteval.backends.opening import Opening
from gpteval.backends.prices import Budget
from gpteval.comparison.preference import Contest, Matter, asked, preference
from gpteval.core.errors import ModelError, UsageError
from gpteval.core.outcomes import Failed, Outcome, Score, Scored
from gpteval.experiments.judging import Preferences, preferences
from tests.api_server import ApiServer, Body
from tests.conftest import RunCli


def verdict(letter: str) -> Scored:
    return Scored(tuple(Score(0.0 if one == letter else -5.0, 1, one == letter) for one in "ABC"))


def contest(pairs: list[tuple[str, str]], rouge: Callable[[str], float] = len) -> Contest:
    matters = tuple(
        Matter(str(n), "", "Say it.", texts, ({"rouge1": rouge(texts[0])}, {"rouge1": rouge(texts[1])}))
        for n, texts in enumerate(pairs)
    )
    return Contest("task", 0, "a", "b", "rouge1", matters, 0)


def judged(contest: Contest, says: Callable[[str, str], str]) -> Mapping[str, tuple[Outcome, Outcome]]:
    """``says``: of the first and the second text, the letter."""
    return {one.item: (verdict(says(*one.texts)), verdict(says(*one.texts[::-1]))) for one in contest.unlike}


LONGER = [("x" * (n % 3 + 2), "y") for n in range(40)] + [("x", "y" * 4)] * 10


def test_a_judge_that_looks_at_the_texts() -> None:
    asked_about = contest(LONGER)
    found = preference("j", asked_about, judged(asked_about, lambda one, two: "A" if len(one) > len(two) else "B"))
    assert (found.wins_a, found.wins_b, found.ties, found.turned, found.n) == (40, 10, 0, 0, 50)
    assert found.share.value == pytest.approx(0.8)
    assert found.share.ci_low < 0.8 < found.share.ci_high
    assert found.first == 0.5, "both orders were asked"
    (agreement,) = found.agreements
    assert (agreement.metric, agreement.value, agreement.n) == ("rouge1", 1.0, 50)
    assert not found.caution


def test_one_that_always_takes_the_first_is_worth_nothing() -> None:
    asked_about = contest(LONGER)
    found = preference("j", asked_about, judged(asked_about, lambda one, two: "A"))
    assert (found.turned, found.asked, found.first) == (50, 50, 1.0)
    assert found.share.value == 0.5
    assert found.share.why == "the order decides, not the texts"
    assert found.worthless
    assert "it is worth nothing" in found.caution
    assert not found.agreements, "it has no verdict that a metric could agree with"


def test_ties_and_what_is_left_out() -> None:
    asked_about = contest([("same text", "same  text"), ("x", "y"), ("x", "yy"), ("x", "yyy")])
    outcomes = dict(judged(asked_about, lambda one, two: "C" if len(one) == len(two) else "B" if len(two) > 1 else "A"))
    outcomes["2"] = (verdict("A"), Failed("no letter: 'well'", answered=True))
    found = preference("a", asked_about, outcomes)
    assert (found.same, found.ties, found.unanswered, found.wins_b, found.n, found.asked) == (1, 2, 1, 1, 3, 2)
    assert found.share.value == pytest.approx((0.5 + 0.5 + 0) / 3)
    assert found.caution == "a judges its own texts"


def test_intervals_of_the_share_hold() -> None:
    """A judge that prefers either with a probability of the item's own, in both orders by itself."""
    generator, covered, runs = np.random.default_rng(5), 0, 1500
    asked_about = contest([("x", "y")] * 80)
    for _ in range(runs):
        likes = generator.beta(2, 1, 80)
        outcomes = {}
        for matter, p in zip(asked_about.matters, likes, strict=True):
            one, two = generator.random(2) < p
            outcomes[matter.item] = (verdict("A" if one else "B"), verdict("B" if two else "A"))
        found = preference("j", asked_about, outcomes)
        if not found.worthless:
            covered += found.share.ci_low <= 2 / 3 <= found.share.ci_high
        else:
            runs -= 1
    assert 0.93 <= covered / runs <= 0.97


def test_what_is_asked() -> None:
    request = asked("Summarise: a\n\n", "one ", " two")
    assert request.context.index("Answer 1:\none\n") < request.context.index("Answer 2:\ntwo\n")
    assert request.context.startswith("Two answers to a task follow.")
    assert request.continuations == (" A", " B", " C")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("judged") / "run"
    gpteval.evaluate(["gpt2-nano", "gpt3-nano"], ["nano_en_fr", "nano_topic"], limit=15, out=out, device="cpu")
    return out


def opened(server: ApiServer, most: float | None = None, prices: Path | None = None) -> Opening:
    api = ApiOptions(base_url=server.url, max_cost=most, prices=prices, backoff=0.002)
    return Opening(api=api, budget=Budget(most))


def judge(server: ApiServer, says: Callable[[str, str], str]) -> None:
    """A judge behind an API, of which it is known how it decides."""

    def own(path: str, body: Body) -> Body:
        prompt = body["messages"][-1]["content"]
        one, two = re.findall(r"Answer \d:\n(.*?)\n\n", prompt, re.DOTALL)
        message = {"role": "assistant", "content": says(one, two), "refusal": None}
        choice = {"index": 0, "finish_reason": "stop", "logprobs": None, "message": message}
        usage = {"prompt_tokens": 100, "completion_tokens": 1, "total_tokens": 101}
        return {"id": "x", "object": "chat.completion", "model": body["model"], "choices": [choice], "usage": usage}

    server.own = own


def asks(run: Path, server: ApiServer, name: str, **how: object) -> Preferences:
    return preferences(run, name, opened(server), **how)  # type: ignore[arg-type]


def test_a_remote_judge(run: Path, server: ApiServer) -> None:
    judge(server, lambda one, two: "A" if one < two else "B")
    found = asks(run, server, "prefer:openai:judge-by-alphabet")
    (pair,) = found.pairs
    assert (pair.task, pair.model_a, pair.model_b) == ("nano_en_fr", "gpt2-nano", "gpt3-nano")
    assert found.questions == 2 * pair.asked == len(server.seen)
    assert pair.asked + pair.same == pair.n == 15
    assert pair.turned == 0
    assert {agreement.metric for agreement in pair.agreements} >= {"bleu", "chrf"}
    before = len(server.seen)
    assert asks(run, server, "openai:judge-by-alphabet").pairs == found.pairs
    assert len(server.seen) == before, "what was answered is not asked again"
    assert asks(run, server, "openai:judge-by-alphabet", limit=3).pairs[0].n == 3


def test_a_remote_judge_that_follows_the_order(run: Path, server: ApiServer) -> None:
    judge(server, lambda one, two: "A")
    (pair,) = asks(run, server, "openai:judge-of-the-first").pairs
    assert pair.turned == pair.asked > 0
    assert (pair.first, pair.share.value) == (1.0, 0.5)
    assert pair.worthless


def test_its_cost_counts(run: Path, server: ApiServer, tmp_path: Path) -> None:
    prices = tmp_path / "prices.csv"
    prices.write_text(
        "model,dollars_per_million_in,dollars_per_million_out,date\npricey,1000,0,2026-01-01\n", encoding="utf-8"
    )
    judge(server, lambda one, two: random.choice("AB"))
    with pytest.raises(ModelError, match="--max-cost 0.01 is reached"):
        preferences(run, "openai:pricey", opened(server, 0.01, prices))
    found = preferences(run, "openai:pricey", opened(server, 100.0, prices))
    assert found.dollars == pytest.approx(found.questions * 100 * 1000 / 1e6)


def test_who_can_judge(run: Path, tmp_path: Path) -> None:
    given = tmp_path / "given.csv"
    given.write_text("item_id,answer\nx,y\n", encoding="utf-8")
    with pytest.raises(ModelError, match="has no answer to"):
        preferences(run, f"answers:{given}")
    with pytest.raises(UsageError, match="stands for 5 models"):
        preferences(run, "nano")
    with pytest.raises(UsageError, match="names no judge"):
        preferences(run, "prefer:")
    only = tmp_path / "only"
    gpteval.evaluate("gpt2-nano", "nano_en_fr", limit=2, out=only, device="cpu")
    with pytest.raises(UsageError, match="no two models of these runs have written texts"):
        preferences(only, "gpt2-nano")


def test_on_the_command_line(run: Path, in_process: RunCli) -> None:
    told = in_process("compare", run, "--metric", "prefer:gpt3-nano-medium", "--limit", "4", "--device", "cpu")
    assert told.returncode == 0, told.stderr
    assert "A wins" in told.stdout
    assert "gpt3-nano-medium was asked" in told.stdout
    document = json.loads(in_process("compare", run, "--metric", "prefer:gpt3-nano", "--limit", "4", "--json").stdout)
    assert document["judge"] == "gpt3-nano"
    assert document["pairs"][0]["asked"] <= 4
    for wrong in (("--anytime",), ("--margin", "1"), ("--format", "csv")):
        refused = in_process("compare", run, "--metric", "prefer:gpt2-nano", *wrong)
        assert refused.returncode == 2
        assert "is a comparison by itself" in refused.stderr
    assert in_process("compare", run, "--limit", "3").returncode == 2
    asked_run = ("run", "--models", "gpt2-nano", "--tasks", "nano_en_fr", "--metrics", "prefer:gpt2-nano")
    assert "compare RUN --metric prefer:gpt2-nano" in in_process(*asked_run).stderr

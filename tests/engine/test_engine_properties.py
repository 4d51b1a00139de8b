"""Any trees of requests, any budget: the engine's numbers and texts are those of one query at a time."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gpteval.core.types import Choice, Generate, Prompt, Rolling
from gpteval.engine.batches import form_batches
from gpteval.engine.engine import Engine
from gpteval.models.catalogue import ModelInfo
from gpteval.models.loader import HFModel, LoadOptions
from gpteval.tokens.queries import GenerateQuery, QueryResult, ScoreQuery
from tests.tiny import ARCHITECTURES, TEXT, save_tiny

WORDS = sorted({word for text in TEXT for word in text.split()})
WINDOW = 96

words = st.lists(st.sampled_from(WORDS), min_size=1, max_size=6).map(" ".join)
long = st.builds(  # at times over the window
    lambda begin, count: " ".join((WORDS * 3)[begin : begin + count]), st.integers(0, 30), st.integers(20, 70)
)
continuations = st.lists((words | long.map(lambda text: text[:90])).map(" {}".format), min_size=1, max_size=4)


@st.composite
def requests(draw: Any) -> list[Prompt]:
    """Beginnings that are nested in each other, and requests after them; now and then the same once more."""
    first = draw(words)
    beginnings = ["", first]
    for _ in range(3):
        beginnings.append(f"{draw(st.sampled_from(beginnings[1:]))} {draw(words | long)}")
    contexts = st.builds("{} {}".format, st.sampled_from(beginnings), words) | st.sampled_from(beginnings)
    neutral = st.none() | st.just("so:")
    barred = st.just(()) | st.lists(st.sampled_from(WORDS + list("aeinost")), min_size=1, max_size=20)
    choices = st.builds(
        lambda c, options, n, stop: Choice(c, options, 0, neutral=n, stop_words=stop),
        *(contexts, continuations, neutral, barred),
    )
    answers = st.builds(
        lambda c, most: Generate(c, ["x"], stop=("dog",), max_new_tokens=most), contexts.filter(bool), st.integers(1, 9)
    )
    texts = st.builds(Rolling, words | long)
    options = st.builds(
        lambda c, a, b, rest: Choice(c, [f" {rest}"] * 2, 0, leads=[f" {a}", f" {b}"]), contexts, words, words, words
    )
    made = draw(st.lists(choices | choices | options | answers | texts, min_size=1, max_size=12))
    repeated = draw(st.lists(st.sampled_from(made), max_size=2))
    return [Prompt(str(n), request) for n, request in enumerate([*made, *repeated])]


@pytest.fixture(scope="module", params=[*ARCHITECTURES, "mistral"])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> HFModel:
    folder = save_tiny(tmp_path_factory.mktemp("tiny") / request.param, request.param, window=WINDOW)
    return HFModel(ModelInfo(name=request.param, location=str(folder), local=True), LoadOptions(device="cpu"))


@lru_cache(5)
def engine_of(model: HFModel, budget: int) -> Engine:
    """One that has seen other examples before, as an engine does."""
    return Engine(model, batch_tokens=budget)


@torch.inference_mode()
def naive_score(model: HFModel, query: ScoreQuery) -> tuple[float, bool]:
    ids = [*query.context, *query.targets]
    logits = model.module(input_ids=torch.tensor([ids[:-1]])).logits[0, len(query.context) - 1 :].double()
    targets = torch.tensor(list(query.targets))
    picked = torch.log_softmax(logits, dim=-1).gather(1, targets[:, None])
    logits[0, list(query.barred)] = float("-inf")
    return float(picked.sum()), bool((logits.argmax(dim=-1) == targets).all())


@torch.inference_mode()
def naive_text(model: HFModel, query: GenerateQuery) -> str:
    ids = list(query.prompt)
    for _ in range(query.max_new_tokens):
        token = int(model.module(input_ids=torch.tensor([ids])).logits[0, -1].argmax())
        if token in model.codec.eos:
            break
        ids.append(token)
    text = model.codec.decode(ids[len(query.prompt) :])
    return min((text.split(stop)[0] for stop in query.stop), key=len, default=text)


@settings(max_examples=12, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow], database=None)
@given(prompts=requests(), budget=st.sampled_from([1, 30, 100, 300, 5000]))
def test_any_trees_of_requests(model: HFModel, prompts: list[Prompt], budget: int) -> None:
    engine = engine_of(model, budget)
    plan = engine.plan(prompts)
    batches = list(form_batches(plan.queries, budget, budget, reach=engine.scorer.reach))
    assert sorted(key for batch in batches for key in batch) == sorted(plan.queries)
    results: dict[bytes, QueryResult] = {}
    for batch in engine.compute(plan, results):
        results |= batch
    for key, query in plan.queries.items():
        found = results[key]
        if isinstance(query, ScoreQuery):
            logprob, greedy = naive_score(model, query)
            assert found.logprob == pytest.approx(logprob, abs=1e-4, rel=1e-6)
            assert (found.greedy, found.tokens) == (greedy, len(query.targets))
        else:
            assert found.text == naive_text(model, query)
    for outcome, keys in zip(plan.outcomes(results), plan.keys, strict=True):
        assert outcome.cost.tokens == sum(results[key].processed for key in keys if key is not None)

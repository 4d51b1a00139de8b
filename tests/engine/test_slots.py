"""Generation in slots, as a GPU does it, on a CPU: against a token at a time, and against the other way."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gpteval.core.types import Generate, Prompt
from gpteval.engine import slots as slots_module
from gpteval.engine.engine import Engine
from gpteval.engine.score import NOT_FINITE
from gpteval.engine.slots import Slots, slots_for, takes_slots
from gpteval.models.catalogue import ModelInfo
from gpteval.models.loader import HFModel, LoadOptions
from gpteval.tokens.queries import GenerateQuery, QueryResult, Sampling, Tokens
from tests.engine.test_engine_properties import WINDOW, WORDS, naive_text
from tests.tiny import ARCHITECTURES, save_tiny

words = st.lists(st.sampled_from(WORDS), min_size=1, max_size=12).map(" ".join)


def loaded(folder: Path, kind: str = "gpt2", **more: Any) -> HFModel:
    save_tiny(folder, kind, window=WINDOW, **more)
    return HFModel(ModelInfo(name=kind, location=str(folder), local=True), LoadOptions(device="cpu"))


@lru_cache(4)
def slotted(model: HFModel, budget: int) -> Engine:
    """An engine that works as on a GPU, but for the capture, and has seen other prompts before."""
    engine = Engine(model, batch_tokens=budget)
    engine.__dict__["_takes_slots"] = takes_slots(model.module)
    return engine


def computed(engine: Engine, prompts: list[Prompt]) -> list[tuple[GenerateQuery, QueryResult]]:
    plan = engine.plan(prompts)
    results: dict[bytes, QueryResult] = {}
    for batch in engine.compute(plan, results):
        results |= batch
    return [(query, results[key]) for key, query in plan.queries.items() if isinstance(query, GenerateQuery)]


@pytest.fixture(scope="module", params=[*ARCHITECTURES, "mistral"])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> HFModel:
    # GPT-Neo sees 8 tokens back in the other tests' models: too few for any slot
    more = {"window_size": WINDOW} if request.param == "gpt_neo" else {}
    return loaded(tmp_path_factory.mktemp("tiny") / request.param, request.param, **more)


@settings(max_examples=10, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow], database=None)
@given(
    beginning=st.sampled_from(["", " ".join(WORDS[:9]), " ".join(WORDS[:30])]),
    ends=st.lists(st.tuples(words, st.integers(1, 20)), min_size=1, max_size=12),
    budget=st.sampled_from([1, 30, 100, 5000]),
)
def test_any_prompts(model: HFModel, beginning: str, ends: list[tuple[str, int]], budget: int) -> None:
    prompts = [
        Prompt(str(n), Generate(f"{beginning} {text}".strip(), ["x"], stop=("dog", "\n"), max_new_tokens=most))
        for n, (text, most) in enumerate(ends)
    ]
    for query, found in computed(slotted(model, budget), prompts):
        assert found.text == naive_text(model, query)


def test_every_architecture_takes_slots(model: HFModel) -> None:
    assert takes_slots(model.module)


def test_one_that_ignores_masks_takes_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = loaded(tmp_path / "m").module
    trunk = type(module.base_model)
    forward = trunk.forward
    monkeypatch.setattr(trunk, "forward", lambda self, *a, attention_mask=None, **more: forward(self, *a, **more))
    assert not takes_slots(module)


def test_rows_longer_than_all_layers_see_go_the_other_way(tmp_path: Path) -> None:
    module = loaded(tmp_path / "m", "gpt_neo").module
    assert slots_for(module, [GenerateQuery(Tokens([1, 2]), 3, ())], 1000, WINDOW) is None


def test_rows_wait_for_slots_and_move_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    moved: list[int] = []
    monkeypatch.setattr(slots_module, "COLUMNS", 16)
    step, move = Slots._step, Slots._moved
    monkeypatch.setattr(Slots, "_step", lambda self, queries: read.append(queries) or step(self, queries))
    monkeypatch.setattr(Slots, "_moved", lambda self, going: moved.append(len(going)) or move(self, going))
    model = loaded(tmp_path / "m")
    model.codec.eos = frozenset()
    prompts = [Prompt(str(n), Generate(WORDS[n], ["x"], stop=(), max_new_tokens=1 + 3 * n)) for n in range(20)]
    found = computed(slotted(model, 200), prompts)
    assert [result.text for _, result in found] == [naive_text(model, query) for query, _ in found]
    assert max(read) < 20, "not all at once"
    assert moved, "the last queries, in the first slots"
    assert min(read[len(read) // 2 :]) < max(read)


def test_drawn_texts_are_those_of_the_other_way(tmp_path: Path) -> None:
    model = loaded(tmp_path / "m")
    model.codec.eos = frozenset()
    prompts = [
        Prompt(str(n), Generate(word, ["x"], stop=(), max_new_tokens=9, top_k=1 + n % 4))
        for n, word in enumerate(WORDS)
    ]
    texts = [result.text for _, result in computed(slotted(model, 300), prompts)]
    assert texts == [result.text for _, result in computed(Engine(model, batch_tokens=300), prompts)]
    assert len(set(texts)) > 1


def test_slots_are_kept_for_a_batch_of_the_same_size_only(tmp_path: Path) -> None:
    module = loaded(tmp_path / "m").module
    queries = [GenerateQuery(Tokens([5, 6, 7]), 4, ())] * 3
    kept = slots_for(module, queries, 1000, WINDOW)
    assert kept
    assert slots_for(module, queries, 1000, WINDOW, kept=kept) is kept
    assert slots_for(module, queries * 2, 1000, WINDOW, kept=kept) is not kept
    assert (kept.count, kept.width) == (3, 64)


def test_what_is_not_finite_is_an_error_and_spoils_no_later_row(tmp_path: Path) -> None:
    model = loaded(tmp_path / "m")
    model.codec.eos = frozenset()
    with torch.no_grad():
        model.module.get_input_embeddings().weight[17] = float("nan")  # tied: such a query's logits are all NaN
    query, bad = GenerateQuery(Tokens([5, 6, 7, 8]), 4, ()), GenerateQuery(Tokens([5, 17, 7, 8]), 4, ())
    slots = Slots(model.module, 1, 64)
    with torch.no_grad():
        model.module.lm_head.weight = torch.nn.Parameter(model.module.lm_head.weight.nan_to_num(0))
    failed, fine = slots.generate(model.codec, [bad, query], 100)
    assert failed.error == NOT_FINITE
    assert not fine.error
    assert fine.text == naive_text(model, query)


@pytest.mark.parametrize("sampling", [Sampling(), Sampling(temperature=1.0, top_k=5)])
def test_a_prompt_of_one_token(tmp_path: Path, sampling: Sampling) -> None:
    model = loaded(tmp_path / "m")
    (found,) = Slots(model.module, 1, 64).generate(model.codec, [GenerateQuery(Tokens([5]), 4, (), sampling)], 100)
    assert found.text or found.finish == "eos"

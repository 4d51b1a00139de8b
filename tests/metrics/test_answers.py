"""Answers are judged as people would: SQuAD's rule and its limits, tokenizers that lose text, and stops that
no gold answer runs into."""

from __future__ import annotations

import os
import re
import string
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import transformers
from hypothesis import given
from hypothesis import strategies as st

from gpteval.core.outcomes import Generated
from gpteval.core.types import Generate, Prompt
from gpteval.engine.continuation import Continuation
from gpteval.metrics.generated import normalise_answer
from gpteval.metrics.named import metric_registry
from gpteval.prompts.build import build_prompts, load_task
from gpteval.run.records import judged_by
from gpteval.tokens.queries import GenerateQuery, Tokens
from gpteval.tokens.tokenizer import Codec
from tests.tasks.golden import TASKS
from tests.tiny import gpt1_tokenizer

METRICS = metric_registry()
ITEMS = int(os.environ.get("TEST_ITEMS", "1000"))  # of each task, evenly


def score(name: str, text: str, *references: str) -> float:
    return METRICS[name].stats(Generate("p", references), Generated(text, "stop", 1))[0]


def squad(text: str) -> str:
    """The rule as SQuAD's paper and evaluation describe it: lower, no punctuation, no articles, single spaces."""
    text = "".join(c for c in text.lower() if c not in string.punctuation)
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", text).split())


class TestNormalisation:
    @given(st.text(st.sampled_from("aAnthe THE .,'!-\"xyz9"), max_size=20))
    def test_it_is_squads_wherever_that_leaves_something(self, text: str) -> None:
        assert normalise_answer(text) == squad(text) or not squad(text)

    @pytest.mark.parametrize(
        ("gold", "output", "right"),
        [
            ("😂", "😀", False),
            ("→", "∞", False),
            ("♥", "", False),
            ("😂", "😂.", True),
            ("!", "?", False),
            ("!", "", False),
            ("A", "", False),
            ("A", "A.", True),
            ("A", "The", False),
            ("the", "a", False),
            ("The Who", "who", True),
            ("", "", True),
            ("", "x", False),
            ("“Heroes”", '"Heroes"', False),  # as in SQuAD: only ASCII punctuation is removed
            ("O'Brien", "obrien", True),
            ("100 %", "100%", True),
        ],
    )
    def test_two_answers_are_equal_as_people_see_it(self, gold: str, output: str, right: bool) -> None:
        assert score("exact_match", output, gold) == right
        assert (score("f1", output, gold) == 1) == right

    @given(st.text(max_size=6), st.text(max_size=6))
    def test_only_an_empty_text_is_empty(self, one: str, other: str) -> None:
        for text in (one, other):
            assert bool(normalise_answer(text)) == bool(text.split())

    def test_the_rule_is_in_the_signature(self) -> None:
        assert METRICS["exact_match"].signature([]).startswith("normalisation:squad|punctuation:ascii")


class TestLossyTokenizers:
    @pytest.mark.parametrize("reference", ["O'Brien", "3.5", "Été à Noël", "a 1,000-year war", "Who?!\nYou"])
    def test_what_gpt1_can_say_is_right(self, shared_tokenizers: Path, reference: str) -> None:
        codec = Codec(transformers.OpenAIGPTTokenizer.from_pretrained(str(shared_tokenizers / "openai-gpt")))
        said = Generated(codec.decode(codec.encode([f" {reference}"])[0]), "stop", 1)
        request = Generate("p", [reference, "another"])
        for name in ("exact_match", "f1", "rouge1", "rougeLsum"):
            assert METRICS[name].stats(judged_by(codec, request), said)[0] == 1.0, name
        wrong = Generated("somebody else", "stop", 1)
        assert METRICS["exact_match"].stats(judged_by(codec, request), wrong)[0] == 0.0

    def test_what_it_cannot_say_stays_wrong(self) -> None:
        codec = Codec(gpt1_tokenizer())
        request = Generate("p", ["the 😂 dog"])
        assert judged_by(codec, request) == request
        said = Generated(codec.decode(codec.encode(["the 😀 dog"])[0]), "stop", 1)
        assert METRICS["exact_match"].stats(judged_by(codec, request), said)[0] == 0.0

    def test_others_are_judged_by_the_references_as_they_are(self, shared_tokenizers: Path) -> None:
        codec = Codec(transformers.GPT2Tokenizer.from_pretrained(str(shared_tokenizers / "gpt2")))
        request = Generate("p", ["O'Brien"])
        assert judged_by(codec, request) is request


def written(codec: Codec, prompt: Prompt, answer: str) -> Generated:
    """``answer`` as the engine takes it from a model that says it, token by token, and then ends the line."""
    request = prompt.request
    assert isinstance(request, Generate)
    context, whole = codec.encode([request.prompt, request.prompt + answer])
    ends = [*codec.encode(["\n"])[0], *sorted(codec.eos)]
    row = GenerateQuery(Tokens([0]), request.max_new_tokens, codec.stops(request.stop))
    state = Continuation(row)
    for token in [*whole[len(context) :], *ends]:
        if not state.ended:
            state.take([token], codec)
    return Generated(state.text, "stop", len(state.tokens))


CODECS: dict[str, Callable[[Path], Codec]] = {
    "gpt2": lambda folder: Codec(transformers.GPT2Tokenizer.from_pretrained(str(folder / "gpt2"))),
    "openai-gpt": lambda folder: Codec(transformers.OpenAIGPTTokenizer.from_pretrained(str(folder / "openai-gpt"))),
}
GENERATING = ("triviaqa", "webqs", "multi30k_en_de", "wmt21_en_de", "wmt21_de_en", "dialogsum")


@pytest.mark.shared_data
@pytest.mark.parametrize("tokenizer", CODECS)
@pytest.mark.parametrize("name", GENERATING)
def test_gold_answers_get_the_full_score(
    name: str, tokenizer: str, shared_data: Path, shared_tokenizers: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model that says the gold answer is right: on every item but those that its tokenizer cannot write. All items
    were tried, too (``TEST_ITEMS=100000``).
    """
    monkeypatch.setenv("GPTEVAL_DATA", str(shared_data))
    codec = CODECS[tokenizer](shared_tokenizers)
    task = TASKS[name]
    metric = METRICS[task.metric]
    data = load_task(task)
    prompts = build_prompts(replace(data, items=data.items[:: len(data.items) // ITEMS or 1]))
    sums = np.zeros(0)
    unreached = []
    for prompt in prompts:
        request = prompt.request
        assert isinstance(request, Generate)
        judged = judged_by(codec, request)
        for reference in request.references:
            stats = metric.stats(judged, written(codec, prompt, f" {reference}"))
            best = metric.stats(
                judged, Generated(judged.references[list(request.references).index(reference)], "stop", 1)
            )  # type: ignore[union-attr]
            if stats == best:
                break
        else:
            unreached.append((prompt.item_id, request.references[0]))
            continue
        sums = stats if not len(sums) else sums + np.array(stats)
    assert len(unreached) < 0.005 * len(prompts), unreached
    assert float(metric.value(np.array(sums))) == pytest.approx(metric.scale)

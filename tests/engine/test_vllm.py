"""vLLM in this process gives the numbers of our own engine, and goes on where its engine dies."""

from __future__ import annotations

import os
import signal
import subprocess
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gpteval.backends.opening import Computing, Opening
from gpteval.core.errors import GptevalError
from gpteval.core.outcomes import Generated, Outcome, Rolled, Scored
from gpteval.core.types import Choice, Generate, Prompt, Rolling
from gpteval.engine.engine import Engine
from gpteval.engine.vllm_engine import HOW, VllmEngine, arguments
from gpteval.engine.vllm_requests import ScoreRequest, TextRequest, requests_of
from gpteval.models.catalogue import resolve_models
from gpteval.models.loader import HFModel, LoadOptions
from gpteval.tokens.queries import GenerateQuery, QueryResult, Sampling, ScoreQuery, Tokens
from tests.tiny import save_tiny

NAME = "gpt2-nano"
PROMPTS = [
    Prompt("choice", Choice("News: the team won.\nTopic:", [" sport", " music", " food and drink"], 0, neutral="A:")),
    Prompt("again", Choice("News: the team lost.\nTopic:", [" sport", " music"], 0)),
    Prompt("words", Choice("The cat", [" dog"], 0, stop_words=("the", "a", "and", "is"))),
    Prompt("whole", Rolling("Anna has a red hat. " * 60)),
    Prompt("text", Generate("The cat", ["x"], max_new_tokens=12)),
    Prompt("stop", Generate("English: The dog sleeps.\nFrench:", ["x"], max_new_tokens=24, stop=[" "])),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random model with heads of a width that vLLM knows on a CPU, too: those of the embedded ones it does not."""
    return save_tiny(tmp_path_factory.mktemp("vllm") / "wide", n_embd=64, n_head=2, window=256)


@pytest.fixture(scope="module")
def vllm(folder: Path) -> VllmEngine:
    pytest.importorskip("vllm", reason="vLLM is not installed: pip install 'gpteval[vllm]'")
    (info,) = resolve_models([f"vllm:{folder}"])
    return VllmEngine.open(info, Opening(Computing(LoadOptions())))


def ours(folder: Path, prompts: list[Prompt]) -> list[Outcome]:
    return Engine(HFModel(resolve_models([str(folder)])[0], LoadOptions("cpu"))).run(prompts)


def told(backend: VllmEngine, prompts: list[Prompt]) -> list[Outcome]:
    plan = backend.plan(prompts)
    return plan.outcomes({key: result for batch in backend.compute(plan, ()) for key, result in batch.items()})


def same(expected: list[Outcome], found: list[Outcome]) -> None:
    for one, other in zip(expected, found, strict=True):
        match one, other:
            case Scored(), Scored():
                for a, b in zip((*one.scores, *one.neutral), (*other.scores, *other.neutral), strict=True):
                    assert b.logprob == pytest.approx(a.logprob, abs=2e-4)
                    assert (b.tokens, b.greedy) == (a.tokens, a.greedy)
            case Rolled(), Rolled():
                assert other.logprob == pytest.approx(one.logprob, rel=1e-5)
                assert (other.tokens, [n for _, n in other.blocks]) == (one.tokens, [n for _, n in one.blocks])
            case Generated(), Generated():
                assert (other.text, other.finish, other.tokens) == (one.text, one.finish, one.tokens)
            case _:
                raise AssertionError((one, other))


def test_our_own_engines_numbers(vllm: VllmEngine, folder: Path) -> None:
    same(ours(folder, PROMPTS), told(vllm, PROMPTS))
    assert vllm.notes() == [f"computed by vLLM {vllm.model.library}"]


def test_texts_that_are_drawn_are_the_same_again(vllm: VllmEngine) -> None:
    vllm.sampling = Sampling(1.0, 0, 3)
    try:
        first, again = told(vllm, PROMPTS[4:]), told(vllm, [*PROMPTS[4:], *PROMPTS[:3]])[:2]
    finally:
        vllm.sampling = Sampling()
    assert [one.text for one in first] == [one.text for one in again]  # type: ignore[union-attr]
    assert [one.text for one in first] != [one.text for one in told(vllm, PROMPTS[4:])]  # type: ignore[union-attr]


def test_an_engine_that_dies_is_started_again_for_less_at_a_time(vllm: VllmEngine, folder: Path) -> None:
    vllm.load()
    rows = vllm.rows
    many = [Prompt(str(n), Generate(f"The {n} cats", ["x"], max_new_tokens=24)) for n in range(100)]
    plan, found = vllm.plan(many), dict[bytes, QueryResult]()
    for batch in vllm.compute(plan, ()):
        if not found:
            started = subprocess.run(["pgrep", "-P", str(os.getpid()), "-f", "EngineCore"], capture_output=True)
            for process in started.stdout.split():
                os.kill(int(process), signal.SIGKILL)
        found |= batch
    assert vllm.deaths == 1
    assert vllm.rows == rows // 2
    assert "its engine died" in vllm.notes()[0]
    same(ours(folder, many), plan.outcomes(found))


def output(ids: list[int], places: Any = None, prompt: Any = None, cached: int = 0) -> SimpleNamespace:
    """An answer in the form of vLLM's."""
    written = SimpleNamespace(token_ids=ids, logprobs=places)
    return SimpleNamespace(outputs=[written], prompt_logprobs=prompt, num_cached_tokens=cached)


def place(*logprobs: tuple[int, float]) -> dict[int, SimpleNamespace]:
    return {token: SimpleNamespace(logprob=value, rank=rank) for rank, (token, value) in enumerate(logprobs, 1)}


class Letters:
    """Token n is the n-th letter; 26 ends a text."""

    eos = frozenset({26})

    def decode(self, ids: list[int]) -> str:
        return "".join("abcdefghijklmnopqrstuvwxyz"[token] if token < 24 else "  " for token in ids)


def test_queries_that_read_the_same_are_asked_once() -> None:
    queries = {
        b"one": ScoreQuery(Tokens([1, 2]), Tokens([3])),
        b"two": ScoreQuery(Tokens([1, 2]), Tokens([4])),
        b"long": ScoreQuery(Tokens([1]), Tokens([2, 5])),
        b"other": ScoreQuery(Tokens([1, 3]), Tokens([3])),
    }
    asked: list[ScoreRequest] = list(requests_of(queries, Letters()))  # type: ignore[arg-type]
    assert [(one.ids, sorted(one.queries)) for one in asked] == [
        ([1, 2], [b"one", b"two"]),
        ([1, 2], [b"long"]),
        ([1, 3], [b"other"]),
    ]
    assert asked[0].params()["logprob_token_ids"] == [3, 4]
    assert "prompt_logprobs" not in asked[0].params()
    found = asked[0].take(output([4], [place((4, -0.1), (3, -2.0))], cached=1))
    assert (found[b"one"].logprob, found[b"one"].greedy, found[b"one"].processed) == (-2.0, False, 1)
    assert (found[b"two"].logprob, found[b"two"].greedy, found[b"two"].processed) == (-0.1, True, 0)
    long = asked[1].take(output([5], [place((5, -0.5))], [None, place((2, -0.25))]))[b"long"]
    assert (long.logprob, long.tokens, long.greedy) == (-0.75, 2, True)


def test_barred_words_are_passed_over() -> None:
    one = ScoreRequest({b"k": ScoreQuery(Tokens([1]), Tokens([2]), barred=Tokens([9]))})
    assert one.params()["logit_bias"] == {9: -100.0}
    two = ScoreRequest({b"k": ScoreQuery(Tokens([1]), Tokens([2, 3]), barred=Tokens([9]))})
    assert two.params()["prompt_logprobs"] == 2
    assert "logit_bias" not in two.params()
    assert two.take(output([3], [place((3, -1.0))], [None, place((9, -0.1), (2, -0.2))]))[b"k"].greedy
    assert not two.take(output([3], [place((3, -1.0))], [None, place((8, -0.1), (2, -0.2))]))[b"k"].greedy


def test_a_number_that_is_none_is_an_error() -> None:
    one = ScoreRequest({b"k": ScoreQuery(Tokens([1]), Tokens([2]))})
    assert "not finite" in one.take(output([2], [place((2, float("nan")))]))[b"k"].error


def test_a_text_that_stopped_too_early_is_gone_on_with() -> None:
    query = GenerateQuery(Tokens([1]), 6, (" ",), blank_first=True)
    writing = TextRequest(b"k", query, Letters())  # type: ignore[arg-type]
    assert writing.take(output([24])) == {}, "white space before the text is none of its ends"
    assert (writing.ids, writing.params()["max_tokens"]) == ([1, 24], 5)
    result = writing.take(output([0, 1, 24]))[b"k"]
    assert (result.text.strip(), result.finish) == ("ab", "stop")
    ended = TextRequest(b"k", replace(query, blank_first=False), Letters()).take(output([0, 26]))[b"k"]  # type: ignore[arg-type]
    assert (ended.text, ended.finish, ended.tokens) == ("a", "eos", 1)
    assert TextRequest(b"k", query, Letters()).take(output([]))[b"k"].error  # type: ignore[arg-type]


def test_arguments_of_vllm() -> None:
    assert arguments("tensor_parallel_size=2, gpu_memory_utilization=0.5,quantization=fp8,enforce_eager=True") == {
        "tensor_parallel_size": 2,
        "gpu_memory_utilization": 0.5,
        "quantization": "fp8",
        "enforce_eager": True,
    }
    with pytest.raises(GptevalError, match="--vllm-args fast") as raised:
        arguments("fast")
    assert "name=value" in str(raised.value.hint)
    for wrong in ("model=other", "dtype=float16", "logprobs_mode=processed_logits", "max_num_seqs=x", "max_num_seqs=0"):
        with pytest.raises(GptevalError, match=f"--vllm-args {wrong}: "):
            arguments(f"tensor_parallel_size=2,{wrong}")


def test_where_it_is_not_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(GptevalError, match="chat:x is not computed by vLLM"):
        resolve_models(["vllm:chat:x"])
    with pytest.raises(GptevalError, match="names no model"):
        resolve_models(["vllm:"])
    (info,) = resolve_models([f"vllm:{NAME}"])
    assert info.name == f"vllm:{NAME}"
    monkeypatch.setattr("gpteval.engine.vllm_engine.LIBRARY", "not-there")
    with pytest.raises(GptevalError, match="needs not-there") as raised:
        VllmEngine.open(info, Opening(Computing(LoadOptions())))
    assert raised.value.hint == HOW

"""A GGUF file under llama.cpp's kernels gives the numbers of the model that it was written of."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from gpteval.backends.opening import Computing, Opening
from gpteval.comparison.agreement import of_task
from gpteval.core.errors import GptevalError
from gpteval.core.outcomes import Generated, Rolled, Scored
from gpteval.core.types import Choice, Generate, Prompt, Rolling
from gpteval.engine.engine import Engine
from gpteval.engine.llama_file import crashes
from gpteval.engine.llamacpp import HOW, LlamaCpp
from gpteval.models.catalogue import resolve_models
from gpteval.models.embedded import nano_models
from gpteval.models.loader import HFModel, LoadOptions
from tests.conftest import RunCli
from tests.gguf_files import model_of, write

NAME = "gpt2-nano"
PRE = {"tokenizer.ggml.pre": "gpt-2"}
PROMPTS = [
    Prompt(
        "choice",
        Choice("News: the team won the cup.\nTopic:", [" sport", " music", " food and drink"], 0, neutral="A:"),
    ),
    Prompt("again", Choice("News: the team won the match.\nTopic:", [" sport", " music"], 0)),
    Prompt("whole", Rolling("Anna has a red hat. " * 60)),
    Prompt("text", Generate("The cat", ["x"], max_new_tokens=12)),
    Prompt("other", Generate("English: The dog sleeps.\nFrench:", ["x"], max_new_tokens=12)),
]


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = nano_models()[NAME]
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    return write(
        tmp_path_factory.mktemp("gguf") / "nano.gguf",
        model,
        "gpt2",
        PRE,
        tokenizer=AutoTokenizer.from_pretrained(folder),
    )


def opened(file: Path) -> LlamaCpp:
    pytest.importorskip("llama_cpp", reason="llama-cpp-python is not installed: pip install 'gpteval[llamacpp]'")
    (info,) = resolve_models([f"gguf:{file}"])
    return LlamaCpp.open(info, Opening(Computing(LoadOptions("cpu"))))


def test_the_models_own_numbers(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPTEVAL_CACHE", str(tmp_path))
    llama = opened(file)
    engine = Engine(HFModel(resolve_models([NAME])[0], LoadOptions("cpu")))
    expected = engine.run(PROMPTS)
    plan = llama.plan(PROMPTS)
    assert [list(query.input) for query in plan.queries.values()] == [  # type: ignore[attr-defined]
        list(query.input)
        for query in engine.plan(PROMPTS).queries.values()  # type: ignore[attr-defined]
    ], "tokens are equal"
    apart = []
    results = {key: result for batch in llama.compute(plan, ()) for key, result in batch.items()}
    for prompt, one, other in zip(PROMPTS, expected, plan.outcomes(results), strict=True):
        match one, other:
            case Scored(), Scored():
                for ours, theirs in zip((*one.scores, *one.neutral), (*other.scores, *other.neutral), strict=True):
                    apart.append(abs(ours.logprob - theirs.logprob) / ours.tokens)  # type: ignore[operator]
                    assert (ours.tokens, ours.greedy) == (theirs.tokens, theirs.greedy)
            case Rolled(), Rolled():
                apart.append(abs(one.logprob - other.logprob) / one.tokens)
                assert [n for _, n in other.blocks] == [n for _, n in one.blocks]
            case Generated(), Generated():
                assert (other.text, other.finish) == (one.text, one.finish)
            case _:
                raise AssertionError(prompt.item_id)
    assert sum(apart) / len(apart) < 1e-3
    assert max(apart) < 5e-3, "llama.cpp's GELU is a table in half precision"


@pytest.mark.parametrize(
    ("quantised", "most"),
    [
        (False, 1e-3),
        (True, 0.3),  # activations have eight bits there, too; where kernels for this very processor crash, others run
    ],
)
def test_a_model_without_that_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quantised: bool, most: float
) -> None:
    monkeypatch.setenv("GPTEVAL_CACHE", str(tmp_path))
    plain = model_of("llama", hidden_size=128, intermediate_size=128, max_position_embeddings=256)
    path = write(tmp_path / "llama.gguf", plain, "llama", PRE, quantised=quantised)
    llama, engine = opened(path), Engine(HFModel(resolve_models([str(path)])[0], LoadOptions("cpu")))
    prompts = [
        Prompt("a", Choice("The quick", [" brown fox", " dog"], 0)),
        Prompt("b", Rolling("The dog sleeps. " * 8)),
    ]
    plan = llama.plan(prompts)
    outcomes = plan.outcomes({key: result for batch in llama.compute(plan, ()) for key, result in batch.items()})
    told, _, _ = of_task("task", prompts, engine.run(prompts), outcomes)
    assert told.scored == 3
    assert told.largest < most


def test_on_the_command_line(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_process: RunCli) -> None:
    pytest.importorskip("llama_cpp", reason="llama-cpp-python is not installed: pip install 'gpteval[llamacpp]'")
    monkeypatch.setenv("GPTEVAL_CACHE", str(tmp_path))
    tasks = ("--tasks", "nano_topic,nano_lastword,nano_en_fr", "--limit", "12")
    done = in_process("agree", NAME, f"gguf:{file}", *tasks, "--within", "0.01")
    assert done.returncode == 0, done.stdout + done.stderr
    ran = in_process("run", "--models", f"{NAME},gguf:{file}", *tasks, "--out", tmp_path / "run", "--json")
    rows = {(row["model"], row["task"]): row["value"] for row in json.loads(ran.stdout)["results"] if row["primary"]}
    for task in ("nano_topic", "nano_lastword", "nano_en_fr"):
        assert rows["gguf:nano.gguf", task] == pytest.approx(rows[NAME, task])


DYING = """
import os, signal
from types import SimpleNamespace
llama_cpp = SimpleNamespace(llama_model_default_params=lambda: SimpleNamespace(use_extra_bufts=True))
GGML_TYPE_F32 = 0
class Llama:
    def __init__(self, path, **how):
        self.repacked = llama_cpp.llama_model_default_params().use_extra_bufts
    def n_vocab(self):
        return 10
    def eval(self, tokens):
        if self.repacked:
            os.kill(os.getpid(), signal.SIGSEGV)
"""


def test_a_library_that_crashes_is_found_out_in_another_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "llama_cpp.py").write_text(DYING)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert crashes("any", repacked=True) == signal.SIGSEGV
    assert crashes("any", repacked=False) == 0


def test_what_is_no_file_of_llama_cpp(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPTEVAL_CACHE", str(tmp_path))
    with pytest.raises(GptevalError, match="is no GGUF file"):
        resolve_models(["gguf:gpt2"])
    monkeypatch.setattr("gpteval.engine.llamacpp.LIBRARY", "not-there")
    (info,) = resolve_models([f"gguf:{file}"])
    assert info.name == "gguf:nano.gguf"
    with pytest.raises(GptevalError, match="needs not-there") as raised:
        LlamaCpp.open(info, Opening(Computing(LoadOptions("cpu"))))
    assert raised.value.hint == HOW

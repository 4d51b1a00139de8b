"""Sums against a float64 model; other heads than a plain output layer; memory that does not follow the window."""

from __future__ import annotations

import copy
import random
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from gpteval.core.outcomes import Rolled
from gpteval.core.types import Prompt, Rolling
from gpteval.engine import head
from gpteval.engine.engine import Engine
from gpteval.engine.score import LONGEST, Scorer
from gpteval.models.catalogue import ModelInfo
from gpteval.models.loader import HFModel, LoadOptions
from tests import forks
from tests.tiny import byte_level_tokenizer, save_tiny, score_row


def loaded(folder: Path) -> HFModel:
    return HFModel(ModelInfo(name="m", location=str(folder), local=True), LoadOptions(device="cpu"))


@torch.inference_mode()
def token_logprobs(module: Any, ids: list[int]) -> torch.Tensor:
    """Log-probability of each token but the first, in the module's own precision."""
    tokens = torch.tensor([ids])
    logprobs = torch.log_softmax(module(input_ids=tokens).logits[0, :-1], dim=-1)
    return logprobs.gather(1, tokens[0, 1:, None])[:, 0]


def test_a_long_texts_sum_is_as_exact_as_its_tokens(tmp_path: Path) -> None:
    model = loaded(save_tiny(tmp_path / "m", window=2048))
    text = " ".join(f"{n} {n * n % 97} dogs" for n in range(260))
    (outcome,) = Engine(model).run([Prompt("page", Rolling(text))])
    assert isinstance(outcome, Rolled)
    ids = [0, *model.codec.encode([text])[0]]
    assert 1200 < len(ids) - 1 == outcome.tokens < 2048
    exact = token_logprobs(copy.deepcopy(model.module).double(), ids)
    rounding = (token_logprobs(model.module, ids).double() - exact).abs().sum()
    assert exact.sum() < -5000, "large enough for a float32 sum to lose digits"
    assert abs(outcome.logprob - float(exact.sum())) <= float(rounding)


def tiny(kind: str, **more: Any) -> Any:
    """A random model of an architecture that does something behind its output layer."""
    common = {
        "vocab_size": 300,
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 4,
        "head_dim": 8,
        "intermediate_size": 64,
        "max_position_embeddings": 64,
        "pad_token_id": 0,
        "bos_token_id": 0,
        "eos_token_id": 0,
    }
    config = transformers.AutoConfig.for_model(kind, **(common | more))
    torch.manual_seed(0)
    module = transformers.AutoModelForCausalLM.from_config(config).eval()
    with torch.no_grad():
        for weight in module.parameters():
            if weight.dim() > 1:
                weight.normal_(std=0.25)  # large enough that what a token sees matters
    return module


@pytest.mark.parametrize(
    ("kind", "more", "expected"),
    [
        ("llama", {}, head.OutputLayer),
        (
            "gemma2",
            {
                "final_logit_softcapping": 0.5,
                "query_pre_attn_scalar": 8,
                "layer_types": ["sliding_attention", "full_attention"],
            },
            head.after_the_trunk,
        ),
        ("cohere", {"logit_scale": 0.1}, head.after_the_trunk),
        ("granite", {"logits_scaling": 7.0}, head.after_the_trunk),
    ],
)
def test_heads_that_scale_or_cap(kind: str, more: dict[str, Any], expected: Any) -> None:
    module = tiny(kind, **more)
    scorer = Scorer(module)
    assert expected in (scorer.head, type(scorer.head))
    rows = [score_row((5, 6, 7), (8, 9)), score_row((5, 6), (1,)), score_row((3,), (4, 5, 6, 7))]
    for row, found in zip(rows, scorer.score(rows), strict=True):
        all_logprobs = token_logprobs(module, [*row.context, *row.targets])
        assert found.logprob == pytest.approx(float(all_logprobs[-len(row.targets) :].sum()), abs=1e-4)
    trunk = module._modules[module.base_model_prefix]
    assert trunk is module.base_model, "the trunk is back in its place"


def test_without_a_known_way_the_models_own_logits_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    module = tiny("llama")
    row = score_row((5, 6, 7), (8, 9))
    (expected,) = Scorer(module).score([row])
    monkeypatch.setattr(head, "trunk_states", lambda *_: torch.zeros(2, 9, 32))
    scorer = Scorer(module)
    assert scorer.head is None
    assert scorer.score([row])[0].logprob == pytest.approx(expected.logprob, abs=1e-5)


WINDOWS: dict[str, dict[str, Any]] = {
    "llama": {},
    "qwen2": {},
    "mistral": {"sliding_window": 64, "max_position_embeddings": 160},
    "gemma3_text": {
        "sliding_window": 64,
        "max_position_embeddings": 160,
        "query_pre_attn_scalar": 8,
        "layer_types": ["sliding_attention", "full_attention"],
    },
    "gpt_neo": {"window_size": 64, "max_position_embeddings": 160, "attention_types": [[["global", "local"], 1]]},
}


@pytest.mark.parametrize("kind", WINDOWS)
@pytest.mark.parametrize("seed", range(3))
def test_trees_and_windows(kind: str, seed: int) -> None:
    """Which models take trees is found out; beyond a window rows are read plainly. The numbers are the naive ones."""
    module = tiny(kind, **WINDOWS[kind])
    scorer = Scorer(module)
    assert scorer.reach == (64 if "sliding_window" in WINDOWS[kind] or kind == "gpt_neo" else LONGEST)
    rng = random.Random(seed)
    most = min(140, module.config.max_position_embeddings - 8)

    def some(least: int, most: int) -> tuple[int, ...]:
        return tuple(rng.randrange(2, 60) for _ in range(rng.randint(least, most)))

    shared = some(34, 40)
    for beginning, longest in ((shared, 8), ((), 20), ((), most)):
        rows = []
        for _ in range(6):
            context = beginning + some(1, longest)
            rows += [score_row(context, some(1, 5)) for _ in range(3)]
        for row, found in zip(rows, scorer.score(rows), strict=True):
            expected = token_logprobs(module, [*row.context, *row.targets])[-len(row.targets) :]
            assert found.logprob == pytest.approx(float(expected.sum()), abs=1e-4)


def test_a_model_that_ignores_positions_takes_no_trees() -> None:
    module = tiny("llama")
    trunk = module.base_model.forward
    module.base_model.forward = lambda position_ids=None, **inputs: trunk(**inputs)
    assert not Scorer(module).reach


@pytest.mark.parametrize("kind", ["llama", "gpt2", "openai-gpt", "gpt_neo", "gptj", "gpt_neox", "opt"])
def test_the_last_feed_forward_part_runs_where_a_token_is_scored(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module = tiny(kind, **({"rotary_dim": 8} if kind == "gptj" else WINDOWS.get(kind, {})))
    scorer = Scorer(module)
    assert (scorer.last_block is None) == (kind == "opt"), "OPT has no such part in one piece"
    rows = [score_row(tuple(range(2, 42)), (9, 3)), score_row((5, 6, 4), (1,))]
    whole = [result.logprob for result in scorer.score(rows)]
    if scorer.last_block is not None:
        states = []
        scorer.last_block.mlp.register_forward_pre_hook(lambda _, inputs: states.append(inputs[0].shape[:-1].numel()))
        scorer.score(rows)
        assert states == [3], "places of three targets, of 43 tokens"
    monkeypatch.setattr(scorer, "last_block", None)
    assert [result.logprob for result in scorer.score(rows)] == pytest.approx(whole, abs=1e-5)


def test_a_last_part_that_mixes_places_runs_whole() -> None:
    module = tiny("llama")
    assert Scorer(module).last_block is not None
    module.model.layers[-1].mlp.register_forward_pre_hook(lambda _, inputs: (inputs[0].cumsum(dim=1),))
    assert Scorer(module).last_block is None


MEASURE = """
import resource, sys
from pathlib import Path
from gpteval.core.types import Choice, Prompt, Rolling
from gpteval.engine.engine import Engine
from gpteval.models.catalogue import ModelInfo
from gpteval.models.loader import HFModel, LoadOptions

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20

model = HFModel(ModelInfo(name="m", location=sys.argv[1], local=True), LoadOptions(device="cpu"))
assert model.window == 32768
engine = Engine(model)
model.module
before = peak()
if sys.argv[2] == "choices":
    goal = "Question: how does number {} get from here to there in the rain?"
    prompts = [Prompt(str(n), Choice(goal.format(n), [" by bus", f" on foot {n}"], gold=0)) for n in range(150)]
else:
    prompts = [Prompt("page", Rolling(" ".join(str(n) for n in range(1500))))]
outcomes = engine.run(prompts)
tokens = sum(s.tokens for o in outcomes for s in o.scores) if sys.argv[2] == "choices" else outcomes[0].tokens
print(tokens, peak() - before)
"""


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The window of 32,768 and the vocabulary of 262,144 of today's small models."""
    folder = tmp_path_factory.mktemp("wide") / "m"
    config = transformers.GPTNeoXConfig(
        vocab_size=262_144,
        hidden_size=8,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=32_768,
        bos_token_id=0,
        eos_token_id=0,
    )
    torch.manual_seed(0)
    transformers.AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    byte_level_tokenizer().save_pretrained(folder)
    return folder


@pytest.mark.parametrize("kind", ["choices", "rolling"])
def test_a_long_window_and_a_large_vocabulary_need_little_memory(wide: Path, kind: str) -> None:
    done = forks.run([sys.executable, "-c", MEASURE, wide, kind], timeout=300)
    assert done.returncode == 0, done.stderr
    tokens, gigabytes = map(float, done.stdout.split())
    assert tokens > {"choices": 1_500, "rolling": 4_000}[kind]  # logits of all that is read: more than 4 GB
    assert gigabytes < 2

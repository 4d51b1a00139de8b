"""What only a CUDA device can show: a CPU's numbers, captured steps, half precision, memory that runs out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from gpteval.core.outcomes import Generated, Outcome, Rolled, Scored
from gpteval.core.types import Choice, Generate, Prompt, Rolling
from gpteval.engine import head
from gpteval.engine.engine import Engine
from gpteval.models.catalogue import ModelInfo
from gpteval.models.loader import HFModel, LoadOptions
from tests.engine.test_engine_numbers import tiny
from tests.engine.test_engine_properties import WORDS
from tests.tiny import ARCHITECTURES, save_tiny

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
EXAMPLES = (" ".join(WORDS[:20]) + "\n", " ".join(WORDS[5:25]) + "\n")


def prompts() -> list[Prompt]:
    made: list[Any] = []
    for n in range(24):
        start = " ".join((WORDS * 2)[n : n + 2 + n % 7])
        made.append(Choice(start, [f" {word}" for word in WORDS[n : n + 4]], 0))
        made.append(Generate(start, ["x"], stop=("dog",), max_new_tokens=3 + n))
        made.append(Generate(start, ["x"], stop=(), max_new_tokens=7, top_k=1 + n % 3))
        made.append(Rolling(" ".join((WORDS * 5)[n : n + 30 + 3 * n])))
    return [Prompt(str(n), request, EXAMPLES if n % 3 else ()) for n, request in enumerate(made)]


def loaded(folder: Path, kind: str, **options: Any) -> HFModel:
    info = ModelInfo(name=kind, location=str(folder), local=True)
    return HFModel(info, LoadOptions(**options))


def same(found: list[Outcome], expected: list[Outcome], tolerance: float) -> None:
    for one, other in zip(found, expected, strict=True):
        assert type(one) is type(other)
        if isinstance(one, Scored) and isinstance(other, Scored):
            for a, b in zip(one.scores, other.scores, strict=True):
                assert a.logprob == pytest.approx(b.logprob, abs=tolerance, rel=tolerance)
        elif isinstance(one, Rolled) and isinstance(other, Rolled):
            assert one.logprob == pytest.approx(other.logprob, rel=tolerance)
        elif tolerance < 1e-3:
            assert isinstance(one, Generated)
            assert isinstance(other, Generated)
            assert (one.text, one.finish) == (other.text, other.finish)


@pytest.mark.parametrize("kind", [*ARCHITECTURES, "mistral"])
def test_the_numbers_of_a_cpu(kind: str, tmp_path: Path) -> None:
    folder = save_tiny(tmp_path / kind, kind, window=256, **({"window_size": 256} if kind == "gpt_neo" else {}))
    expected = Engine(loaded(folder, kind, device="cpu")).run(prompts())
    engine = Engine(loaded(folder, kind, device="cuda"))
    same(engine.run(prompts()), expected, 1e-4)
    assert engine.captured
    assert engine.scorer.head is not None
    assert engine._takes_slots


@pytest.mark.parametrize("kind", [*ARCHITECTURES, "mistral"])
def test_half_precision_takes_the_same_ways(kind: str, tmp_path: Path) -> None:
    folder = save_tiny(tmp_path / kind, kind, window=256, **({"window_size": 256} if kind == "gpt_neo" else {}))
    expected = Engine(loaded(folder, kind, device="cpu")).run(prompts())
    engine = Engine(loaded(folder, kind, device="cuda", dtype="bfloat16"))
    same(engine.run(prompts()), expected, 0.1)
    assert engine._takes_slots
    assert bool(engine.scorer.reach) == (kind not in ("openai-gpt", "mistral")), "as in float32"
    assert isinstance(engine.scorer.head, head.OutputLayer)
    assert (engine.scorer.last_block is None) == (kind == "opt")


@pytest.mark.parametrize(
    ("kind", "more"),
    [("gemma2", {"final_logit_softcapping": 30.0, "layer_types": ["sliding_attention", "full_attention"]})],
)
def test_a_soft_cap_is_seen_in_half_precision(kind: str, more: dict[str, Any]) -> None:
    module = tiny(kind, **more).to("cuda", torch.bfloat16)
    assert head.find_head(module) is head.after_the_trunk


def test_logits_are_not_rounded_to_half_precision(tmp_path: Path) -> None:
    folder = save_tiny(tmp_path / "m", "gpt2")
    module = loaded(folder, "gpt2", device="cuda", dtype="bfloat16").module
    states = torch.randn(5, 32, device="cuda").bfloat16()
    logits = head.OutputLayer()(module, states)
    expected = states.double() @ module.lm_head.weight.double().T
    assert (logits - expected).abs().max() < 1e-4 * expected.abs().max()


def test_batches_that_do_not_fit_are_halved(tmp_path: Path) -> None:
    folder = save_tiny(tmp_path / "m", "gpt2", window=256)
    asked = prompts() * 40
    asked = [Prompt(f"{n}", one.request, (f"{n} {WORDS[n % len(WORDS)]}\n",)) for n, one in enumerate(asked)]
    expected = Engine(loaded(folder, "gpt2", device="cuda"), batch_tokens=500).run(asked)
    engine = Engine(loaded(folder, "gpt2", device="cuda"), batch_tokens=65536)
    engine.plan(asked)
    assert engine.scorer.head
    torch.cuda.empty_cache()
    free, _ = torch.cuda.mem_get_info()
    held = torch.empty(free - 2**26, dtype=torch.uint8, device="cuda")
    same(engine.run(asked), expected, 1e-4)
    assert engine.backoffs
    del held

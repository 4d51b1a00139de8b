"""How fast the engine is on this machine, beside what the machine could do (``engine.floor``)."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import torch

from gpteval.engine.batches import form_batches
from gpteval.engine.engine import Engine
from gpteval.engine.floor import Rates, Shape, floor_seconds, unique_tokens
from gpteval.models.kernels import product
from gpteval.models.loader import HFModel
from gpteval.tokens.queries import GenerateQuery, Sampling, ScoreQuery, TokenQuery, Tokens

WHILE = 1.5  # seconds


@dataclass(frozen=True)
class Measured:
    """One workload. ``tokens`` are unique; ``share`` is the floor's part of the seconds (1 is the machine's limit)."""

    workload: str
    tokens: int
    seconds: float
    floor: float

    @property
    def share(self) -> float:
        return self.floor / self.seconds


def rates(model: HFModel, tokens: int) -> Rates:
    """The best of a while: a product [tokens, width] x [width, 4 width] in the model's dtype, computed as the engine
    does, and a copy of 256 MiB.
    """
    width = model.config.get_text_config().hidden_size
    dtype = model.module.dtype
    a = torch.randn(tokens, width, device=model.device).to(dtype)
    b = torch.randn(4 * width, width, device=model.device).to(dtype)
    source = torch.ones(2**26, device=model.device)
    target = torch.empty_like(source)
    repeat = max(1, int(2e10 / (8 * tokens * width * width)))

    def products() -> None:
        for _ in range(repeat):
            product(a, b)

    flops = repeat * 8 * tokens * width * width / _best(model, products)
    copied = 2 * source.nbytes / _best(model, lambda: target.copy_(source))
    return Rates(flops, copied)


def bench(model: HFModel, *, items: int = 32, rounds: int = 3, batch_tokens: int | None = None) -> dict[str, Any]:
    """Prefill, choices and generation on random tokens: the median of ``rounds`` after one to warm up."""
    engine = Engine(model, batch_tokens=batch_tokens)
    shape, found = Shape.of(model.module, model.config), rates(model, engine.budget)
    generator = torch.Generator().manual_seed(0)
    size = model.config.get_text_config().vocab_size
    window = model.window

    def some(count: int) -> Tokens:
        return Tokens(torch.randint(size, (count,), generator=generator).tolist())

    whole = min(window, 512)
    context, branch, new = min(window // 2, 200), max(1, min(window // 8, 8)), max(1, min(window // 4, 32))
    start = some(context)
    shared = [start[: context * 3 // 4] + some(context // 4) for _ in range(items)]
    contexts = [some(context) for _ in range(items)]
    scored: dict[str, list[ScoreQuery]] = {
        f"whole texts of {whole} tokens": [ScoreQuery(some(1), some(whole)) for _ in range(items // 4 or 1)],
        f"one token after {context}": [ScoreQuery(c, some(1)) for c in contexts],
        f"4 choices of {branch} after {context}": [ScoreQuery(c, some(branch)) for c in contexts for _ in range(4)],
        f"the same, {context * 3 // 4} shared by all": [ScoreQuery(c, some(branch)) for c in shared for _ in range(4)],
    }
    results = []
    for name, queries in scored.items():
        seconds = _median(engine, queries, rounds)
        results.append(Measured(name, unique_tokens(queries)[0], seconds, floor_seconds(queries, shape, found)))
    prompts = [GenerateQuery(c, new, (), Sampling()) for c in contexts]
    results.append(_generation(engine, shape, found, prompts, f"{new} new tokens after {context}", rounds))
    return {
        "model": model.info.name,
        "parameters": model.info.n_params,
        "device": model.device,
        "dtype": model.dtype,
        "batch_tokens": engine.budget,
        "items": items,
        "gemm_flops": found.flops,
        "copy_bytes": found.bytes,
        "workloads": [asdict(r) | {"tokens_per_second": r.tokens / r.seconds, "share": r.share} for r in results],
    }


def _generation(
    engine: Engine, shape: Shape, found: Rates, prompts: list[GenerateQuery], name: str, rounds: int
) -> Measured:
    count, new, context = len(prompts), prompts[0].max_new_tokens, len(prompts[0].prompt)
    ends, engine.model.codec.eos = engine.model.codec.eos, frozenset()  # no query may end before its limit
    try:
        seconds = _median(engine, prompts, rounds)
    finally:
        engine.model.codec.eos = ends
    return Measured(name, count * (context + new - 1), seconds, floor_seconds(prompts, shape, found))


def _median(engine: Engine, queries: list[Any], rounds: int) -> float:
    keyed: dict[bytes, TokenQuery] = {str(number).encode(): query for number, query in enumerate(queries)}
    batches = list(form_batches(keyed, engine.budget, engine.generation_budget, reach=engine.scorer.reach))

    def work() -> None:
        for batch in batches:
            engine.begin([keyed[key] for key in batch])()

    work()
    return statistics.median(_timed(engine.model, work) for _ in range(rounds))


def _best(model: HFModel, work: Callable[[], object]) -> float:
    """Seconds, the least within ``WHILE``: at first a system may have all threads on one core."""
    end = time.perf_counter() + WHILE
    found = [_timed(model, work)]
    while time.perf_counter() < end:
        found.append(_timed(model, work))
    return min(found)


def _timed(model: HFModel, work: Callable[[], object]) -> float:
    def wait() -> None:
        if model.device.startswith("cuda"):
            torch.cuda.synchronize()

    wait()
    begin = time.perf_counter()
    work()
    wait()
    return time.perf_counter() - begin

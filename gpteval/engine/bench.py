"""How fast the engine is on this machine, beside what the machine could do.

The floor of a workload is the time that its unique tokens need when nothing is computed twice and nothing
is wasted: floating-point operations at the measured rate of a matrix product of the model's own shape, or bytes
(weights, keys and values) at the measured rate of a copy, whichever is more.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch

from gpteval.engine.batches import form_batches
from gpteval.engine.engine import Engine
from gpteval.engine.pack import pack
from gpteval.models.loader import HFModel
from gpteval.tokens.queries import GenerateQuery, Sampling, ScoreQuery, TokenQuery, Tokens


@dataclass(frozen=True)
class Rates:
    """What this machine does: floating-point operations and copied bytes (read and written), a second."""

    flops: float
    bytes: float


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


@dataclass(frozen=True)
class Shape:
    """What one token costs. ``weights``: numbers in the trunk's matrices; ``head``: in the output layer."""

    weights: int
    head: int
    layers: int
    width: int
    item: int

    @classmethod
    def of(cls, model: HFModel) -> Shape:
        module, text = model.module, model.config.get_text_config()
        embeddings = {id(m.weight) for m in module.modules() if isinstance(m, torch.nn.Embedding)}
        head = module.get_output_embeddings().weight
        matrices = [p for p in module.parameters() if p.dim() > 1 and id(p) not in {*embeddings, id(head)}]
        weights = sum(p.numel() for p in matrices)
        return cls(weights, head.numel(), text.num_hidden_layers, text.hidden_size, head.element_size())

    def flops(self, tokens: int, before: float, scored: int) -> float:
        """``tokens`` that see ``before`` others each on average, and logits at ``scored`` places."""
        return 2 * self.weights * tokens + 4 * self.layers * self.width * before * tokens + 2 * self.head * scored

    @property
    def token_bytes(self) -> int:
        """Keys and values of one token."""
        return 2 * self.layers * self.width * self.item


def rates(model: HFModel, tokens: int) -> Rates:
    """Best of several: a product [tokens, width] x [width, 4 width] in the model's dtype, and a copy of 256 MiB."""
    width = model.config.get_text_config().hidden_size
    dtype = model.module.dtype
    a = torch.randn(tokens, width, device=model.device).to(dtype)
    b = torch.randn(width, 4 * width, device=model.device).to(dtype)
    source = torch.ones(2**26, device=model.device)
    target = torch.empty_like(source)
    repeat = max(1, int(2e10 / (8 * tokens * width * width)))

    def products() -> None:
        for _ in range(repeat):
            a @ b

    flops = repeat * 8 * tokens * width * width / min(_timed(model, products) for _ in range(5))
    copied = 2 * source.nbytes / min(_timed(model, lambda: target.copy_(source)) for _ in range(5))
    return Rates(flops, copied)


def bench(model: HFModel, *, items: int = 32, rounds: int = 3, batch_tokens: int | None = None) -> dict[str, Any]:
    """Prefill, choices and generation on random tokens: the median of ``rounds`` after one to warm up."""
    engine = Engine(model, batch_tokens=batch_tokens)
    shape, found = Shape.of(model), rates(model, engine.budget)
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
        results.append(Measured(name, _unique(queries)[0], seconds, floor_seconds(queries, shape, found)))
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


def floor_seconds(queries: Sequence[TokenQuery], shape: Shape, found: Rates) -> float:
    """What queries, all of one kind, take at least.

    Prompts are read once, each by itself. Then a step a token, to every query's limit: each step reads all weights, and
    the keys and values of the queries that are on their way.
    """
    scored = [query for query in queries if isinstance(query, ScoreQuery)]
    if scored:
        tokens, before, places = _unique(scored)
        return shape.flops(tokens, before, places) / found.flops
    prompts = [(len(query.prompt), query.max_new_tokens) for query in queries if isinstance(query, GenerateQuery)]
    floor = sum(shape.flops(length, length / 2, 1) for length, _ in prompts) / found.flops
    for step in range(1, max(new for _, new in prompts)):
        seen = [length + step for length, new in prompts if new > step]
        work = shape.flops(len(seen), sum(seen) / len(seen), len(seen)) / found.flops
        moved = (shape.weights + shape.head) * shape.item + sum(seen) * shape.token_bytes
        floor += max(work, moved / found.bytes)
    return floor


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


def _unique(queries: list[ScoreQuery]) -> tuple[int, float, int]:
    """Tokens that must pass once, how many others each sees on average, and the places that need logits."""
    packed = pack(queries, reach=sys.maxsize)
    inside = packed.branch >= 0
    tokens = int(inside.sum()) + len(packed.prefix)
    seen = int((packed.positions * inside).sum()) + len(packed.prefix) ** 2 / 2
    return tokens, seen / tokens, len(packed.lines)


def _median(engine: Engine, queries: list[Any], rounds: int) -> float:
    keyed: dict[bytes, TokenQuery] = {str(number).encode(): query for number, query in enumerate(queries)}
    batches = list(form_batches(keyed, engine.budget, engine.generation_budget, reach=engine.scorer.reach))

    def work() -> None:
        for batch in batches:
            engine.begin([keyed[key] for key in batch])()

    work()
    return statistics.median(_timed(engine.model, work) for _ in range(rounds))


def _timed(model: HFModel, work: Callable[[], object]) -> float:
    def wait() -> None:
        if model.device.startswith("cuda"):
            torch.cuda.synchronize()

    wait()
    begin = time.perf_counter()
    work()
    wait()
    return time.perf_counter() - begin

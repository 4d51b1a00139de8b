"""Planning many requests: seconds beside those of their tokenisation alone, and memory.

    python benchmarks/planning.py --model FOLDER --requests 1000000

Each request is a context of about 60 tokens, all different, with one continuation. Planning is what a run does before
the first forward: encoding, keys and batches. Memory is the growth of the process's peak over what the requests
themselves take. The last line is JSON. Exit code 1 when planning takes more than twice the tokenisation or 1.5 GB.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time

from gpteval.core.types import Choice, Prompt
from gpteval.engine.batches import form_batches
from gpteval.engine.engine import Engine
from gpteval.models.catalogue import resolve_models
from gpteval.models.loader import HFModel

TEXT = (
    "The old man walked slowly down to the river and looked for a long time at the boats that were lying there in the "
    "evening sun, each with its own name painted in white letters upon the bow, and he wondered which of them had been "
    "out on the water that day"
)
BLOCK = 10_000


def peak() -> float:
    """The process's peak memory so far, GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="a model's name or folder; its weights are not loaded")
    parser.add_argument("--requests", type=int, default=1_000_000)
    parser.add_argument("--budget", type=int, default=2048, help="tokens a batch")
    asked = parser.parse_args()
    (info,) = resolve_models([asked.model])
    engine = Engine(HFModel(info))
    _ = engine.model.key  # read the weights' digest before, once a model
    prompts = [Prompt(str(n), Choice(f"Story {n}. {TEXT}", [f" number {n % 7}"], 0)) for n in range(asked.requests)]
    begin = time.perf_counter()
    for start in range(0, len(prompts), BLOCK):
        block = [p.request for p in prompts[start : start + BLOCK]]
        contexts = engine.encoder.codec.encode([r.context for r in block])  # type: ignore[union-attr]
        engine.encoder.codec.encode([r.context + r.continuations[0] for r in block])  # type: ignore[union-attr]
    tokenised, before = time.perf_counter() - begin, peak()
    begin = time.perf_counter()
    plan = engine.plan(prompts)
    batches = sum(1 for _ in form_batches(plan.queries, asked.budget, asked.budget, reach=sys.maxsize))
    planned, grown = time.perf_counter() - begin, peak() - before
    print(f"{len(plan.queries):,} queries in {batches:,} batches; a context is {len(contexts[0])} tokens")
    print(f"tokenisation {tokenised:.1f} s, planning {planned:.1f} s: {planned / tokenised:.2f} times")
    print(f"memory: {grown:.2f} GB more than the requests' {before:.2f} GB")
    print(json.dumps({"requests": asked.requests, "tokenised_s": tokenised, "planned_s": planned, "grown_gb": grown}))
    return 0 if planned <= 2 * tokenised and grown < 1.5 else 1


if __name__ == "__main__":
    sys.exit(main())

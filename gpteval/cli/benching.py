"""``gpteval bench``: the engine's speed and the machine's limit, as a table and a line of JSON."""

from __future__ import annotations

import sys
from typing import Any

from gpteval.core.errors import UsageError
from gpteval.core.strict import strict_json


def bench_command(name: str, items: int, rounds: int, batch_tokens: int | None, load: Any) -> None:
    """Measure one model and print the table and its JSON line. Raises UsageError for a family of models."""
    from gpteval.engine.bench import bench
    from gpteval.models.catalogue import resolve_models
    from gpteval.models.loader import HFModel

    (info, *rest) = resolve_models([name])
    if rest:
        raise UsageError(f"{name!r} is a family; name one of {', '.join(i.name for i in [info, *rest])}")
    print(f"measuring {info.name}: {rounds + 1} rounds of {items} items", file=sys.stderr, flush=True)
    found = bench(HFModel(info, load), items=items, rounds=rounds, batch_tokens=batch_tokens)
    print(
        f"{found['model']}, {found['parameters']:,} parameters, {found['device']}, {found['dtype']}, "
        f"batches of {found['batch_tokens']} tokens"
    )
    print(f"this machine: {found['gemm_flops'] / 1e9:,.0f} GFLOP/s, {found['copy_bytes'] / 1e9:,.1f} GB/s copied\n")
    print(f"{'workload':<44} {'tokens':>8} {'tokens/s':>10} {'seconds':>8} {'floor':>8} {'reached':>8}")
    for row in found["workloads"]:
        print(
            f"{row['workload']:<44} {row['tokens']:>8,} {row['tokens_per_second']:>10,.0f} {row['seconds']:>8.3f} "
            f"{row['floor']:>8.3f} {row['share']:>8.0%}"
        )
    print(strict_json(found))

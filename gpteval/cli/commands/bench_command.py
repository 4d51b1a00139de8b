"""``gpteval bench``: the engine's speed and the machine's limit, as a table and a line of JSON."""

from __future__ import annotations

from typing import Annotated

import typer

from gpteval.cli.completion import complete_models
from gpteval.cli.console import document_only, say
from gpteval.cli.interrupts import resumable
from gpteval.cli.one import one_model
from gpteval.cli.option_groups import Told, WeightsAs
from gpteval.cli.options import BatchTokens, Json, Tokenizer, batch_tokens_of
from gpteval.cli.voice import tell
from gpteval.core.strict import strict_json


def bench(
    model: Annotated[str, typer.Option(help="a model's name, Hub id or folder", autocompletion=complete_models)],
    items: Annotated[int, typer.Option(min=1, help="items a workload")] = 32,
    rounds: Annotated[int, typer.Option(min=1, help="repetitions, of which the median is told")] = 3,
    batch_tokens: BatchTokens = "auto",
    tokenizer: Tokenizer = "",
    as_json: Json = False,
    *,
    weights: WeightsAs,
    told: Told,
) -> None:
    """Measure the engine's speed on this machine.

    Also the share of what the machine could do. The last line is JSON. What was found is remembered: `run --dry-run`
    foretells seconds by it.
    """
    from gpteval.engine.bench import bench as measure
    from gpteval.engine.speed import remember
    from gpteval.models.loader import HFModel

    with resumable():
        info = one_model(model)
        tell(f"measuring {info.name}: {rounds + 1} rounds of {items} items")
        with document_only(as_json):
            loaded = HFModel(info, weights.load(tokenizer=tokenizer))
            found = measure(loaded, items=items, rounds=rounds, batch_tokens=batch_tokens_of(batch_tokens))
        remember(found)
        if as_json:
            say(strict_json(found, 1))
            return
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

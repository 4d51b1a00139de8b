"""Run folders made by hand, with the files that a run writes: results.json, manifest.json, samples."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet

from gpteval.metrics.named import metric_registry
from gpteval.store.documents import sample_file

Stats = Sequence[Sequence[float]]


FOUR = {  # models of three generations, with a long name
    "openai-gpt": ("gpt1", 116_534_784),
    "gpt2": ("gpt2", 124_439_808),
    "gpt2-xl": ("gpt2", 1_557_611_200),
    "EleutherAI/pythia-160m-deduped": ("gpt3-style", 162_322_944),
}


def scores(values: Sequence[float]) -> Stats:
    """Statistics of a mean: a score and 1 an item."""
    return [(float(value), 1.0) for value in values]


def make_run(
    folder: Path,
    answers: Mapping[tuple[str, str], Stats],
    *,
    metrics: Mapping[str, str] | None = None,
    generations: Mapping[str, tuple[str, int]] | None = None,
    truncated: Mapping[tuple[str, str], Sequence[int]] | None = None,
    clusters: Mapping[str, Sequence[str]] | None = None,
    ids: Mapping[str, Sequence[str]] | None = None,
    hashes: Mapping[tuple[str, str], str] | None = None,
    chance: Mapping[str, float | None] | None = None,
    config: Mapping[str, Any] | None = None,
    tasks: Mapping[str, Mapping[str, Any]] | None = None,
    models: Mapping[str, Mapping[str, Any]] | None = None,
) -> Path:
    """``answers``: statistics of the items by (model, task), where a task may be ``name:template@shots``. Everything
    else has a default.
    """
    rows, listed = [], []
    (folder / "samples").mkdir(parents=True, exist_ok=True)
    for (model, asked), stats in answers.items():
        task, _, shots = asked.partition("@")
        base, _, template = task.partition(":")
        metric = metric_registry()[(metrics or {}).get(task, "acc")]
        generation, size = (generations or {}).get(model, ("gpt2", 1000))
        names = (ids or {}).get(task) or [f"{base}-item-{n}" for n in range(len(stats))]
        cut = set((truncated or {}).get((model, asked), ()))
        groups = (clusters or {}).get(task)
        table = [
            {
                "item_id": names[n],
                "prompt": f"prompt {n}",
                "prompt_hash": f"{(hashes or {}).get((model, asked), '')}{names[n]}",
                "cluster": groups[n] if groups else None,
                "truncated": n in cut,
                "values": json.dumps({metric.name: float(metric.value(np.array(one, dtype=float)))}),
                "stats": json.dumps({metric.name: list(one)}),
            }
            for n, one in enumerate(stats)
        ]
        file = sample_file(model, task, int(shots or 0))
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(table), folder / file)
        listed.append({"model": model, "task": task, "shots": int(shots or 0), "file": file})
        rows.append(
            {
                "model": model,
                "generation": generation,
                "n_params": size,
                "task": task,
                "template": template or "default",
                "family": "qa",
                "shots": int(shots or 0),
                "profile": "gpteval",
                "protocol": "zero_shot",
                "fingerprint": "f",
                "signature": "",
                "ci_low": None,
                "ci_high": None,
                "stderr": None,
                "coverage": 1.0,
                "truncated": 0,
                "seconds": 0.0,
                "tokens": 0,
                "metric": metric.name,
                "primary": True,
                "higher_is_better": metric.higher_is_better,
                "value": float(metric.value(np.array(stats, dtype=float).sum(axis=0))),
                "n": len(stats),
                "chance": (chance or {}).get(task, 0.0 if metric.name == "acc" else None),
            }
        )
    manifest = {"config": {"seed": 0, "limit": None} | dict(config or {}), "samples": listed}
    manifest |= {"tasks": dict(tasks or {}), "models": dict(models or {})}
    (folder / "results.json").write_text(json.dumps({"schema": 1, "run": {}, "results": rows, "failures": []}))
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder

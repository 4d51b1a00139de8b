"""Logs as lm-evaluation-harness writes them, of items that tests make up."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

DATE = "2026-01-02T03-04-05.678901"


def choice(n: int, logprobs: Sequence[float], gold: int = 0, **more: Any) -> dict[str, Any]:
    """An item with choices, as it is asked by number ``n``."""
    best = max(range(len(logprobs)), key=lambda at: logprobs[at])
    return {
        "doc_id": n,
        "doc": {"n": n},
        "target": str(gold),
        "arguments": {
            f"gen_args_{at}": {"arg_0": f"Question {n}?\nAnswer:", "arg_1": f" for {n} option {at}"}
            for at in range(len(logprobs))
        },
        "resps": [[[str(one), "False"]] for one in logprobs],
        "filtered_resps": [[str(one), "False"] for one in logprobs],
        "filter": "none",
        "metrics": ["acc"],
        "acc": float(best == gold),
    } | more


def generation(n: int, answer: str, target: str, **more: Any) -> dict[str, Any]:
    """An item that is answered by a text."""
    settings = {"until": ["\n\n"], "max_gen_toks": 48, "do_sample": False}
    return {
        "doc_id": n,
        "doc": {"n": n},
        "target": target,
        "arguments": {"gen_args_0": {"arg_0": f"Say {n}:", "arg_1": settings}},
        "resps": [[answer]],
        "filtered_resps": [answer],
        "filter": "none",
        "metrics": ["exact_match"],
        "exact_match": float(answer.strip() == target),
    } | more


def write_log(
    folder: Path,
    items: Mapping[str, Iterable[Mapping[str, Any]]],
    model: str = "org/some-model",
    results: Mapping[str, Mapping[str, Any]] | None = None,
) -> Path:
    """Samples of each task, and a results file beside them."""
    folder.mkdir(parents=True, exist_ok=True)
    for task, rows in items.items():
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / f"samples_{task}_{DATE}.jsonl").write_text(text, encoding="utf-8")
    document = {
        "results": results or {task: {"alias": task} for task in items},
        "n-shot": dict.fromkeys(items, 0),
        "config": {"model": "hf", "model_args": {"pretrained": model}, "model_num_parameters": 1000},
        "model_name": model,
        "lm_eval_version": "0.4.13",
    }
    (folder / f"results_{DATE}.json").write_text(json.dumps(document), encoding="utf-8")
    return folder

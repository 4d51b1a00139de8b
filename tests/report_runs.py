"""A run with hostile names for reports, and its page."""

from __future__ import annotations

import base64
import gzip
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gpteval.report import build_report

HOSTILE = "</script><script>window.hit=1</script><img src=x onerror=window.hit=2> \u202eabc \x00 \x1b[31m"


MODELS = (
    ("openai-gpt", "gpt1", 116534784),
    ("gpt2", "gpt2", 124439808),
    ("gpt2-xl", "gpt2", 1557611200),
    ("neo", "gpt3", 10),
)


TASKS = (
    *(("wikitext2", "lm", "word_perplexity"), ("piqa", "qa", "acc"), ("wmt", "translation", "bleu")),
    *(("dialogsum", "summarization", "rouge1"), ("sst2", "classification", "acc")),
)


def result(
    model: str, generation: str, n_params: int, task: str, family: str, metric: str, value: float
) -> dict[str, Any]:
    wide = 0.02 if metric in ("acc", "rouge1") else 0.1 * value
    return {
        "model": model,
        "generation": generation,
        "n_params": n_params,
        "task": task,
        "family": family,
        "shots": 0,
        "protocol": "zero_shot",
        "profile": "gpteval",
        "metric": metric,
        "primary": True,
        "higher_is_better": metric != "word_perplexity",
        "value": value,
        "ci_low": value - wide,
        "ci_high": value + wide,
        "stderr": wide / 1.96,
        "n": 30,
        "coverage": 1.0,
        "truncated": 3 if model == "openai-gpt" else 0,
        "chance": 0.5 if metric == "acc" else None,
        "seconds": 1.5,
        "tokens": 1000,
        "published": None,
        "notes": [f"a note <b>of</b> {model}"] if task == "wikitext2" else [],
    }


def samples(folder: Path, model: str, task: str, metric: str) -> dict[str, Any]:
    rows = []
    for n in range(30):
        row: dict[str, Any] = {
            "item_id": f"id{n:03}",
            "prompt": f"{HOSTILE} prompt {n}",
            "truncated": False,
            "error": None,
        }
        row |= {"values": json.dumps({metric: 1.0}), "finish": None, "generated": None, "references": None}
        row |= {"choices": None, "logprobs": None, "gold": None, "prediction": None, "token_counts": [4]}
        if metric == "acc":
            chosen = n % 2 if model == "gpt2" else 0
            row |= {"choices": [" yes", HOSTILE], "logprobs": [-1.0, -2.5], "gold": 0, "prediction": chosen}
            row["values"] = json.dumps({metric: 1.0 if chosen == 0 or n == 1 else 0.0})
        elif metric == "word_perplexity":
            row["logprobs"] = [-12.0]
        else:
            row |= {"generated": HOSTILE if n else "x" * 50_000, "references": ["right"], "finish": "stop"}
        rows.append(row)
    name = f"samples/{model}__{task}.parquet"
    (folder / "samples").mkdir(exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), folder / name)
    return {"model": model, "task": task, "shots": 0, "file": name}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of four models of three generations on five tasks; the last model failed on one."""
    folder = tmp_path_factory.mktemp("runs") / "a <run>"
    folder.mkdir()
    results, listed = [], []
    for place, (model, generation, size) in enumerate(MODELS):
        for task, family, metric in TASKS:
            if model == "neo" and task == "wmt":
                continue
            base = {"word_perplexity": 40.0 - 5 * place, "bleu": 3.0 + 4 * place}.get(metric, 0.55 + 0.1 * place)
            results.append(result(model, generation, size, task, family, metric, base))
            listed.append(samples(folder, model, task, metric))
    failures = [{"model": "neo", "task": "wmt", "error": f"broken {HOSTILE}"}]
    document = {"schema": 1, "run": {"name": "x"}, "results": results, "failures": failures}
    (folder / "results.json").write_text(json.dumps(document))
    facts = {"piqa": {"source": "baber/piqa validation", "licence": "AFL 3.0", "description": HOSTILE}}
    manifest = {
        "command": f"gpteval run {HOSTILE}",
        "tasks": facts,
        "models": {"gpt2": {"notes": [HOSTILE]}},
        "samples": listed,
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


@pytest.fixture(scope="module")
def page(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_report([run], tmp_path_factory.mktemp("out") / "report.html")


def rewritten(run: Path, folder: Path, which: Callable[[dict[str, Any]], bool], **changes: object) -> Path:
    """``folder`` as a copy of the run's results with some rows changed, without manifest and samples."""
    document = json.loads((run / "results.json").read_text())
    for row in document["results"]:
        row |= changes if which(row) else {}
    (folder / "results.json").write_text(json.dumps(document))
    return folder


def items_of(page: Path) -> dict[str, dict[str, Any]]:
    """What the page carries packed: of each column the items that it shows."""
    found = re.findall(r'<script type="[^"]*" id="items=([^"]*)">([^<]*)</script>', page.read_text(encoding="utf-8"))
    return {column: json.loads(gzip.decompress(base64.b64decode(text))) for column, text in found}


def visible(page: Path) -> str:
    """The page without what is in script and style elements."""
    return re.sub(r"<(script|style)\b.*?</\1>", "", page.read_text(encoding="utf-8"), flags=re.S)

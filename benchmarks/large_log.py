"""How long two large logs of lm-evaluation-harness take to be compared, and in how much memory.

    python benchmarks/large_log.py [--items 500000] [--folder FOLDER]

Writes two logs of so many items with two choices each (about 1.2 kB a line), and compares them by the command, read for
the first time. Prints seconds and the largest process' memory.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

DATE = "2026-01-02T03-04-05.678901"
WORDS = "Provide the cage with a few inches of bedding made of ripped paper strips, and with a bottle and a dish"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=500_000, help="of each log")
    parser.add_argument("--folder", type=Path)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=asked.folder) as folder:
        logs = [_write(Path(folder, name), asked.items, name) for name in ("one", "two")]
        size = sum(file.stat().st_size for log in logs for file in log.iterdir())
        begin = time.perf_counter()
        environment = {**os.environ, "GPTEVAL_CACHE": str(Path(folder, "cache")), "HF_HUB_OFFLINE": "1"}
        subprocess.run([sys.executable, "-m", "gpteval", "compare", *map(str, logs)], env=environment, check=True)
        seconds = time.perf_counter() - begin
    memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    print(f"{2 * asked.items:,} items, {size / 1e6:,.0f} MB: {seconds:.0f} s, {memory:.2f} GiB at most in a process")
    return 0


def _write(folder: Path, count: int, model: str) -> Path:
    folder.mkdir()
    draw = random.Random(model)
    with (folder / f"samples_piqa_{DATE}.jsonl").open("w", encoding="utf-8") as handle:
        for number in range(count):
            handle.write(json.dumps(_line(number, [-50 * draw.random() for _ in range(2)])) + "\n")
    said = {
        "results": {"piqa": {}},
        "config": {"model_args": {"pretrained": f"org/{model}"}},
        "lm_eval_version": "0.4.13",
    }
    (folder / f"results_{DATE}.json").write_text(json.dumps(said), encoding="utf-8")
    return folder


def _line(number: int, logprobs: list[float]) -> dict[str, object]:
    context = {"arg_0": f"Question: {number}, how do I ready a cage for its new occupants?\nAnswer:"}
    gold = number % 2
    resps = [[str(one), "False"] for one in logprobs]
    return {
        "doc_id": number,
        "doc": {"goal": context["arg_0"], "sol1": WORDS, "sol2": WORDS[::-1], "label": gold},
        "target": str(gold),
        "arguments": {f"gen_args_{at}": context | {"arg_1": f" {WORDS} {at}"} for at in range(2)},
        "resps": [[one] for one in resps],
        "filtered_resps": resps,
        "filter": "none",
        "metrics": ["acc", "acc_norm"],
        **{name: float((logprobs[1] > logprobs[0]) == gold) for name in ("acc", "acc_norm")},
        **{f"{what}_hash": "0" * 64 for what in ("doc", "prompt", "target")},
    }


if __name__ == "__main__":
    sys.exit(main())

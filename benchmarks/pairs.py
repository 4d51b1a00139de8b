"""All pairs of many models: how long, and in how much memory.

``python benchmarks/pairs.py [--models 20] [--tasks 20] [--items 1000]`` makes a run's files with simulated answers
and compares them. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import gpteval

sys.path.insert(0, str(Path(__file__).parents[1]))  # run folders are made as the tests make them
from tests.made_runs import make_run, scores


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    for name, default in (("models", 20), ("tasks", 20), ("items", 1000)):
        parser.add_argument(f"--{name}", type=int, default=default)
    asked = parser.parse_args()
    answers = {}
    for model in range(asked.models):
        for task in range(asked.tasks):
            random = np.random.default_rng(100 * task + model)
            right = random.random(asked.items) < 0.4 + model / (3 * asked.models)
            answers[f"m{model}", f"t{task}"] = scores(right.astype(float))
    with tempfile.TemporaryDirectory() as folder:
        run = make_run(Path(folder) / "run", answers)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        begin = time.perf_counter()
        found = gpteval.compare(run)
        seconds = time.perf_counter() - begin
    gigabytes = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 2**20
    print(f"{len(found.pairs)} pairs in {seconds:.1f} s, {gigabytes:.2f} GB")
    print(json.dumps({"pairs": len(found.pairs), "seconds": seconds, "gigabytes": gigabytes}))
    return 0


if __name__ == "__main__":
    sys.exit(main())

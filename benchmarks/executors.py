"""What the process executor costs, and what a second worker brings: whole commands, one after the other.

    GPTEVAL_DATA=... python benchmarks/executors.py --model FOLDER --tasks sst2,piqa --limit 400

Every command has one torch thread a worker (OMP_NUM_THREADS=1) and a folder of its own, and reads nothing from the
cache. Rounds alternate; ratios are those of the medians. The results of all must be the same but for seconds. The last
line is JSON; exit code 1 where results differ, one worker takes a twentieth more than the run's own process, or two are
less than 1.8 times as fast as one.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

WAYS = {"inline": ["inline"], "1 worker": ["process", "--workers", "1"], "2 workers": ["process", "--workers", "2"]}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="gpt3-nano-medium")
    parser.add_argument("--tasks", default="nano")
    parser.add_argument("--limit", type=int, default=400)
    parser.add_argument("--shots", default="0")
    parser.add_argument("--rounds", type=int, default=1)
    asked = parser.parse_args()
    seconds: dict[str, list[float]] = {way: [] for way in WAYS}
    found: dict[str, list[dict[str, Any]]] = {}
    run = [sys.executable, "-m", "gpteval", "run", "--models", asked.model, "--tasks", asked.tasks]
    run += ["--limit", str(asked.limit), "--shots", asked.shots, "--no-cache", "--no-report", "--executor"]
    with tempfile.TemporaryDirectory() as name:
        for number in range(asked.rounds):
            for way, executor in WAYS.items():
                out = Path(name) / f"{number}-{way}"
                begin = time.monotonic()
                environment = os.environ | {"OMP_NUM_THREADS": "1"}
                subprocess.run([*run, *executor, "--out", str(out)], check=True, env=environment, capture_output=True)
                seconds[way].append(time.monotonic() - begin)
                print(f"{way}: {seconds[way][-1]:.1f} s", flush=True)
                rows = json.loads((out / "results.json").read_text())["results"]
                found[way] = [{key: value for key, value in row.items() if key != "seconds"} for row in rows]
    medians = {way: statistics.median(all_of) for way, all_of in seconds.items()}
    overhead = medians["1 worker"] / medians["inline"] - 1
    ratio = medians["1 worker"] / medians["2 workers"]
    same = all(rows == found["inline"] for rows in found.values())
    print(f"one worker against the run's own process: {overhead:+.1%}; two against one: {ratio:.2f}; same: {same}")
    print(json.dumps({"seconds": seconds, "overhead": overhead, "ratio": ratio, "same": same}))
    return 1 if not same or overhead > 0.05 or ratio < 1.8 else 0


if __name__ == "__main__":
    sys.exit(main())

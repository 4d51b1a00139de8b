"""What a finished run costs when the same command is given again: planning and bookkeeping, nothing computed.

    python benchmarks/again.py --against CHECKOUT

Runs two models on the nano suite in a process, once for the folder and once more for warm imports, and takes the CPU
seconds of doing so again. With ``--against`` another checkout of gpteval does the same in its own folder, in turns;
the last line is JSON with the medians and their ratio.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parents[1]
CODE = """
import sys, time
from pathlib import Path
from gpteval.run.config import RunConfig
from gpteval.run.runner import execute

config = RunConfig(("gpt1-nano", "gpt2-nano"), ("nano",), (0, 5), limit=int(sys.argv[2]), out=Path(sys.argv[1]))
assert not execute(config).failures
execute(config)
begin = time.process_time()
execute(config)
print(time.process_time() - begin)
"""


def seconds(checkout: Path, folder: Path, limit: int) -> float:
    """CPU seconds of doing a finished run again, with the code of a checkout."""
    env = os.environ | {"PYTHONPATH": str(checkout), "OMP_NUM_THREADS": "1", "GPTEVAL_CACHE": str(folder / "cache")}
    words = [sys.executable, "-c", CODE, str(folder / "run"), str(limit)]
    done = subprocess.run(words, env=env, cwd=checkout, capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--against", type=Path, help="another checkout of gpteval")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--limit", type=int, default=10, help="items a task")
    asked = parser.parse_args()
    sides = {"here": HERE} | ({"against": asked.against.resolve()} if asked.against else {})
    found: dict[str, list[float]] = {name: [] for name in sides}
    with tempfile.TemporaryDirectory() as folder:
        for number in range(asked.rounds):
            for name, checkout in sides.items():
                found[name].append(seconds(checkout, Path(folder, name), asked.limit))
            print(f"{number + 1}/{asked.rounds}: " + ", ".join(f"{name} {of[-1]:.2f} s" for name, of in found.items()))
    medians = {name: statistics.median(of) for name, of in found.items()}
    ratio = medians["here"] / medians["against"] if asked.against else None
    print(json.dumps({**medians, "ratio": ratio}))


if __name__ == "__main__":
    main()

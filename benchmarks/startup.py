"""How long a command takes before it does anything: ``gpteval --help`` beside an empty Python, in pairs.

    python benchmarks/startup.py

The promise is 0.3 s. Prints the median and the lowest of each, and the median of the differences.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

PAIRS = 15


def seconds(*command: str) -> float:
    begin = time.perf_counter()
    subprocess.run([sys.executable, *command], capture_output=True, check=True)
    return time.perf_counter() - begin


def main() -> None:
    pairs = [(seconds("-c", ""), seconds("-m", "gpteval", "--help")) for _ in range(PAIRS)]
    for name, found in zip(("python", "gpteval --help"), zip(*pairs, strict=True), strict=True):
        print(f"{name:<16} {statistics.median(found):.3f} s, lowest {min(found):.3f} s")
    print(f"difference       {statistics.median(b - a for a, b in pairs):.3f} s")


if __name__ == "__main__":
    main()

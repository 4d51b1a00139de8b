"""A run over a million records: its memory beside that of the same run over a hundred, and that of what reads it.

    python benchmarks/million.py --model FOLDER --records 1000000

The task is a file of yes-or-no questions. Each command runs in a process of its own, whose peak memory is told. The
last line is JSON. Exit code 1 when the long run takes 1.5 GB more than the short one, or report or compare fail.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

MOST = 1.5  # GB
TASK = '''
from gpteval import Choice, file, task

@task(family="qa", source=file("rows.jsonl"), metric="acc")
def million(item):
    """Whether a number is even."""
    return Choice(f"Is {item['number']} even? Answer:", [" yes", " no"], gold=item["number"] % 2)
'''


def peak(command: list[str]) -> tuple[int, float, float]:
    """Exit code, peak memory in GB and seconds of a command."""
    begin = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    return os.waitstatus_to_exitcode(status), usage.ru_maxrss * 1024 / 1e9, time.monotonic() - begin


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="gpt2-nano", help="a model's name or folder")
    parser.add_argument("--records", type=int, default=1_000_000)
    asked = parser.parse_args()
    gpteval = [sys.executable, "-m", "gpteval"]
    found = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "million.py").write_text(TASK)
        with (folder / "rows.jsonl").open("w") as rows:
            rows.writelines(json.dumps({"number": n}) + "\n" for n in range(asked.records))
        run = [*gpteval, "run", "--models", asked.model, "--tasks", "million", "--task-dir", str(folder), "--no-report"]
        commands = {
            "short": [*run, "--no-cache", "--limit", "100", "--out", str(folder / "short")],
            "long": [*run, "--no-cache", "--out", str(folder / "long")],
            "again": [*run, "--no-cache", "--out", str(folder / "long")],
            "report": [*gpteval, "report", str(folder / "long"), "--out", str(folder / "report.html")],
            "compare": [*gpteval, "compare", str(folder / "long"), str(folder / "long")],
        }
        for what, command in commands.items():
            code, memory, seconds = peak(command)
            found[what] = {"code": code, "gb": memory, "seconds": seconds}
            print(f"{what:<8} exit {code}, {memory:.2f} GB, {seconds:.0f} s", flush=True)
    more = found["long"]["gb"] - found["short"]["gb"]
    print(f"{asked.records:,} records take {more:.2f} GB more than 100")
    print(json.dumps({"records": asked.records, "more_gb": more, "commands": found}))
    return 1 if more > MOST or any(one["code"] for one in found.values()) else 0


if __name__ == "__main__":
    sys.exit(main())

"""Kill a run at random moments, continue it, and hold its results against those of an undisturbed one.

    python benchmarks/faults.py --executor process --kills 50

Each time the command is killed (SIGKILL, or SIGTERM every other time) at a moment drawn from the whole of its duration,
with its workers left to themselves, and the same command is run to the end. Its results must be those of the
undisturbed run but for seconds, it must compute exactly what the journal lacked, and no process may be left in the end.
The last line is JSON; exit code 1 where something of that does not hold.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

LEFT_SECONDS = 120.0  # for processes of killed runs to end; two of Ray's take a minute


def results(folder: Path) -> list[dict[str, Any]]:
    """The rows but for what they took."""
    rows = json.loads((folder / "results.json").read_text())["results"]
    return [{key: value for key, value in row.items() if key != "seconds"} for row in rows]


def left_over(mark: str) -> list[int]:
    """Processes that have ``mark`` in their environment."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdecimal() and mark.encode() in (entry / "environ").read_bytes():
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--executor", default="inline", choices=("inline", "process", "ray"))
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--models", default="gpt1-nano,gpt2-nano")
    parser.add_argument("--tasks", default="nano_topic,nano_prose,nano_en_fr")
    parser.add_argument("--limit", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    draw = random.Random(asked.seed)
    options = ["--models", asked.models, "--tasks", asked.tasks, "--limit", str(asked.limit), "--shots", "0,2"]
    options += ["--no-cache", "--no-report", "--executor", asked.executor]
    options += ["--workers", "2"] if asked.executor != "inline" else []
    wrong = early = late = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)

        def begin(out: Path, mark: str) -> subprocess.Popen[bytes]:
            command = [sys.executable, "-m", "gpteval", "run", *options, "--out", str(out)]
            environment = os.environ | {"GPTEVAL_FAULTS": mark}
            quiet = subprocess.DEVNULL
            return subprocess.Popen(command, env=environment, stdout=quiet, stderr=quiet, start_new_session=True)

        clock = time.monotonic()
        assert begin(folder / "whole", "whole").wait() == 0
        duration = time.monotonic() - clock
        expected = results(folder / "whole")
        print(f"undisturbed: {duration:.1f} s, {len(expected)} results", flush=True)
        for number in range(asked.kills):
            out, mark = folder / "killed", f"killed-{number}-{os.getpid()}"
            shutil.rmtree(out, ignore_errors=True)
            process = begin(out, mark)
            moment = draw.uniform(0, duration)
            time.sleep(moment)
            over = process.poll() is not None
            process.send_signal(signal.SIGTERM if number % 2 else signal.SIGKILL)
            process.wait()
            code = begin(out, mark).wait()
            state = json.loads((out / "progress.json").read_text())
            same = code == 0 and results(out) == expected
            fine = same and state["done"] == state["wanted"]
            wrong += not fine
            early, late = early + (state["known"] == 0), late + over
            how = "SIGTERM" if number % 2 else "SIGKILL"
            told = f"{number + 1:>3}: {how} after {moment:5.1f} s; then computed {state['done']:>6,} tokens"
            print(told + ("" if fine else f"; WRONG: exit {code}, same {same}"), flush=True)
        until = time.monotonic() + LEFT_SECONDS
        while (left := left_over(f"-{os.getpid()}")) and time.monotonic() < until:
            time.sleep(1)
    print(f"{len(left)} processes of killed runs are left")
    print(
        f"{asked.kills - wrong} of {asked.kills} as undisturbed ({early} killed before the first batch, {late} after)"
    )
    print(
        json.dumps(
            {
                "executor": asked.executor,
                "kills": asked.kills,
                "wrong": wrong,
                "early": early,
                "late": late,
                "left": len(left),
            }
        )
    )
    return 1 if wrong or left else 0


if __name__ == "__main__":
    sys.exit(main())

"""Kill a run at random moments, continue it, and hold its results against those of an undisturbed one.

    python benchmarks/faults.py --executor process --kills 50

Each time the command is killed (SIGKILL, or SIGTERM every other time), with its workers left to themselves, and the
same command is run to the end. The moment is drawn from the whole duration for one half of the kills, and from the time
after the first batch for the other, because much of a short run is its start. The results must be those of the
undisturbed run but for seconds, exactly what the journal lacked must be computed, and no process may be left in the
end. The last line is JSON; exit code 1 where something of that does not hold.
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


def state(folder: Path) -> dict[str, Any]:
    """How far the run in a folder is."""
    try:
        return dict(json.loads((folder / "progress.json").read_text()))
    except OSError:
        return {"known": 0, "done": 0, "wanted": 0}


def first_batch(folder: Path, process: subprocess.Popen[bytes]) -> None:
    """Wait until a run has computed something, or has ended."""
    while process.poll() is None and not state(folder)["done"]:
        time.sleep(0.1)


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
        process = begin(folder / "whole", "whole")
        first_batch(folder / "whole", process)
        start = time.monotonic() - clock
        assert process.wait() == 0
        duration = time.monotonic() - clock
        expected = results(folder / "whole")
        whole = f"undisturbed: {duration:.1f} s, the first batch after {start:.1f}; {len(expected)} results"
        print(whole, flush=True)
        for number in range(asked.kills):
            out, mark = folder / "killed", f"killed-{number}-{os.getpid()}"
            shutil.rmtree(out, ignore_errors=True)
            clock = time.monotonic()
            process = begin(out, mark)
            if number % 4 < 2:
                time.sleep(draw.uniform(0, duration))
            else:
                first_batch(out, process)
                time.sleep(draw.uniform(0, duration - start))
            moment = time.monotonic() - clock
            over = process.poll() is not None
            process.send_signal(signal.SIGTERM if number % 2 else signal.SIGKILL)
            process.wait()
            code = begin(out, mark).wait()
            found = state(out)
            same = code == 0 and results(out) == expected
            fine = same and found["done"] == found["wanted"]
            wrong += not fine
            early, late = early + (found["known"] == 0 and not over), late + over
            how = "SIGTERM" if number % 2 else "SIGKILL"
            told = f"{number + 1:>3}: {how} after {moment:5.1f} s; then computed {found['done']:>6,} tokens"
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

"""The results of all executors on the whole nano suite, value by value.

    python benchmarks/same.py --limit 100 --shots 0,5

`inline`; `process` with two workers; `folder` with two workers and `ray` on two nodes of this machine, of which one is
killed in the middle. Whole commands, without the shared cache. The last line is JSON; exit code 1 where anything but
seconds differs.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

GPTEVAL = [sys.executable, "-m", "gpteval"]


def rows(folder: Path) -> list[dict[str, Any]]:
    """The results but for what they took."""
    found = json.loads((folder / "results.json").read_text())["results"]
    return [{key: value for key, value in row.items() if key != "seconds"} for row in found]


def run(out: Path, options: list[str], halfway: Callable[[], None] | None = None) -> tuple[list[dict[str, Any]], float]:
    """The results of a command, and its seconds; ``halfway`` is called when half of its units are done."""
    begin = time.monotonic()
    process = subprocess.Popen(
        [*GPTEVAL, "run", *options, "--out", str(out)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    while process.poll() is None:
        time.sleep(0.1)
        if halfway and (out / "progress.json").exists():
            state = json.loads((out / "progress.json").read_text())
            if state["finished"] * 2 > state["units"]:
                halfway()
                halfway = None
    assert process.returncode == 0, f"exit code {process.returncode}"
    assert halfway is None, "it was over before anything could be killed"
    return rows(out), time.monotonic() - begin


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", default="nano")
    parser.add_argument("--tasks", default="nano")
    parser.add_argument("--limit", default="100")
    parser.add_argument("--shots", default="0,5")
    asked = parser.parse_args()
    common = ["--models", asked.models, "--tasks", asked.tasks, "--limit", asked.limit, "--shots", asked.shots]
    common += ["--device", "cpu", "--no-cache", "--no-report", "--executor"]
    found: dict[str, list[dict[str, Any]]] = {}
    seconds: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as name:

        def measure(way: str, options: list[str], halfway: Callable[[], None] | None = None) -> None:
            found[way], seconds[way] = run(Path(name) / way, [*common, *options], halfway)
            differing = sum(row not in found["inline"] for row in found[way])
            print(f"{way}: {len(found[way])} results, {differing} differ, {seconds[way]:.1f} s", flush=True)

        measure("inline", ["inline"])
        measure("process", ["process", "--workers", "2"])
        worker = [*GPTEVAL, "worker", str(Path(name) / "folder"), "--device", "cpu"]
        workers = [subprocess.Popen(worker, stderr=subprocess.DEVNULL) for _ in range(2)]
        measure("folder", ["folder", "--workers", "2"], workers[0].kill)
        assert [one.wait() for one in workers] == [-9, 0]

        os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
        from ray.cluster_utils import Cluster

        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
        second = cluster.add_node(num_cpus=1)
        measure("ray", ["ray", "--ray-address", cluster.address], partial(cluster.remove_node, second, False))
        cluster.shutdown()
    same = all(one == found["inline"] for one in found.values())
    print(json.dumps({"results": len(found["inline"]), "same": same, "seconds": seconds}))
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())

"""A large report: how long it takes to make, how much memory, how large it is, and how long a reader waits for it.

``python benchmarks/large_report.py [--models 20] [--tasks 20] [--items 1000] [--samples 20|all]`` makes a run's files
with simulated answers to questions of four choices, makes the report of it as ``gpteval report`` does, and reads it in
headless Chromium. ``--page FILE`` reads a report that is there instead, at this machine's speed and at a quarter of it.
The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet

sys.path.insert(0, str(Path(__file__).parents[1]))  # run folders are made as the tests make them
from tests.browsing import FLAGS
from tests.made_runs import make_run, scores
from tests.report_runs import items_of

WORDS = [
    "the",
    "of",
    "a",
    "river",
    "town",
    "winter",
    "letter",
    "road",
    "seven",
    "green",
    "old",
    "answer",
    "house",
    "under",
    "never",
    "where",
    "light",
    "people",
    "year",
]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    for name, default in (("models", 20), ("tasks", 20), ("items", 1000)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--samples", default="20")
    parser.add_argument("--page", type=Path)
    asked = parser.parse_args()
    if asked.page is not None:
        found = {"usable": usable(asked.page, 1), "usable_at_a_quarter": usable(asked.page, 4)}
        print(json.dumps(found | {"megabytes_of_file": asked.page.stat().st_size / 1e6}))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        run = made(Path(folder) / "run", asked.models, asked.tasks, asked.items)
        page = Path(folder) / "report.html"
        command = [sys.executable, "-m", "gpteval", "report", str(run), "--out", str(page)]
        begin = time.perf_counter()
        subprocess.run([*command, "--samples-in-report", asked.samples], check=True, stdout=subprocess.DEVNULL)
        found: dict[str, Any] = {"seconds": time.perf_counter() - begin}
        found["gigabytes"] = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
        found["megabytes_of_file"] = page.stat().st_size / 1e6
        found |= read(page)
    print(", ".join(f"{name} {value:.2f}" for name, value in found.items()))
    print(json.dumps(found))
    return 0


def made(folder: Path, models: int, tasks: int, items: int) -> Path:
    """A run's files; every item has a prompt and four choices of its own."""
    answers, right = {}, {}
    for model in range(models):
        for task in range(tasks):
            drawn = np.random.default_rng(100 * task + model).random(items) < 0.4 + model / (3 * models)
            right[model, task], answers[f"m{model}", f"t{task}"] = drawn, scores(drawn.astype(float))
    generations = {f"m{n}": (f"gpt{1 + n % 3}", 10**8 * (n + 1)) for n in range(models)}
    chance = {f"t{n}": 0.25 for n in range(tasks)}
    run = make_run(folder, answers, generations=generations, chance=dict(chance))
    for entry in json.loads((run / "manifest.json").read_text())["samples"]:
        model, task = int(entry["model"][1:]), int(entry["task"][1:])
        words = np.random.default_rng(task)  # the same questions for every model
        noise = np.random.default_rng(1000 * model + task)
        rows = pyarrow.parquet.read_table(run / entry["file"]).to_pylist()
        for row, is_right in zip(rows, right[model, task], strict=True):
            row["prompt"] = f"Question: {' '.join(words.choice(WORDS, 30))}?\nAnswer:"
            row["choices"] = [f" {' '.join(words.choice(WORDS, 3))}" for _ in range(4)]
            row["gold"] = int(words.integers(4))
            row["prediction"] = row["gold"] if is_right else (row["gold"] + 1) % 4
            row["logprobs"] = (-10 * noise.random(4)).tolist()
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), run / entry["file"])
    return run


def read(page: Path) -> dict[str, float]:
    """Seconds until the leaderboard answers to a filter, until a task's items are there, and until one is found."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        return {}
    from playwright.sync_api import sync_playwright

    last = items_of(page)["t3-0"]["items"][-1]["id"]
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium, args=FLAGS.split())
        tab = browser.new_context(offline=True).new_page()
        begin = time.perf_counter()
        tab.goto(page.as_uri(), wait_until="commit")
        tab.wait_for_selector("html.js #only")
        tab.locator("#only").fill("m1")
        tab.wait_for_selector("#shown:not(:empty)")
        usable = time.perf_counter()
        tab.evaluate("location.hash = 'task=t3-0'")
        tab.wait_for_selector(".task.active article")
        opened = time.perf_counter()
        search = tab.locator(".task.active input[type=search]").first
        search.fill(last)
        tab.locator(".task.active article code", has_text=re.compile(f"^{last}$")).first.wait_for()
        searched = time.perf_counter()
        browser.close()
    return {"usable": usable - begin, "items_opened": opened - usable, "item_found": searched - opened}


def usable(page: Path, slower: int) -> float:
    """Seconds until the leaderboard answers to a filter, the middle of five, in a browser so many times slower."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS.split())
        waited = []
        for _ in range(5):
            tab = browser.new_context(offline=True).new_page()
            tab.context.new_cdp_session(tab).send("Emulation.setCPUThrottlingRate", {"rate": slower})
            begin = time.perf_counter()
            tab.goto(page.as_uri(), wait_until="commit")
            tab.wait_for_selector("html.js #only")
            tab.locator("#only").fill("gpt")
            tab.wait_for_selector("#shown:not(:empty)")
            waited.append(time.perf_counter() - begin)
            tab.context.close()
        browser.close()
    return sorted(waited)[2]


if __name__ == "__main__":
    sys.exit(main())

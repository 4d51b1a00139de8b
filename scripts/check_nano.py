"""Whether the embedded family shows what it is made to show: runs it whole, prints each promise with its figure.

``python scripts/check_nano.py [folder]``, about four minutes on two cores. Exit code 1 when one is broken.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from gpteval.metrics.named import metric_registry
from gpteval.models.embedded import nano_models
from gpteval.stats.evidence import of_pair
from gpteval.stats.jackknife import pseudo_values
from gpteval.store.documents import sample_file

STEPS = ("gpt1-nano", "gpt2-nano", "gpt3-nano")
LARGEST = "gpt3-nano-medium"
WITHIN = (("gpt2-nano", "gpt2-nano-medium"), ("gpt3-nano", "gpt3-nano-medium"))  # one generation, two sizes
Found = dict[tuple[str, str, int], dict[str, Any]]


def run(folder: Path, cache: str, tasks: str, shots: str) -> float:
    """Seconds of one command on an empty cache."""
    begin = time.monotonic()
    command = ["gpteval", "run", "--models", "nano", "--tasks", tasks, "--shots", shots, "--out", str(folder)]
    done = subprocess.run(
        [str(Path(sys.executable).with_name(command[0])), *command[1:]],
        env={**os.environ, "GPTEVAL_CACHE": cache, "HF_HUB_OFFLINE": "1"},
        stdout=subprocess.DEVNULL,
        check=False,
    )
    if done.returncode:
        sys.exit(f"{' '.join(command)} ended with {done.returncode}")
    return time.monotonic() - begin


def score(row: dict[str, Any]) -> float:
    """From 0 (guessing, or nothing right) to 1."""
    value, chance = row["value"], row["chance"] or 0.0
    if row["metric"] in ("bleu", "chrf"):
        return float(value) / 100
    return float((value - chance) / (1 - chance))


def paired(folder: Path, older: dict[str, Any], newer: dict[str, Any]) -> float:
    """Two-sided p-value of the difference over the same items."""
    metric = metric_registry()[newer["metric"]]
    values = []
    for row, turned in ((newer, False), (older, True)):
        samples = pq.read_table(folder / sample_file(row["model"], row["task"], row["shots"])).sort_by("item_id")
        stats = np.array([json.loads(text)[metric.name] for text in samples["stats"].to_pylist()], dtype=float)
        values.append(pseudo_values(metric, stats, turned=turned))
    return of_pair(newer["task"], *values).p


def check(folder: Path, seconds: float) -> list[tuple[bool, str]]:
    """What the family should show, each with whether the run in ``folder`` shows it. ``seconds``: what the run took."""
    rows = json.loads((folder / "results.json").read_text(encoding="utf-8"))["results"]
    found: Found = {(r["model"], r["task"], r["shots"]): r for r in rows if r["primary"]}
    tasks = list(dict.fromkeys(task for _, task, _ in found))
    asked = [task for task in tasks if task not in ("nano_prose", "nano_rule")]
    said = [(seconds < 180, f"--shots 0,5 in {seconds:.0f} s")]
    expected = {(m, t, s) for m in nano_models() for t in tasks for s in (0, 5) if t != "nano_prose" or s == 0}
    said.append((expected <= set(found), f"{len(expected & set(found))} of {len(expected)} rows"))
    for shots in (0, 5):
        means = [fmean(score(found[m, t, shots]) for t in asked) for m in STEPS]
        text = ", ".join(f"{model} {100 * mean:.1f}" for model, mean in zip(STEPS, means, strict=True))
        said.append((means == sorted(means), f"mean score at {shots} shots: {text}"))
    prose = [found[m, "nano_prose", 0]["value"] for m in STEPS]
    said.append((prose == sorted(prose, reverse=True), f"bits per byte: {', '.join(f'{v:.3f}' for v in prose)}"))
    for older, newer in pairwise(STEPS):
        for shots in (0, 5):
            better = []
            for task in tasks:
                at = 0 if task == "nano_prose" else shots
                a, b = found[older, task, at], found[newer, task, at]
                gain = b["value"] - a["value"] if task != "nano_prose" else a["value"] - b["value"]
                if gain > 0 and paired(folder, a, b) < 0.05:
                    better.append(task.removeprefix("nano_"))
            text = f"{newer} beats {older} at {shots} shots, p < 0.05, on {len(better)} of {len(tasks)}: "
            said.append((len(better) >= len(tasks) / 2, text + ", ".join(better)))
    said += headroom(found, tasks)
    for task in asked:
        row = found["gpt3-nano", task, 0]
        if row["chance"] is not None or row["metric"] == "acc_greedy":
            above, error = row["value"] - (row["chance"] or 0.0), row["stderr"]  # the error is 0 where all are right
            text = f"gpt3-nano on {task}, 0 shots: {above:.3f} above chance, standard error {error:.3f}"
            said.append((above > 0 and above >= 10 * error, text))
    for task, least in (("nano_en_fr", 25), ("nano_summary", 0.4)):
        value = found["gpt3-nano", task, 0]["value"]
        said.append((value >= least, f"gpt3-nano on {task}, 0 shots: {value:.3g}, promised {least}"))
    for model in nano_models():
        row = found[model, "nano_rule", 0]
        away = abs(row["value"] - row["chance"]) / row["stderr"]
        said.append((away <= 2, f"{model} on nano_rule, 0 shots: {row['value']:.3f}, {away:.1f} errors from chance"))
    gains = {m: found[m, "nano_rule", 8]["value"] - found[m, "nano_rule", 8]["chance"] for m in nano_models()}
    for small, large in (("gpt1-nano", "gpt2-nano-medium"), *WITHIN):
        text = f"nano_rule, 8 shots, above chance: {small} {gains[small]:+.3f}, {large} {gains[large]:+.3f}"
        said.append((gains[large] > gains[small], text))
    value = found[LARGEST, "nano_rule", 8]["value"]
    said.append((value >= 0.8, f"{LARGEST} on nano_rule, 8 shots: {value:.3f}"))
    helped = [t for t in asked if found[LARGEST, t, 5]["value"] > found[LARGEST, t, 0]["value"]]
    names = ", ".join(t.removeprefix("nano_") for t in helped)
    said.append((len(helped) >= len(asked) / 2, f"5 shots help {LARGEST} on {len(helped)} of {len(asked)}: {names}"))
    return said


def headroom(found: Found, tasks: list[str]) -> list[tuple[bool, str]]:
    """The larger model of a generation is better, the largest has room above it, the smallest is no guesser."""
    said = []
    for small, large in WITHIN:
        bits = found[small, "nano_prose", 0]["value"] > found[large, "nano_prose", 0]["value"]
        wins = [t for t in tasks if t != "nano_prose" and score(found[large, t, 5]) > score(found[small, t, 5])]
        text = f"{large} is above {small} at 5 shots on {len(wins) + bits} of {len(tasks)}"
        said.append((len(wins) + bits > len(tasks) / 2, text))
    for task in (t for t in tasks if t != "nano_prose"):
        perfect = [m for m in nano_models() if score(found[m, task, 0]) == 1]
        if len(perfect) > 1:
            said.append((False, f"{task} is at 100 % for {', '.join(perfect)}"))
        value = found[LARGEST, task, 5]["value"] / (100 if found[LARGEST, task, 5]["metric"] == "bleu" else 1)
        said.append((0.6 <= value <= 0.95, f"{LARGEST} on {task}, 5 shots: {value:.3f}, promised 0.6 to 0.95"))
    rows = {t: found["gpt1-nano", t, 0] for t in tasks if t != "nano_prose"}
    above = [t for t, row in rows.items() if row["value"] - (row["chance"] or 0) > 2 * (row["stderr"] or 0)]
    said.append((len(above) >= len(tasks) / 2, f"gpt1-nano is above chance on {len(above)} of {len(tasks)}"))
    return said


def main() -> int:
    """Run the family, or read the run that is named, print each statement, and return the exit code."""
    with tempfile.TemporaryDirectory() as cache:
        folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(cache) / "run"
        seconds = run(folder, cache, "nano", "0,5")
        run(folder, cache, "nano_rule", "8")
        said = check(folder, seconds)
    for kept, text in said:
        print("kept  " if kept else "BROKEN", text)
    return 0 if all(kept for kept, _ in said) else 1


if __name__ == "__main__":
    sys.exit(main())

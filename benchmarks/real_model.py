"""gpteval on a real pretrained model, beside what its model card says.

    GPTEVAL_DATA=... python benchmarks/real_model.py FOLDER

FOLDER holds Gemma 3 270M (base), not a GPT model and no part of the project: it is there because real numbers need a
model that has read something. Each of the card's tasks whose data are in GPTEVAL_DATA is run; the table says whether
the published number lies in the interval, widened by two points. The last line is JSON. Exit code 1 when one does not.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from gpteval import evaluate

# Task, examples, metric, and the model card's number in percent.
CARD = (
    ("piqa", 0, "acc", 67.7),
    ("arc_easy", 0, "acc", 57.7),
    ("boolq", 0, "acc", 61.4),
    ("triviaqa", 5, "exact_match", 15.4),
)
POINTS = 2.0  # beyond the interval, for another prompt and for weights of fewer bits


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--limit", type=int, help="items a task")
    parser.add_argument("--tasks", default="", help="some of the card's tasks")
    parser.add_argument("--out", type=Path, default=Path("runs/real-model"))
    asked = parser.parse_args()
    wanted = [name for name in asked.tasks.split(",") if name]
    found = []
    print(f"{'task':<12} {'shots':>5} {'metric':<12} {'items':>6} {'measured':>9} {'interval':>14} {'card':>6}")
    for task, shots, _, card in CARD:
        if wanted and task not in wanted:
            continue
        outcome = evaluate(str(asked.folder), task, shots=shots, limit=asked.limit, out=asked.out, dtype="float32")
        for failure in outcome.failures:
            print(f"{task:<12} {shots:>5} not run: {failure.error.splitlines()[0]}")
        for result in outcome.results:
            low, high = 100 * (result.ci_low or 0.0), 100 * (result.ci_high or 1.0)
            row = {"task": task, "shots": shots, "metric": result.metric, "n": result.n, "value": 100 * result.value}
            row |= {"low": low, "high": high, "card": card, "primary": result.primary}
            row["near"] = low - POINTS <= card <= high + POINTS
            found.append(row)
            print(
                f"{task:<12} {shots:>5} {result.metric:<12} {result.n:>6} {row['value']:>9.1f} "
                f"{low:>6.1f} to {high:>4.1f} {card:>6}{'' if row['near'] else '  outside'}",
                flush=True,
            )
    print(json.dumps(found))
    by_card = {(task, metric) for task, _, metric, _ in CARD}
    return int(not all(row["near"] for row in found if (row["task"], row["metric"]) in by_card))


if __name__ == "__main__":
    sys.exit(main())

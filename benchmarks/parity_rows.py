"""Invented rows for parity.py, in the layout of the Hub, of tasks whose data are not at hand.

    python benchmarks/parity_rows.py FOLDER
    GPTEVAL_DATA=FOLDER python benchmarks/parity.py --shots 0,2 --limit 5

The rows are those of the golden prompts in tests/, six of each task, with the columns that the data sets have.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from gpteval.data.sources import HubSource
from gpteval.tasks.profiles import LM_EVAL
from gpteval.tasks.registry import task_registry
from tests.data.test_hub_layout import ROWS
from tests.tasks.golden import TASKS, row_of

VARIED = ("premise", "hypothesis", "sentence", "sentence2", "question", "question2", "passage", "ctx_a", "support")
COUNT = 6


def varied(row: Mapping[str, Any], number: int) -> dict[str, Any]:
    """The row with a number, and its first text changed, so that rows differ."""
    name = next((name for name in VARIED if isinstance(row.get(name), str)), None)
    text = {} if name is None else {name: f"No {number}: {row[name]}"}
    return {**row, **text, "idx": number}


def main() -> int:
    (folder,) = map(Path, sys.argv[1:])
    for task in task_registry().values():
        known = task.under(LM_EVAL)
        if known is None or not isinstance(known.source, HubSource) or known.source != task.source:
            continue
        if task.name in ROWS:
            rows = ROWS[task.name][2]
        elif task.name in TASKS:
            rows = [varied(row_of(task.name), number) for number in range(COUNT)]
        else:
            continue
        for split in {known.source.split, "train"}:
            path = folder / known.source.dataset / known.source.config / f"{split}.jsonl"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        print(task.name)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Drawing few-shot examples from a large pool: seconds and memory.

    python benchmarks/pool.py --rows 1000000

Writes a test split of 1,000 rows and a pool of --rows, as JSON lines and as Parquet, and for each loads a task and
builds its prompts with 5 examples an item. Seconds and the growth of the process's peak memory are those of loading
and drawing, in a process of its own. The last line is JSON. Exit code 1 beyond 2 s or 300 MB.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from gpteval.core.types import Choice, Item
from gpteval.data.sources import FileSource
from gpteval.prompts.build import build_prompts, load_task
from gpteval.tasks.task import Task

TEST = 1000
SENTENCE = "it 's a charming and often affecting journey that number {} of its kind has not made before"


def prompt(item: Item) -> Choice:
    return Choice(f"{item['sentence']}\nAnswer:", [" no", " yes"], item["label"])


def draw(folder: Path, kind: str) -> dict[str, Any]:
    """Seconds and MB of loading the task and building its prompts."""
    import pyarrow.parquet  # as numpy and the modules above, not part of the pool  # noqa: F401

    source = FileSource(str(folder / f"test.{kind}"), {"train": str(folder / f"train.{kind}")})
    task = Task("sentiment", "classification", source, prompt, "acc", shots_from="train")
    before, begin = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
    prompts = build_prompts(load_task(task, shots=5), shots=5)
    seconds = time.perf_counter() - begin
    assert len(prompts) == TEST
    assert len({p.examples for p in prompts}) == TEST
    return {"kind": kind, "seconds": seconds, "mb": (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1e3}


def write(folder: Path, rows: int) -> None:
    import pyarrow
    import pyarrow.parquet

    for split, count, offset in (("test", TEST, rows), ("train", rows, 0)):
        made = [{"sentence": SENTENCE.format(n + offset), "label": n % 2} for n in range(count)]
        (folder / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in made))
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(made), folder / f"{split}.parquet")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--write", metavar="FOLDER", help=argparse.SUPPRESS)
    parser.add_argument("--draw", nargs=2, metavar=("FOLDER", "KIND"), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.write:
        write(Path(asked.write), asked.rows)
        return 0
    if asked.draw:
        print(json.dumps(draw(Path(asked.draw[0]), asked.draw[1])))
        return 0
    found = []
    with tempfile.TemporaryDirectory() as scratch:
        # a process starts with its parent's peak: this one must stay small
        subprocess.run([sys.executable, __file__, "--write", scratch, "--rows", str(asked.rows)], check=True)
        for kind in ("jsonl", "parquet"):
            command = [sys.executable, __file__, "--draw", scratch, kind]
            found.append(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
            print("{kind:<8} {seconds:6.2f} s {mb:6.0f} MB".format(**found[-1]))
    print(json.dumps({"rows": asked.rows, "found": found}))
    return int(any(one["seconds"] > 2 or one["mb"] > 300 for one in found))


if __name__ == "__main__":
    sys.exit(main())

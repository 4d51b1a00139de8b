"""People's own files, read by gpteval and by the library ``datasets``: values, messages, time.

``python benchmarks/local_files.py [--rows 200000]`` prints a line for each odd file, and the seconds that each takes
for a JSONL and a CSV of so many rows until all have been seen once, nothing of them in a cache.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets

from gpteval.core.errors import DataError
from gpteval.data.files import read_file

ODD: dict[str, bytes] = {
    "zip.csv": b"zip,label\n00501,1\n90210,\n",
    "missing.csv": b"text,label\nNA,1\nnull,0\n",
    "short.csv": b"text,label\nyes,1\nno\n",
    "other.jsonl": b'{"a": "x"}\n{"b": [1, "y"]}\n',
    "kinds.jsonl": b'{"a": 1}\n{"a": "one"}\n',
    "day.jsonl": b'{"a": "2020-01-01T00:00:00"}\n',
    "broken.jsonl": b'{"a": 1}\n{"a": \n{"a": 3}\n',
    "latin.jsonl": '{"a": "é"}\n'.encode("latin-1"),
    "twice.jsonl": b'{"a": 1, "a": 2}\n',
    "large.jsonl": b'{"a": 123456789012345678901234567890}\n',
}
SUFFIXES = {".csv": "csv", ".jsonl": "json"}


def ours(path: Path, _: Path) -> list[Any]:
    return list(read_file(path, path.name)[0])


def theirs(path: Path, cache: Path) -> list[Any]:
    return list(
        datasets.load_dataset(
            SUFFIXES[path.suffix], data_files=str(path), split="train", cache_dir=str(cache), keep_in_memory=True
        )
    )


def told(read: Callable[[Path, Path], list[Any]], path: Path, cache: Path) -> str:
    try:
        return f"reads {json.dumps(read(path, cache), default=str)}"
    except (DataError, Exception) as error:
        return f"{type(error).__name__}: {' '.join(str(error).split())[:150]}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=200_000)
    rows = parser.parse_args().rows
    datasets.disable_progress_bars()
    datasets.utils.logging.set_verbosity(datasets.utils.logging.CRITICAL)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for odd, content in ODD.items():
            (folder / odd).write_bytes(content)
            print(f"{odd}\n  gpteval:  {told(ours, folder / odd, folder / 'c')}")
            print(f"  datasets: {told(theirs, folder / odd, folder / 'c')}")
        texts = [f"a text of some words, number {n}, as a question might be" for n in range(rows)]
        (folder / "many.jsonl").write_text("".join(json.dumps({"text": t, "label": 1}) + "\n" for t in texts))
        (folder / "many.csv").write_text("text,label\n" + "".join(f'"{t}",1\n' for t in texts))
        for many in ("many.jsonl", "many.csv"):
            took = {}
            for who, read in (("gpteval", ours), ("datasets", theirs)):
                begin = time.perf_counter()
                assert len(read(folder / many, folder / "c")) == rows
                took[who] = time.perf_counter() - begin
            print(f"{many}: gpteval {took['gpteval']:.2f} s, datasets {took['datasets']:.2f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())

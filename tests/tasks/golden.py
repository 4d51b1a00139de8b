"""What the shipped tasks ask of a row: a page of requests (golden_requests.txt), to be read when it changes.

``python -m tests.tasks.golden`` writes it anew, from the invented rows of golden_rows.jsonl: in the Hub's columns,
those that no prompt needs included. A new task gets a row there.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, fields, replace
from pathlib import Path
from typing import Any

from gpteval.core.types import Choice, Request
from gpteval.prompts.items import all_items
from gpteval.tasks.registry import GENERATED_SUITE, task_registry, task_suites

PAGE = Path(__file__).with_name("golden_requests.txt")
TASKS = {task.name: task for task in task_registry().values() if GENERATED_SUITE not in task.suites}
ALIKE = {"mmlu": "mmlu_us_foreign_policy", "arithmetic": "arithmetic_2da", "unscramble": "unscramble_reversed_words"}
ROWS: list[tuple[str, dict[str, Any]]] = [
    (line["task"], line["row"])
    for line in map(json.loads, Path(__file__).with_name("golden_rows.jsonl").read_text(encoding="utf-8").splitlines())
]


def row_of(name: str) -> dict[str, Any]:
    """The first row of a task, or of the one that is alike."""
    alike = {task.name: one for suite, one in ALIKE.items() for task in task_suites(task_registry())[suite]}
    return next(row for golden, row in ROWS if golden in (name, alike.get(name)))


def request(name: str, row: Mapping[str, Any]) -> Request:
    task = TASKS[name]
    (item,) = all_items(replace(task, prepare=None), [row])
    return task.prompt(item)


def page() -> str:
    return "\n".join(line for name, row in ROWS for line in (f"== {name}", *_lines(name, request(name, row)), ""))


def _lines(name: str, asked: Request) -> Iterator[str]:
    """Each field that is not as by default; of the choices the right one with a star."""
    yield type(asked).__name__
    if preamble := TASKS[name].preamble:
        yield f"preamble: {preamble!r}"
    for field in fields(asked):
        value = getattr(asked, field.name)
        if isinstance(asked, Choice) and field.name == "continuations":
            yield from (f"{'*' if number == asked.gold else ' '} {text!r}" for number, text in enumerate(value))
        elif field.name != "gold" and (field.default is MISSING or value != field.default):
            yield f"{field.name}: {list(value) if isinstance(value, tuple) else value!r}"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    sys.stdout.write(page())

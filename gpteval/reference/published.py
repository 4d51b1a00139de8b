"""Published results with their sources: ``published.csv``."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path

# Tasks and groups whose results the file lists under other names.
ALIASES = {
    "lambada_openai": ("lambada_acc", "lambada_ppl"),
    "wikitext2": ("wikitext",),
    "crows_pairs": ("crows_pairs_english",),
    "truthfulqa_mc": ("truthfulqa_mc1",),
}


@dataclass(frozen=True)
class Published:
    """One row. ``shots`` is a number or a word (``finetuned``); ``value`` is in ``unit``; ``locator`` is the place in
    ``source``.
    """

    model: str
    task: str
    metric: str
    shots: str
    value: str
    unit: str
    split: str
    source: str
    locator: str
    notes: str

    @property
    def figure(self) -> str:
        """The value with its unit, for people."""
        return self.value if self.unit in ("", "none", "fraction") else f"{self.value} {self.unit}"

    @property
    def examples(self) -> str:
        return f"{self.shots} shots" if self.shots.isdigit() else self.shots


@cache
def published() -> tuple[Published, ...]:
    """Every row, in the file's order."""
    with (Path(__file__).parent / "published.csv").open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file)
        return tuple(Published(**{name: row[name] for name in Published.__dataclass_fields__}) for row in rows)


def published_for(task: str) -> list[Published]:
    """The rows about a task or a group of tasks."""
    names = {task, *ALIASES.get(task, ())}
    return [row for row in published() if row.task in names]

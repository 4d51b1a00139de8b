"""Tasks of numbered rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gpteval.core.types import Choice, Generate, Item, Prompt
from gpteval.data.lazy_rows import DataRow
from gpteval.data.sources import generated
from gpteval.prompts.build import build_prompts, load_task
from gpteval.tasks.task import PromptFunction, Task

Rows = list[dict[str, Any]]


def ask(item: Item) -> Generate:
    return Generate(f"Q: {item['n']}\nA:", [f"<{item['n']}>"])


def make(
    rows: Sequence[DataRow], pool: Sequence[DataRow] | None = None, prompt: PromptFunction = ask, **fields: Any
) -> Task:
    source = generated(lambda split: rows if split == "test" else (pool or []), revision="1")
    shots_from = None if pool is None else "train"
    return Task("numbers", "qa", source, prompt, "exact_match", shots_from=shots_from, **fields)


def numbered(*numbers: int) -> Rows:
    return [{"n": number} for number in numbers]


def prompts(task: Task, shots: int, limit: int | None = None, **options: Any) -> dict[str, Prompt]:
    data = load_task(task, shots=shots, limit=limit)
    return {prompt.item_id: prompt for prompt in build_prompts(data, shots=shots, **options)}


def halves(item: Item) -> Choice:
    return Choice(f"{item['n']}", [f" {item['word']}", " no"], gold=0)

"""``text:PATH`` as a task: the perplexity of a file of one's own."""

from __future__ import annotations

import re
from pathlib import Path

from gpteval.core.errors import UsageError
from gpteval.core.types import Item, Rolling
from gpteval.data.files import KINDS
from gpteval.data.sources import FileSource
from gpteval.tasks.task import Task

PREFIX = "text:"


def text_task(path: str) -> Task:
    """The task named ``text-`` and the file's stem: each row's column ``text`` is scored whole; a ``.txt`` is one text.

    Raises UsageError.
    """
    file = Path(path).expanduser()
    if not file.is_file():
        raise UsageError(f"{PREFIX}{path}: there is no such file", f"give a file of {', '.join(KINDS)}")
    stem = re.sub(r"[^A-Za-z0-9_.-]+", "-", file.name.partition(".")[0]).strip("-")

    def prompt(item: Item) -> Rolling:
        return Rolling(item["text"])

    return Task(
        name=f"text-{stem}",
        family="lm",
        source=FileSource(str(file.resolve())),
        prompt=prompt,
        metric="word_perplexity",
        metrics=("token_perplexity", "byte_perplexity", "bits_per_byte", "tokens_per_byte"),
        licence="your own",
        description=f"Perplexity of {file.name}.",
    )

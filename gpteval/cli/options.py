"""Options that several commands share, and what their texts mean."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from gpteval.cli.completion import complete_models
from gpteval.core.errors import UsageError
from gpteval.logs.log import PREFIX

Models = Annotated[
    list[str],
    typer.Option(
        help="names, Hub ids, folders, checkpoints, 'out/step-*', NAME@step1000,step8000 or NAME@steps (all), or nano; "
        "by commas, or given again",
        autocompletion=complete_models,
    ),
]
Templates = Annotated[str, typer.Option("--templates", "--template", help="which of the tasks' prompts: names, or all")]
Limit = Annotated[int | None, typer.Option(help="items a task: a subset that is nested in larger ones")]
Out = Annotated[Path | None, typer.Option(help="the run's folder; default: one under runs/ made from the command")]
BatchTokens = Annotated[str, typer.Option(help="padded tokens a batch, or auto")]
Device = Annotated[
    str, typer.Option(help="auto (CUDA, then MPS, then CPU), cpu, cuda, cuda:1, mps; spread over all GPUs")
]
TaskDir = Annotated[list[Path] | None, typer.Option(help="a folder of task files; may be repeated")]
Tokenizer = Annotated[
    str, typer.Option(help="folder or Hub id: of a checkpoint beside which none lies, and of completions: models")
]
Temperature = Annotated[
    float | None, typer.Option(min=0.0, help="0 is greedy; default: 1 where several texts are drawn, else 0")
]
ItemId = Annotated[str | None, typer.Option("--item", help="an item's id, or how that begins")]
Epochs = Annotated[int, typer.Option(help="passes over the examples")]
LearningRate = Annotated[float | None, typer.Option(help="default: 6.25e-5 for full, more for other methods")]
Json = Annotated[bool, typer.Option("--json", help="print one JSON document to stdout")]


def names(text: str) -> tuple[str, ...]:
    """What stands between commas."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def model_names(values: list[str]) -> tuple[str, ...]:
    """Names separated by commas; what exists as a folder or file is one name, commas and all.

    A step after a model's step is of that model: ``pythia-160m@step1000,step8000``.
    """
    found: list[str] = []
    for value in values:
        for name in (value,) if Path(value).exists() else names(value):
            if found and "@" in found[-1] and re.fullmatch(r"step\d+", name):
                found[-1] += f",{name}"
            else:
                found.append(name)
    return tuple(found)


def numbers(text: str | None) -> tuple[int, ...] | None:
    """``0,1,5`` as numbers. Raises UsageError."""
    if text is None:
        return None
    try:
        return tuple(int(part) for part in names(text)) or None
    except ValueError:
        raise UsageError(f"--shots takes numbers such as 0,1,5, not {text!r}") from None


def sizes(text: str) -> tuple[int | None, ...]:
    """Numbers of examples to train on; "all" is None. Raises UsageError."""
    try:
        return tuple(dict.fromkeys(None if part == "all" else int(part) for part in names(text)))
    except ValueError:
        raise UsageError(f"--examples takes numbers and all, such as 8,32,all, not {text!r}") from None


def batch_tokens_of(text: str) -> int | None:
    """``auto`` or a number. Raises UsageError."""
    if text != "auto" and not (text.isascii() and text.isdigit()):
        raise UsageError(f"--batch-tokens takes auto or a number, not {text!r}")
    return None if text == "auto" else int(text)


def task_names(text: str) -> tuple[str, ...]:
    """Names separated by commas; the path of a log may hold some itself, as HELM's do."""
    found: list[str] = []
    for part in names(text):
        before = found[-1] if found else ""
        if before.startswith(PREFIX) and not Path(before.removeprefix(PREFIX)).expanduser().exists():
            found[-1] = f"{before},{part}"
        else:
            found.append(part)
    return tuple(found)

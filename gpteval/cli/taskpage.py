"""``gpteval tasks NAME``: all about one task."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from gpteval.cli.console import document_only, say
from gpteval.core.errors import GptevalError
from gpteval.core.strict import strict_json
from gpteval.core.types import Choice, Generate, Prompt
from gpteval.prompts.build import TaskData, build_prompts, load_task
from gpteval.reference.published import published_for
from gpteval.tasks.groups import GROUPS
from gpteval.tasks.registry import select_tasks, task_registry, task_suites
from gpteval.tasks.task import Task

ROWS = 15  # published results that are shown
LONG = 1500  # characters of a prompt


def show_task(name: str, folders: tuple[Path, ...], as_json: bool) -> None:
    """Print all about a task, or the members of a group, suite or family. Raises UnknownNameError."""
    with document_only(as_json):
        registry = task_registry(folders)
        tasks = select_tasks(registry, [name])
        if len(tasks) == 1:
            (task,) = tasks
            suites = sorted(suite for suite, members in task_suites(registry).items() if task in members)
            data: TaskData | GptevalError
            try:
                data = load_task(task)
            except GptevalError as error:
                data = error
    if len(tasks) > 1:
        _several(name, tasks, as_json)
        return
    facts = _facts(task, suites)
    rows = published_for(task.name)
    if as_json:
        size = len(data.items) if isinstance(data, TaskData) else None
        document = facts | {"items": size, "published": [asdict(row) for row in rows]}
        say(strict_json(document, 1))
        return
    say(f"{task.label}: {task.description}\n")
    for key, value in facts.items():
        if value not in ("", []):
            say(f"{key + ':':<15} {value if isinstance(value, str | int) else ', '.join(value)}")
    if isinstance(data, TaskData):
        say(f"{'items:':<15} {len(data.items):,} ({data.revision})\n")
        _item(build_prompts(data)[0])
    else:
        say(f"\nIts data are not here: {data}")
    _published(task.name)


def _several(name: str, tasks: list[Task], as_json: bool) -> None:
    """The page of a group, a suite or a family."""
    if as_json:
        say(strict_json([task.label for task in tasks]))
        return
    group = GROUPS.get(name)
    if group is None:
        say(f"{name}: {len(tasks)} tasks\n")
    else:
        metric = group.metric or tasks[0].metric
        say(f"{name}: {group.description}\n")
        say(f"One {metric} with an interval from all items, once all {len(tasks)} tasks have run:")
    for task in tasks:
        say(f"  {task.label:<40} {task.metric:<18} {task.source.label}")
    if group is not None:
        _published(name)


def _facts(task: Task, suites: list[str]) -> dict[str, Any]:
    return {
        "family": task.family,
        "suites": suites,
        "source": task.source.label,
        "licence": task.licence,
        "metrics": list(task.all_metrics),
        "default shots": task.shots,
        "examples from": task.shots_from or "the same split",
        "cluster": task.cluster or "",
        "templates": list(task.templates),
        "profiles": list(task.variants),
        "version": task.version,
    }


def _item(prompt: Prompt) -> None:
    text = prompt.text()
    say(f"--- the first item, {prompt.item_id}")
    say(text if len(text) <= LONG else f"{text[:LONG]} … ({len(text):,} characters)")
    request = prompt.request
    if isinstance(request, Choice):
        for number, answer in enumerate(request.answers[:8]):
            say(f"{'*' if number == request.gold else ' '} {answer!r}")
        if len(request.answers) > 8:
            say(f"  and {len(request.answers) - 8} more; the right one is {request.answer!r}")
    elif isinstance(request, Generate):
        say(f"until {', '.join(map(repr, request.stop))} or {request.max_new_tokens} tokens; right: {request.answer!r}")


def _published(name: str) -> None:
    """The first of the published results of a task or group."""
    rows = published_for(name)
    if not rows:
        say("\nNo published results of it are in gpteval/reference.")
        return
    say(f"\n--- published, {min(len(rows), ROWS)} of {len(rows)} (all: gpteval reference --task {name})")
    for row in rows[:ROWS]:
        say(f"{row.model:<22} {row.metric:<14} {row.examples:<12} {row.figure:<16} {row.source}, {row.locator}")

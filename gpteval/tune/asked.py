"""How a task asks, by a few of its items: whether it is the one that a model was tuned for, or another of its name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gpteval.core.errors import DataError, TaskError
from gpteval.core.types import Choice, Item, Prompt, digest
from gpteval.prompts.build import TaskData, build_prompts, usable_items
from gpteval.prompts.items import all_items, subset
from gpteval.prompts.requests import Requests
from gpteval.tasks.task import Task

HELD = 16  # items of the evaluated split


def asked_of(task: Task) -> dict[str, Any]:
    """``items``: by their ids, digests of what some items of the evaluated split are asked and of what is right.
    ``forms``: digests of their prompts without what comes from the rows. Nothing where they cannot be asked, as where
    they have no labels. Raises DataError.
    """
    requests = Requests()
    chosen = subset(all_items(task, task.source.load().rows), HELD, 0)
    try:
        items, _ = usable_items(task, chosen, 1.0, requests)
    except DataError:
        raise
    except TaskError:
        return {}
    prompts = build_prompts(TaskData(task, items, (), "", requests=requests))
    forms = {_form(item, prompt) for item, prompt in zip(items, prompts, strict=True)}
    return {"items": {prompt.item_id: _asked(prompt) for prompt in prompts}, "forms": sorted(forms)}


def asks_alike(task: Task, asked: Mapping[str, Any]) -> bool:
    """Whether a task asks as ``asked_of`` said: the same items the same, or other items in the same form. Of a folder
    that says nothing it does.
    """
    if not asked:
        return True
    now = asked_of(task) or {"items": {}, "forms": []}
    common = now["items"].keys() & asked["items"].keys()
    if common:
        return all(now["items"][item] == asked["items"][item] for item in common)
    return not set(now["forms"]).isdisjoint(asked["forms"])


def _asked(prompt: Prompt) -> str:
    request = prompt.request
    parts = (list(request.parts), request.similar) if isinstance(request, Choice) else ()
    return digest(prompt.hash, request.answer, *parts)


def _form(item: Item, prompt: Prompt) -> str:
    values = sorted((value for value in item.fields.values() if isinstance(value, str) and value), key=len)
    text = prompt.text()
    for value in reversed(values):
        text = text.replace(value, "\0")
    return digest(text)

"""What a task's items were asked and judged by, as digests: a prompt function that was edited without a new version
shows in them.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping

from gpteval.core.types import Choice, Generate, Prompt, Request, digest
from gpteval.metrics.base import Metric
from gpteval.prompts.build import TaskData

OWN = "gpteval."


def golds(requests: Iterable[Request]) -> str:
    """Digest of what is right, of each item in order."""
    return digest(*map(_right, requests))


def definition(metric: Metric, *chances: float | None) -> str:
    """Digest of a metric and of chance levels; of a plugin's metric with its source, for it has no version."""
    kind = type(metric)
    own = f"{kind.__module__}.".startswith(OWN)
    try:
        source = "" if own else inspect.getsource(kind)
    except (OSError, TypeError):  # typed in, or made by code
        source = ""
    return digest(metric.name, kind.__qualname__, source, [None if one is None else round(one, 9) for one in chances])


def identity(data: TaskData, requests: Mapping[str, Request], also: Iterable[str] = ()) -> dict[str, str]:
    """By a number of items, the digest of what so many were asked, without examples, and judged by.

    The numbers are powers of two, what people limit by (1, 2 and 5 times a power of ten), that of all, and ``also``
    others. A smaller ``--limit`` takes the first of a larger one (``TaskData.order``), so runs with different limits
    can be held to each other by the largest number that both have.
    """
    task = data.task
    judged = [definition(task.metric_named(name), task.chance) for name in task.declared_metrics]
    rule = task.answer_rule
    head = (judged, task.separator, *([rule.signature] if rule else ()))
    order = [item for item in data.order if item in requests]
    asked = [Prompt(item, requests[item], preamble=task.preamble) for item in order]
    each = [digest(prompt.item_id, prompt.hash, _right(prompt.request)) for prompt in asked]
    powers = {1 << power for power in range(len(each).bit_length())}
    usual = {times * 10**power for times in (1, 2, 5) for power in range(len(str(len(each))))}
    counts = (powers | usual | {int(count) for count in also}) if data.nested else set()
    return {
        str(count): digest(*head, sorted(each[:count]))
        for count in sorted(counts | {len(each)})
        if 0 < count <= len(each)
    }


def differs(locked: Mapping[str, str], now: Mapping[str, str]) -> int | None:
    """How many items, at least one of which is not what it was; 0 where none is, None where that cannot be told."""
    both = locked.keys() & now.keys()
    if not both:
        return None
    largest = max(both, key=int)
    return 0 if locked[largest] == now[largest] else int(largest)


def _right(request: Request) -> object:
    match request:
        case Choice():
            return request.gold
        case Generate():
            return list(request.references)
    return None

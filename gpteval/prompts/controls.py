"""A prompt's examples shown in another way, to tell what they do: the form, the labels, or their order.

``random-labels``: each example with an answer drawn at random (Min et al. 2022). ``order-N``: the N-th other order of
the same examples (Lu et al. 2022). What is drawn depends on the example and the seed alone.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from typing import TypeVar

from gpteval.core.errors import TaskError, UsageError
from gpteval.core.types import Choice, Item, Request, digest

RANDOM_LABELS = "random-labels"
ORDER = "order"
CONTROLS = (RANDOM_LABELS, ORDER)
Shown = TypeVar("Shown")  # an example as it is shown


def order_of(control: str) -> int | None:
    """N of ``order-N``; None for another control. Raises UsageError for what is no control."""
    kind, _, number = control.rpartition("-")
    if kind == ORDER and number.isascii() and number.isdigit() and int(number):
        return int(number)
    if control == RANDOM_LABELS:
        return None
    raise UsageError(f"unknown control {control!r}", f"{RANDOM_LABELS}, or {ORDER}-1, {ORDER}-2 and so on")


def other_orders(shots: int) -> int:
    """How many other orders so many examples have."""
    return math.factorial(shots) - 1


def reordered(texts: Sequence[Shown], number: int, key: Sequence[object]) -> list[Shown]:
    """The ``number``-th other order. All are different, as long as there are so many."""
    if number > other_orders(len(texts)):
        raise UsageError(f"{len(texts)} examples have no {ORDER}-{number}", "ask for fewer orders, or more examples")
    generator = random.Random(digest(ORDER, *key))
    places = list(range(len(texts)))
    found = {tuple(places)}
    while len(found) <= number:
        generator.shuffle(places)
        found.add(tuple(places))
    return [texts[place] for place in places]


def random_answers(
    chosen: Sequence[Item], pool: Sequence[Item], request_of: Callable[[Item], Request], key: Sequence[object]
) -> list[str]:
    """An answer at random for each example: one of its choices, or where it has none another example's answer."""
    answers = []
    for item in chosen:
        generator = random.Random(digest("labels", item.id, *key))
        request = request_of(item)
        if isinstance(request, Choice) and len(request.answers) > 1:
            answers.append(generator.choice(request.answers))
        else:
            answers.append(_random_answer(pool, request_of, generator))
    return answers


def _random_answer(pool: Sequence[Item], request_of: Callable[[Item], Request], generator: random.Random) -> str:
    """The answer of one of the pool that gives a request: the example itself does, so there is one."""
    while True:
        try:
            return request_of(generator.choice(pool)).answer
        except TaskError:
            continue

"""Few-shot examples as lm-evaluation-harness 0.4.13 draws them (its api/samplers.py).

One generator a task, seeded with 1234, goes on from document to document, so that an item's examples depend on how
many items came before it. Where documents for examples may be those that are evaluated, one more is drawn than asked
for, and what equals the item is taken out.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

from gpteval.core.types import Item

SEED = 1234


def draws(items: Sequence[Item], pool: Sequence[Item], shots: int, *, excludes: bool) -> Iterator[list[Item]]:
    """The examples of each item, in order. Raises ValueError where the pool is too small."""
    generator = random.Random(SEED)
    pool = list(pool)
    for item in items:
        if not excludes:
            yield generator.sample(pool, shots)
            continue
        drawn = [other for other in generator.sample(pool, shots + 1) if other.fields != item.fields][:shots]
        if len(drawn) < shots:  # the item stands there more than once
            drawn = generator.sample([other for other in pool if other.fields != item.fields], shots)
        yield drawn

"""Resamples that all models share: how often is one ahead, and the same in experiments over seeds.

The bootstrap draws a weight for each item (or cluster of items) from a Poisson distribution of mean 1 (Oza and
Russell 2001; Chamandy et al. 2012), which for many items is the multinomial bootstrap of Efron. An item's weights come
from a counter-based generator whose key is the item's own name: they are the same for every model, task, run and
order, whatever else is compared, so that differences between models are paired by themselves.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpteval.metrics.base import Floats, Metric

DRAWS = 10_000
MANY, BAGS = 2**15, 2**13  # names from which bags of them are resampled, and how many bags
_CHUNK = 2**25  # weights in memory at a time, in bytes

# The smallest 16-bit number at which a Poisson variable of mean 1 is 1, 2, ...
_STEPS = np.cumsum([np.exp(-1.0) / np.prod(np.arange(1, k + 1), dtype=float) for k in range(9)])
_POISSON = np.searchsorted(_STEPS, (np.arange(2**16) + 0.5) / 2**16).astype(np.uint8)

Bytes = NDArray[np.uint8]


def _raw(name: str, seed: int, purpose: str, count: int) -> NDArray[np.uint64]:
    key = hashlib.blake2b(f"{seed}\0{purpose}\0{name}".encode("utf-8", "surrogatepass"), digest_size=16).digest()
    return np.random.Philox(key=np.frombuffer(key, dtype=np.uint64)).random_raw(count)


def weights(names: Sequence[str], *, seed: int = 0, draws: int = DRAWS) -> Bytes:
    """Bootstrap weights, shape [names, draws]. Equal names (the items of one cluster) have equal weights."""
    known: dict[str, int] = {name: number for number, name in enumerate(dict.fromkeys(names))}
    drawn = np.empty((len(known), draws), dtype=np.uint8)
    for name, number in known.items():
        words = _raw(name, seed, "bootstrap", -(-draws // 4)).view(np.uint16)
        drawn[number] = _POISSON[words[:draws]]
    if len(known) == len(names):
        return drawn
    return drawn[[known[name] for name in names]]


def bags(names: Sequence[str], *stats: Floats) -> tuple[tuple[str, ...], list[Floats]]:
    """What is resampled of many names: bags of them, by the names alone, with the sums of their statistics.

    Of ``MANY`` names or fewer each is its own. A bag is as good as an item where there are thousands of bags, and the
    weights of a million items would not fit into memory.
    """
    if len(names) <= MANY:
        return tuple(names), list(stats)
    keys = (hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=2).digest() for name in names)
    place = np.frombuffer(b"".join(keys), dtype="<u2").astype(np.intp) % BAGS
    return tuple(f"bag {number}" for number in range(BAGS)), [_summed(place, one) for one in stats]


def _summed(place: NDArray[np.intp], stats: Floats) -> Floats:
    columns = [np.bincount(place, stats[:, column], BAGS) for column in range(stats.shape[1])]
    return np.stack(columns, axis=1)


def resampled(metric: Metric, stats: Floats, drawn: Bytes) -> Floats:
    """The metric on each resample: ``stats`` is [items, d], ``drawn`` [items, draws]; the result is [draws]."""
    (found,) = resampled_all([(metric, stats)], drawn)
    return found


def resampled_all(asked: Sequence[tuple[Metric, Floats]], drawn: Bytes) -> list[Floats]:
    """``resampled`` for several models on the same items; the weights become floats once for all.

    Rights and wrongs are summed exactly in float32, so that one product serves all models. All else is summed in
    float64, for each model by a product of its own: then its last digits do not depend on the others.
    """
    exact = all(metric.kind == "binary" and bool((stats == np.rint(stats)).all()) for metric, stats in asked)
    dtype: Any = np.float32 if exact else np.float64
    columns = [np.ascontiguousarray(stats, dtype=dtype) for _, stats in asked]
    if exact:
        columns = [np.concatenate(columns, axis=1)]
    parts: list[list[Any]] = [[] for _ in columns]
    step = max(1, _CHUNK // max(1, np.dtype(dtype).itemsize * len(drawn)))
    for at in range(0, drawn.shape[1], step):
        part = drawn[:, at : at + step].astype(dtype).T
        for sums, column in zip(parts, columns, strict=True):
            sums.append(part @ column)
    whole = [np.concatenate(sums).astype(float) for sums in parts]
    if exact:
        whole = np.split(whole[0], np.cumsum([stats.shape[1] for _, stats in asked])[:-1], axis=1)
    return [metric.value(sums) for (metric, _), sums in zip(asked, whole, strict=True)]

"""What a whole table may say: adjusted p-values and simultaneous intervals, both from one joint distribution.

Under chance alone, how often would the most striking of all rows strike as much as this one? The rows of a table share
items and models, so they are not independent, and their joint distribution is known: every unit's pull on every row.
Standardised rows are drawn from the normal distribution with those covariances (the Gaussian multiplier bootstrap,
Chernozhukov, Chetverikov and Kato 2013), and each row's own p-value is held against the largest of them: step-down
max-T (Westfall and Young 1993, algorithm 4.1; Ge, Dudoit and Speed 2003). It finds more than Holm's method wherever
rows hang together, and never less.
"""

from __future__ import annotations

import hashlib
import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gpteval.core.types import digest
from gpteval.stats.evidence import Evidence
from gpteval.stats.significance import ALPHA

DRAWS = 10_000
_CELLS = 2**24  # draws of rows in memory at a time
_LITTLE = 0.01  # share of a row's variance below which its pseudo-items need no draws of their own


@dataclass(frozen=True)
class Adjusted:
    """``p``: adjusted for the table, NaN for rows without a test. ``alpha``: the level at which a single row must be
    held so that all intervals of the table hold at once with 95 %.
    """

    p: tuple[float, ...]
    alpha: float


def adjusted(table: Sequence[Evidence], seed: int = 0) -> Adjusted:
    """The rows of a table together. A question that is asked twice counts once."""
    from scipy.special import ndtr, ndtri

    p = np.full(len(table), np.nan)
    questions = {place: question(row) for place, row in enumerate(table) if not math.isnan(row.p)}
    if not questions:
        return Adjusted(tuple(p.tolist()), ALPHA)
    asked = {one: number for number, one in enumerate(sorted(set(questions.values())))}  # in whatever order
    rows: list[Evidence] = [table[0]] * len(asked)
    for place, one in questions.items():
        rows[asked[one]] = table[place]
    tested, which = list(questions), [asked[one] for one in questions.values()]
    own = np.array([row.p for row in rows])
    if len(rows) == 1:
        p[tested] = own
        return Adjusted(tuple(p.tolist()), ALPHA)
    drawn = _drawn(rows, seed)
    striking = -ndtri(own / 2)
    largest = np.zeros(drawn.shape[1], dtype=np.float32)
    found = np.empty(len(rows))
    for left, place in enumerate(np.argsort(-own, kind="stable"), 1):  # from the least striking row upwards
        np.maximum(largest, drawn[place], out=largest)
        reached = (1 + int((largest >= striking[place]).sum())) / (1 + len(largest))
        found[place] = np.clip(reached, own[place], min(1.0, left * own[place]))  # at least one test, at most Holm's
    order = np.argsort(own, kind="stable")
    found[order] = np.maximum.accumulate(found[order])
    p[tested] = found[which]
    alpha = 2 * ndtr(-float(np.quantile(largest, 1 - ALPHA)))
    return Adjusted(tuple(p.tolist()), float(np.clip(alpha, ALPHA / len(rows), ALPHA)))


def question(row: Evidence) -> bytes:
    """What a row asks: the same for the two directions of a difference, and in whatever units it is told."""
    content = hashlib.blake2b(digest_size=16)
    sign = 0.0
    for task, (_, pulls) in row.pulls.items():
        own = np.round(pulls / row.stderr, 6)
        sign = sign or float(np.sign(own[np.flatnonzero(own)[:1]].sum()))
        content.update(task.encode("utf-8", "surrogatepass"))
        content.update((own * (sign or 1.0) + 0.0).tobytes())
    return content.digest()


def _drawn(table: Sequence[Evidence], seed: int) -> NDArray[np.float32]:
    """Absolute values of the rows, standardised, under chance alone: [rows, draws]."""
    draws = min(DRAWS, max(2000, _CELLS // len(table)))
    rows: dict[str, list[int]] = defaultdict(list)
    for place, row in enumerate(table):
        for task in row.pulls:
            rows[task].append(place)
    drawn = np.zeros((len(table), draws), dtype=np.float32)
    # What the pseudo-items bring is each row's own; where it is little, the pulls are scaled up instead.
    alone = 1 - np.array([sum(float((p**2).sum()) for _, p in row.pulls.values()) / row.stderr**2 for row in table])
    whole = np.where(alone < _LITTLE, np.sqrt(1 - alone), 1.0)
    for task, places in sorted(rows.items()):
        pulls = _pulls(task, [table[place] for place in places]) / whole[places, None]
        random = np.random.default_rng(int(digest(seed, task), 16))
        if len(pulls) < pulls.shape[1]:  # as many normal numbers a draw as there are rows do as well as one a unit
            values, vectors = np.linalg.eigh(pulls @ pulls.T)
            pulls = vectors * np.sqrt(np.maximum(values, 0.0))
        drawn[places] += pulls.astype(np.float32) @ random.standard_normal((pulls.shape[1], draws), dtype=np.float32)
    random = np.random.default_rng(seed)
    for place in np.flatnonzero(alone >= _LITTLE).tolist():
        drawn[place] += math.sqrt(alone[place]) * random.standard_normal(draws, dtype=np.float32)
    return np.abs(drawn, out=drawn)


def _pulls(task: str, table: Sequence[Evidence]) -> NDArray[np.float64]:
    """How the task's units pull at each row, in the row's own errors: [rows, units]."""
    found = [row.pulls[task] for row in table]
    scales = np.array([row.stderr for row in table])[:, None]
    if all(names == found[0][0] for names, _ in found):
        return np.asarray(np.stack([pulls for _, pulls in found]) / scales)
    places = {name: n for n, name in enumerate(dict.fromkeys(name for names, _ in found for name in names))}
    pulls = np.zeros((len(table), len(places)))
    for number, (names, of_row) in enumerate(found):
        pulls[number, [places[name] for name in names]] = of_row
    return np.asarray(pulls / scales)

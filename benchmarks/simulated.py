"""Answers of two models whose true difference is known, for ``benchmarks/coverage.py``."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from gpteval.core.outcomes import Generated
from gpteval.core.types import Generate
from gpteval.metrics.named import metric_registry

METRICS = metric_registry()
Floats = NDArray[np.float64]
Random = np.random.Generator


def names(n: int, task: str = "") -> tuple[str, ...]:
    return tuple(f"{task}{i}" for i in range(n))


def scores(values: Floats) -> Floats:
    return np.column_stack([values, np.ones(len(values))])


def disagreeing(random: Random, n: int, share: float, lead: float) -> tuple[Floats, Floats]:
    """Rights and wrongs that differ on ``share`` of the items, of which the first model wins (1 + lead) / 2.

    A lead of 1 is nested: what the second has right, the first has too. The true difference is share * lead.
    """
    differ, wins = random.random(n) < share, random.random(n) < (1 + lead) / 2
    return np.where(differ, wins, 1.0), np.where(differ, ~wins, 1.0)


def graded(random: Random, n: int, share: float, lead: float, partial: float) -> tuple[Floats, Floats, float]:
    """Scores like F1's that differ on ``share`` of the items, ``partial`` of them by a part only; and the truth."""
    size = np.where(random.random(n) < partial, random.beta(1, 3, n), 1.0) * (random.random(n) < share)
    wins = random.random(n) < (1 + lead) / 2
    middle = random.integers(0, 2, n) * (1 - size)  # many zeros and ones
    return middle + size * wins, middle + size * ~wins, share * lead * (0.25 * partial + 1 - partial)


def passages(random: Random, count: int, alike: float, share: float, lead: float) -> tuple[Floats, Floats, list[str]]:
    """Rights and wrongs on passages of very uneven numbers of questions; ``alike``: their intraclass correlation."""
    sizes = np.ceil(np.exp(random.normal(1.8, 0.9, count))).astype(int)
    spread = (1 - alike) / alike
    shares = random.beta(share * spread, (1 - share) * spread, count)
    of = np.repeat(np.arange(count), sizes)
    differ, wins = random.random(len(of)) < shares[of], random.random(len(of)) < (1 + lead) / 2
    return np.where(differ, wins, 1.0), np.where(differ, ~wins, 1.0), [f"p{n}" for n in of]


def belonging(random: Random, count: int, alike: float, level: float) -> tuple[Floats, list[str]]:
    """One model's rights and wrongs on such passages."""
    sizes = np.ceil(np.exp(random.normal(1.8, 0.9, count))).astype(int)
    spread = (1 - alike) / alike
    of = np.repeat(np.arange(count), sizes)
    right = random.random(len(of)) < random.beta(level * spread, (1 - level) * spread, count)[of]
    return right.astype(float), [f"p{n}" for n in of]


def texts(random: Random, n: int, *, heavy: bool) -> tuple[Floats, Floats, Floats]:
    """Statistics of texts by three models: the second needs 2 % more nats a token, the third as many as the first.

    ``heavy``: lengths over two orders of magnitude, and differences with the tails of Student's t of 4.
    """
    if heavy:
        tokens = np.exp(random.normal(6.5, 1.0, n)).round() + 1
        base, noise = 3 * np.exp(random.normal(0, 0.3, n)), 0.05 * random.standard_t(4, (2, n))
    else:
        tokens = random.integers(200, 2000, n).astype(float)
        base, noise = 3 * random.gamma(60, 1 / 60, n), random.normal(0, 0.05, (2, n))

    def stats(nats: Floats) -> Floats:
        return np.column_stack([tokens * nats, tokens, tokens, tokens])

    return stats(base), stats(base * 1.02 + noise[0]), stats(base + noise[1])


def neighbours(random: Random, n: int, alike: float) -> tuple[Floats, Floats]:
    """Statistics of a text's blocks by two models of the same quality, each as hard as its neighbours."""

    def series() -> Floats:
        noise = random.standard_t(6, n + 30)
        for place in range(1, n + 30):
            noise[place] += alike * noise[place - 1]
        return np.asarray(noise[30:])

    hard = 20 * series()

    def stats(own: Floats) -> Floats:
        return np.column_stack([700 + hard + own, np.full(n, 250.0), np.full(n, 200.0), np.full(n, 1024.0)])

    return stats(8 * series()), stats(8 * series())


@cache
def _translated(name: str) -> tuple[Floats, ...]:
    """Statistics of many sentences by three systems, of which the last two are alike."""
    random, metric = np.random.default_rng(0), METRICS[name]
    words = np.array([f"w{i}" for i in range(40)])
    found: list[list[tuple[float, ...]]] = [[], [], []]
    for _ in range(12_000 if name == "bleu" else 4_000):
        reference = random.choice(words, int(random.integers(8, 20)))
        hard, luck = random.normal(0, 0.08), random.random(len(reference))
        for system, wrong in zip(found, (0.20, 0.25, 0.25), strict=True):
            own = np.where(random.random(len(reference)) < 0.5, luck, random.random(len(reference)))
            said = np.where(own < max(0.0, wrong + hard), "x", reference)
            text = Generated(" ".join(said), "stop", 1)
            system.append(metric.stats(Generate("p", [" ".join(reference)]), text))
    return tuple(np.array(system) for system in found)


def translations(random: Random, n: int, name: str) -> tuple[Floats, ...]:
    pool = _translated(name)
    picks = random.integers(0, len(pool[0]), n)
    return tuple(system[picks] for system in pool)


@cache
def true_translations(name: str) -> tuple[float, ...]:
    return tuple(float(METRICS[name].value(system.sum(axis=0))) for system in _translated(name))


def classes(random: Random, n: int, rare: float, right: tuple[float, float]) -> tuple[Floats, Floats]:
    """Cells of two classes, one of them in ``rare`` of the items, by two models of the same shares of ``right``."""
    gold = (random.random(n) < rare).astype(int)
    luck = random.random(n)
    sides = []
    for _ in range(2):
        own = np.where(random.random(n) < 0.6, luck, random.random(n))
        said = np.where(own < np.array(right)[gold], gold, 1 - gold)
        cells, at = np.zeros((n, 6)), np.arange(n)
        cells[at, gold], cells[at, 2 + said], cells[at, 4 + gold] = said == gold, 1.0, 1.0
        sides.append(cells)
    return sides[0], sides[1]


@cache
def true_classes(name: str, rare: float, right: tuple[float, float]) -> float:
    one, _ = classes(np.random.default_rng(0), 400_000, rare, right)
    return float(METRICS[name].value(one.sum(axis=0)))

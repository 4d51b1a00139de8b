"""What the best of several tries by guessing would reach (Yauney and Mimno 2024, arXiv 2404.13020)."""

from __future__ import annotations

import numpy as np

from gpteval.metrics.base import Floats


def expected_maximum(chances: Floats, tries: int) -> float:
    """The expected highest accuracy of ``tries`` independent guessers; ``chances``: each item's of being right."""
    below = np.cumsum(_rights(chances))[:-1]  # P(at most x right), x = 0 ... n - 1
    return float((1 - np.minimum(below, 1.0) ** tries).sum() / len(chances))


def reaching(chances: Floats, tries: int, accuracy: float) -> float:
    """The probability that the best of ``tries`` guessers reaches ``accuracy``."""
    rights = round(accuracy * len(chances))
    return float(1 - min(1.0, _rights(chances)[:rights].sum()) ** tries)


def _rights(chances: Floats) -> Floats:
    """How many one guesser has right: probabilities of 0 ... n, exact for chances that differ between items."""
    from scipy.stats import binom

    found = np.ones(1)
    for chance, count in zip(*np.unique(chances, return_counts=True), strict=True):
        found = np.convolve(found, binom.pmf(np.arange(count + 1), count, chance))
    return found

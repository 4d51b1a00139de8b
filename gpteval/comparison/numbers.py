"""Differences and ratios of a comparison as people read them."""

from __future__ import annotations

from gpteval.comparison.results import Figure, Pair
from gpteval.core.show import number, points


def effect(pair: Pair, figure: Figure) -> str:
    """The difference with its sign, or the ratio."""
    return (
        f"x {number(figure.effect)}" if pair.by_ratio else f"{'+' if figure.effect > 0 else ''}{number(figure.effect)}"
    )


def amount(pair: Pair, value: float, *, unit: bool = True) -> str:
    """A difference or ratio of ``pair`` in a sentence: points where the scale has a hundred, or as many percent."""
    if pair.by_ratio:
        return f"x {number(value)}"
    if pair.full not in (1.0, 100.0):
        return f"{'+' if value > 0 else ''}{number(value)}"
    return points(pair.in_unit(value) / 100) + (" points" if unit else "")

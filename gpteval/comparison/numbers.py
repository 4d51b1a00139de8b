"""Numbers of a comparison as people read them."""

from __future__ import annotations

import math

from gpteval.comparison.results import Figure, Pair


def points(value: float) -> str:
    """A share as points of a hundred, with its sign."""
    return f"{round(100 * value, 1) + 0.0:+.1f}"


def p_value(p: float) -> str:
    """A probability with three digits."""
    return "n/a" if math.isnan(p) else "< 0.001" if p < 0.001 else f"{p:.3f}"


def number(value: float) -> str:
    """Three decimals where that says something, else two or none."""
    if math.isnan(value):
        return "n/a"
    digits = 3 if abs(value) < 10 else 2 if abs(value) < 1000 else 0
    return f"{round(value, digits) + 0.0:.{digits}f}"


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
    return points(pair.told(value) / 100) + (" points" if unit else "")

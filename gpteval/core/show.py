"""Numbers and names as people read them."""

from __future__ import annotations

import math
from collections.abc import Sequence


def points(value: float) -> str:
    """A share as points of a hundred, with its sign."""
    return f"{round(100 * value, 1) + 0.0:+.1f}"


def signed(number: float) -> str:
    """One decimal, with a true minus sign; what rounds to zero has none."""
    return f"{round(number, 1) + 0.0:.1f}".replace("-", "−")


def p_value(p: float) -> str:
    """A probability with three digits."""
    return "n/a" if math.isnan(p) else "< 0.001" if p < 0.001 else f"{p:.3f}"


def number(value: float) -> str:
    """Three decimals where that says something, else two or none."""
    if math.isnan(value):
        return "n/a"
    digits = 3 if abs(value) < 10 else 2 if abs(value) < 1000 else 0
    return f"{round(value, digits) + 0.0:.{digits}f}"


def size(parameters: int | None) -> str:
    """A model's number of parameters; "" where it is not known."""
    if parameters is None:
        return ""
    if parameters >= 1e9:
        return f"{parameters / 1e9:.1f}B"
    return f"{parameters / 1e6:.0f}M" if parameters >= 1e7 else f"{parameters / 1e6:.1f}M"


def with_shots(name: str, shots: int) -> str:
    """A task, or what else was asked, with its number of examples where there are some."""
    return f"{name}, {shots}-shot" if shots else name


def counted(number: int, thing: str) -> str:
    """``1 result``, ``1,200 results``."""
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def listed(names: Sequence[str]) -> str:
    """Names in a sentence: one, two and three; "" for none."""
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1]))) if names else ""


def footnote(number: int) -> str:
    """The letter of a footnote: a to z of 1 to 26, then aa."""
    before, place = divmod(number - 1, 26)
    return (footnote(before) if before else "") + chr(ord("a") + place)

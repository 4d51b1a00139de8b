"""A table of short cells as lines of a width: names shortened in their middle, what is too wide goes on below."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gpteval.core.text import one_line

LABEL = 30  # characters of a line's name


@dataclass(frozen=True)
class GridColumn:
    """``heads``: lines above it. ``cells``: texts that are set to the right; ``marks``: what stands behind each, which
    is no part of it; ``told``: which cells are to be seen first.
    """

    heads: tuple[str, ...]
    cells: tuple[str, ...]
    marks: tuple[str, ...]
    told: tuple[bool, ...]


def shortened(name: str, width: int) -> str:
    """A name of at most so many characters: what is left out is in its middle, as beginnings and ends tell apart."""
    if len(name) <= width:
        return name
    left = (width - 1) // 2
    return f"{name[: width - 1 - left]}…{name[len(name) - left :]}" if left else name[: width - 1] + "…"


def pieces(
    names: Sequence[Sequence[str]],
    columns: Sequence[GridColumn],
    width: int,
    longest: int,
    bold: Callable[[str], str] = str,
) -> list[str]:
    """``names``: what stands before each line, in columns of their own; ``longest``: characters of a column's heads,
    where its cells are shorter. Each piece has the names, and as many columns as fit.
    """
    parts = [[shortened(one_line(text), LABEL) for text in column] for column in zip(*names, strict=True)]
    wides = [max(map(len, column)) for column in parts]
    before = [
        "  ".join(f"{text:<{wide}}" for text, wide in zip(line, wides, strict=True))
        for line in zip(*parts, strict=True)
    ]
    made: list[list[list[str]]] = []
    left = 0
    for column in columns:
        beside = max(map(len, column.marks))
        wide = max(*map(len, column.cells), min(longest, max(map(len, column.heads))) - beside)
        shown = [f"{cell:>{wide}}{mark:<{beside}}" for cell, mark in zip(column.cells, column.marks, strict=True)]
        lines = [f"{shortened(one_line(text), wide + beside):>{wide + beside}}" for text in column.heads]
        lines += [bold(text) if told else text for text, told in zip(shown, column.told, strict=True)]
        if not made or wide + beside + 2 > left:
            made.append([[*[" " * len(before[0])] * len(column.heads), *before]])
            left = width - len(before[0])
        made[-1].append(lines)
        left -= wide + beside + 2
    return ["\n".join("  ".join(line).rstrip() for line in zip(*piece, strict=True)) for piece in made]

"""Blocks of a text, about a kilobyte each: the same for every model, whatever its tokenizer.

One text is one item, and of one item nothing follows. Its blocks are many: each has its own log-probability, and two
models are held against each other block by block.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from itertools import accumulate, pairwise

BYTES = 1024
_SPACE = re.compile(r"\s+")


def block_starts(text: str) -> list[int]:
    """Where blocks begin, in characters, the first at 0; each before white space where some is near.

    What is left at the end, shorter than half a block, belongs to the last one.
    """
    size = max(1, round(BYTES * len(text) / max(1, len(text.encode("utf-8", "replace")))))
    starts = [0]
    while len(text) - starts[-1] >= 1.5 * size:
        place = starts[-1] + size
        found = _SPACE.search(text, place, place + size // 2)
        starts.append(found.start() if found else place)
    return starts


def words_of(text: str, *, blanks: bool = False) -> int:
    """The pieces of a text between runs of white space; with ``blanks`` also those that are empty, at its ends."""
    return len(_SPACE.split(text)) if blanks else len(text.split())


def block_sizes(text: str, counted: str, *, blanks: bool = False) -> list[tuple[int, int]]:
    """Words and bytes of each block; ``counted``: the text whose words (``words_of``) and bytes count, often the same.

    Another text's are shared out by the blocks' bytes. A word belongs to the block in which the white space before it
    begins.
    """
    starts = block_starts(text)
    pieces = [text[begin:end] for begin, end in zip(starts, [*starts[1:], len(text)], strict=True)]
    sizes = [len(piece.encode("utf-8", "replace")) for piece in pieces]
    if counted == text:
        places = [0, *(match.start() for match in _SPACE.finditer(text))]
        if not blanks:
            places = places[bool(text[:1].isspace()) : len(places) - bool(text[-1:].isspace())] if text.strip() else []
        words = Counter(blocks_of(places, starts))
        return [(words[number], size) for number, size in enumerate(sizes)]
    whole = words_of(counted, blanks=blanks), len(counted.encode("utf-8", "replace"))
    return list(zip(*(_shared(total, sizes) for total in whole), strict=True))


def blocks_of(places: Sequence[int], starts: Sequence[int]) -> list[int]:
    """The block of each place; places that fall back, as of tokens without text, stay where they are."""
    found, block = [], 0
    for place in places:
        while block + 1 < len(starts) and place >= starts[block + 1]:
            block += 1
        found.append(block)
    return found


def _shared(total: int, sizes: Sequence[int]) -> list[int]:
    """``total`` in whole numbers by ``sizes``; they sum to it."""
    whole = max(1, sum(sizes))
    ends = [*(round(total * size / whole) for size in accumulate(sizes[:-1])), total]
    return [end - begin for begin, end in pairwise([0, *ends])]

"""Rows of a large split, read when they are asked for: lines of text by their places, Arrow tables by slices."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import accumulate
from typing import TYPE_CHECKING, Any, overload

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from gpteval.data.steady import SteadyFile

DataRow = Mapping[str, Any]
LARGE = 50_000  # rows, above which a split is not turned into Python objects as a whole
PART = 2**24  # bytes that are searched for line ends at a time
GROUPS = 4  # row groups of a Parquet file that are held
BATCH = 1024  # rows of an Arrow table that are read together where all are wanted


class LazyRows(Sequence[DataRow]):
    """``count`` rows, each made by ``one(index)`` whenever it is asked for."""

    def __init__(self, count: int, one: Callable[[int], DataRow]) -> None:
        self._count = count
        self._one = one

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, index: int) -> DataRow: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[DataRow]: ...
    def __getitem__(self, index: int | slice) -> DataRow | Sequence[DataRow]:
        places = range(self._count)[index]
        return self._one(places) if isinstance(places, int) else [self._one(place) for place in places]


class ArrowRows(LazyRows):
    """The rows of an Arrow table, given as a function that returns the table's rows ``[begin, end)``."""

    def __init__(self, count: int, part: Callable[[int, int], Any]) -> None:
        super().__init__(count, lambda place: next(iter(part(place, place + 1).to_pylist())))
        self._part = part

    def __iter__(self) -> Iterator[DataRow]:
        for begin in range(0, len(self), BATCH):
            yield from self._part(begin, min(begin + BATCH, len(self))).to_pylist()


def grouped_rows(sizes: Sequence[int], read: Callable[[int], Any]) -> ArrowRows:
    """The rows of a table in groups of these sizes, of which ``read`` gives one; the last few stay in memory."""
    ends = list(accumulate(sizes))
    group = lru_cache(GROUPS)(read)

    def part(begin: int, end: int) -> Any:
        import pyarrow

        found = []
        while begin < end:
            number = bisect_right(ends, begin)
            stop = min(end, ends[number])
            found.append(group(number).slice(begin - ends[number] + sizes[number], stop - begin))
            begin = stop
        return pyarrow.concat_tables(found)

    return ArrowRows(sum(sizes), part)


def small_or_lazy(rows: LazyRows) -> Sequence[DataRow]:
    """All rows of a small split, those of a large one as they are asked for."""
    return rows if len(rows) > LARGE else list(rows)


def line_rows(
    data: SteadyFile,
    parse: Callable[[bytes, int], DataRow],
    allow: Callable[[int, int], None] = lambda size, number: None,
) -> LazyRows:
    """The lines of a file that are not blank; ``parse`` gets a line and its number, ``allow`` before that its size and
    number, and raises what forbids it.
    """
    begins, ends, numbers = _lines(data)
    if len(begins):
        longest = int((ends - begins).argmax())
        allow(int(ends[longest] - begins[longest]), int(numbers[longest]))
    return LazyRows(len(begins), lambda place: parse(data[begins[place] : ends[place]], int(numbers[place])))


def _lines(data: SteadyFile) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Where each line that is not blank begins and ends, and its number from 1."""
    import numpy as np

    found, firsts, begin = [], [], 0  # line ends; the first byte of each line
    fresh = True  # a line begins with the part
    while begin < len(data):
        view = np.frombuffer(data[begin : begin + PART], np.uint8)
        ends = np.flatnonzero(view == 10)
        starts = np.concatenate([np.zeros(int(fresh), np.int64), ends + 1])
        firsts.append(view[starts[starts < len(view)]])
        found.append(ends + begin)
        fresh = bool(view[-1] == 10)
        begin += len(view)
    line_ends = np.concatenate([*found, np.array([begin])]).astype(np.int64)
    begins = np.concatenate([np.zeros(1, np.int64), line_ends[:-1] + 1])
    first = np.concatenate([*firsts, np.zeros(int(fresh), np.uint8)])
    filled = begins < line_ends
    for line in np.flatnonzero(filled & (first <= 32)).tolist():  # begins with white space
        filled[line] = bool(data[begins[line] : line_ends[line]].strip())
    return begins[filled], line_ends[filled], np.flatnonzero(filled) + 1

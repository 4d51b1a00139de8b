"""Reading people's own files: rows of JSONL, JSON, CSV, TSV, Parquet or plain text, each also with ``.gz``."""

from __future__ import annotations

import csv
import io
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from gpteval.core.errors import DataError
from gpteval.data.lazy_rows import ArrowRows, DataRow, grouped_rows, line_rows, small_or_lazy
from gpteval.data.steady import SteadyFile, refuse_long, unpacked

csv.field_size_limit(2**31 - 1)  # a cell may hold a whole book
_WHOLE_NUMBER = re.compile(r"-?(0|[1-9][0-9]{0,17})")


def read_file(path: Path, origin: str) -> tuple[Sequence[DataRow], str]:
    """The rows of a file, and a digest of its bytes; ``origin`` is what errors call it.

    The kind is told by the suffix (``KINDS``), with or without ``.gz``. Text is UTF-8, with or without a
    byte-order mark. Of JSON lines and Parquet with many rows, each is read when it is asked for. Raises DataError
    naming the line.
    """
    suffixes = [suffix.lower() for suffix in path.suffixes[-2:]]
    packed = suffixes[-1:] == [".gz"]
    suffix = "".join(suffixes[:-1][-1:] if packed else suffixes[-1:])
    if suffix not in KINDS:
        raise DataError(
            f"{origin} cannot be read: its suffix is {suffix!r}",
            f"give one of {', '.join(KINDS)}, each also with .gz",
        )
    lines = suffix in LINES
    try:
        file = SteadyFile.of(path, origin)
        revision = f"sha256:{file.digest()[:16]}"
        file = unpacked(file, origin, lines=lines) if packed else file
        rows = KINDS[suffix](file if suffix in PIECEWISE else file[:], origin)
        rows = rows if isinstance(rows, Sequence) else list(rows)
        file.check()
    except OSError as error:
        raise DataError(f"cannot read {origin}: {error.strerror}") from None
    return rows, revision


def _text(data: bytes, origin: str, line: int = 1) -> str:
    """``data``, which begins with line number ``line``."""
    try:
        return data.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        number = data.count(b"\n", 0, error.start) + line
        raise DataError(
            f"{origin} is not UTF-8: byte 0x{data[error.start]:02x} in line {number}",
            "convert it, for example with iconv -f latin1 -t utf-8",
        ) from None


def _parse(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        line = "" if error.lineno == 1 else f"line {error.lineno}, "
        raise DataError(f"{where} is not JSON: {error.msg} at {line}column {error.colno}") from None
    except (ValueError, RecursionError) as error:  # a number of thousands of digits, thousands of brackets
        raise DataError(f"{where} holds JSON that cannot be read: {error}") from None


def _jsonl(data: SteadyFile, origin: str) -> Sequence[DataRow]:
    def parse(line: bytes, number: int) -> DataRow:
        row = _parse(_text(line, origin, number), f"{origin}, line {number}")
        if not isinstance(row, dict):
            raise DataError(f"{origin}, line {number} is not a JSON object")
        return row

    rows = line_rows(data, parse, lambda size, number: refuse_long(size, origin, number))
    if rows:
        _ = rows[-1]  # a file that was cut off
    return small_or_lazy(rows)


def _json(data: bytes, origin: str) -> Iterator[DataRow]:
    rows = _parse(_text(data, origin), origin)
    if not isinstance(rows, list):
        raise DataError(f"{origin} is not a JSON array of rows", "one object a line is read from .jsonl")
    for number, row in enumerate(rows, 1):
        if not isinstance(row, dict):
            raise DataError(f"{origin}, row {number} is not a JSON object")
        yield row


def _table(delimiter: str) -> Callable[[bytes, str], Iterator[DataRow]]:
    def read(data: bytes, origin: str) -> Iterator[DataRow]:
        """Cells are text, but for columns that hold whole numbers only, where an empty cell is None."""
        lines = csv.reader(io.StringIO(_text(data, origin), newline=""), delimiter=delimiter, strict=True)
        header: list[str] = []
        rows = []
        try:
            for cells in lines:
                if not header:
                    header = cells
                    if len(header) == 1 and delimiter == "," and (other := re.search(r";|\t", header[0])):
                        raise DataError(
                            f"{origin}: its columns are separated by {'semicolons' if other[0] == ';' else 'tabs'}",
                            "separate them by commas, or by tabs in a file that ends in .tsv",
                        )
                    if len(set(header)) < len(header) or "" in header:
                        raise DataError(f"{origin}: the first line must name each column once, not {header}")
                elif len(cells) == len(header):
                    rows.append(cells)
                elif cells:
                    raise DataError(
                        f"{origin}, line {lines.line_num} has {len(cells)} cells, but the first line {len(header)}",
                        "put cells that hold the delimiter into double quotes",
                    )
        except csv.Error as error:
            raise DataError(f"{origin}, line {lines.line_num} cannot be read: {error}") from None
        columns = [_numbers(column) for column in zip(*rows, strict=True)]
        for values in zip(*columns, strict=True):
            yield dict(zip(header, values, strict=True))

    return read


def _numbers(cells: tuple[str, ...]) -> tuple[str | int | None, ...]:
    filled = [cell for cell in cells if cell]
    if not filled or not all(_WHOLE_NUMBER.fullmatch(cell) for cell in filled):
        return cells
    return tuple(int(cell) if cell else None for cell in cells)


def _parquet(data: SteadyFile, origin: str) -> Sequence[DataRow]:
    import pyarrow.parquet

    try:
        file = pyarrow.parquet.ParquetFile(data)  # given a path, errors would show it
        groups = [file.metadata.row_group(n) for n in range(file.num_row_groups)]
        if sum(group.total_byte_size for group in groups) > HELD:
            return small_or_lazy(grouped_rows([group.num_rows for group in groups], _reader(file, origin)))
        parts = file.iter_batches(use_threads=False)  # as a whole it would take twice the memory
        table = pyarrow.Table.from_batches(parts, file.schema_arrow)
        return small_or_lazy(ArrowRows(table.num_rows, lambda begin, end: table.slice(begin, end - begin)))
    except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as error:
        raise DataError(f"{origin} is not a readable Parquet file: {error}") from None


def _reader(file: Any, origin: str) -> Callable[[int], Any]:
    """What reads a row group. It raises DataError, for that happens long after the file was opened."""
    import pyarrow

    def read(group: int) -> Any:
        try:
            return file.read_row_group(group)
        except (pyarrow.ArrowException, OSError) as error:
            raise DataError(f"{origin} is not a readable Parquet file: row group {group}: {error}") from None

    return read


def _whole(data: bytes, origin: str) -> Iterator[DataRow]:
    if text := _text(data, origin):
        yield {"text": text}


HELD = 2**31  # bytes of a Parquet file's tables, above which they are read group by group
LINES = (".jsonl", ".ndjson")
PIECEWISE = (*LINES, ".parquet")  # read where they lie
KINDS: Mapping[str, Callable[[Any, str], Sequence[DataRow] | Iterator[DataRow]]] = {
    ".jsonl": _jsonl,
    ".ndjson": _jsonl,
    ".json": _json,
    ".csv": _table(","),
    ".tsv": _table("\t"),
    ".parquet": _parquet,
    ".txt": _whole,
}


def cache_root() -> Path:
    """What runs share lies in ``$GPTEVAL_CACHE``, else in ``~/.cache/gpteval`` (or ``$XDG_CACHE_HOME``)."""
    root = os.environ.get("GPTEVAL_CACHE")
    return Path(root) if root else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gpteval"

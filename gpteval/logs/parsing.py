"""Reading other people's JSON: bounded, and every error with its file and line."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from gpteval.core.errors import GptevalError

LONGEST = 64 * 2**20  # bytes of a line, or of a part of an archive
LARGEST = 2**29  # bytes of a document that is read as one
_LONE = re.compile("[\ud800-\udfff]")


class LogError(GptevalError):
    """A log that cannot be read."""


def lines(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Where each line stands and what it holds, one object a line; empty ones are passed over. Raises LogError."""
    with open_log(path) as handle:
        number = 0
        while line := handle.readline(LONGEST + 1):
            number += 1
            where = f"{path.name}, line {number}"
            if len(line) > LONGEST:
                raise LogError(f"{where} is longer than {LONGEST // 2**20} MiB", "no item is so long: is it a log?")
            if line.strip():
                yield where, parsed(line, where)


def document(path: Path, of: type = dict) -> Any:
    """A whole file of JSON, an object or another type. Raises LogError."""
    with open_log(path) as handle:
        data = handle.read(LARGEST + 1)
    if len(data) > LARGEST:
        most = f"{LARGEST // 2**20} MiB"
        raise LogError(f"{path.name} is larger than {most}", "part it; of Inspect give the .eval archive")
    return parsed(data, path.name, of)


def open_log(path: Path) -> IO[bytes]:
    """Raises LogError."""
    try:
        return path.open("rb")
    except OSError as error:
        raise LogError(f"cannot read {path.name}: {error.strerror}") from error


def parsed(data: bytes, where: str, of: type = dict) -> Any:
    """Raises LogError for what is no JSON of this type."""
    try:
        found = json.loads(data)
    except (ValueError, RecursionError) as error:
        cut = "; it ends too early: was the log cut?" if not data.rstrip().endswith((b"}", b"]")) else ""
        raise LogError(f"{where} is not JSON: {error}{cut}", "take the line away, or write the log anew") from error
    if not isinstance(found, of):
        raise LogError(f"{where} holds {type(found).__name__}, not {of.__name__}")
    return found


def number(value: object) -> float:
    """A finite number, also where it is written as text or a truth. Raises ValueError."""
    if not isinstance(value, str | int | float):
        raise ValueError(f"{value!r} is no number")
    found = float(value)
    if not math.isfinite(found):
        raise ValueError(f"{value!r} is not finite")
    return found


def text(value: object, what: str) -> str:
    """Text without lone surrogates. Raises ValueError."""
    if not isinstance(value, str):
        raise ValueError(f"{what} is {type(value).__name__}, not text")
    return _LONE.sub("?", value)


def mapping(value: object) -> Mapping[str, Any]:
    """An object, or an empty one where there is none."""
    return value if isinstance(value, dict) else {}


def listing(value: object) -> Sequence[Any]:
    """A list, or an empty one where there is none."""
    return value if isinstance(value, list) else []


def named(value: object) -> str:
    """As much of a name as can be the name of a task or filter."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", str(value)).strip("-.")[:100] or "unnamed"

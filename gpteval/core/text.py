"""Text of others, models' and data's, made safe to show and to publish."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

# Control characters but tab and line feed, lone surrogates, and what turns the direction or the lines of a text around.
CONTROLS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\U000e0000-\U000e007f]"
)
_PATH = re.compile(r"""(?:(?<=\btext:)|(?<![\w:/.~<>-]))(?:/[^\s/'"<>:,;()\[\]{}]+){2,}/?""")


def visible(text: str) -> str:
    """For a terminal: control characters as JSON's escapes, so that none of them does anything."""
    return CONTROLS.sub(lambda found: json.dumps(found[0])[1:-1], text)


def one_line(text: str) -> str:
    """For a line of a table: as ``visible``, with line feeds and tabs as escapes too."""
    return visible(text).replace("\n", "\\n").replace("\t", "\\t")


def printable(text: str) -> str:
    """For a page or file: control characters replaced by U+FFFD."""
    return CONTROLS.sub("\ufffd", text)


def without_paths(text: str) -> str:
    """For what may be published: paths relative to the working folder, of absolute ones only their last part."""
    if "/" not in text and os.sep not in text:
        return text  # nearly all texts: a run's files are written anew with every result
    for folder in {Path.cwd(), Path.cwd().resolve()}:
        if len(folder.parts) > 1:
            text = text.replace(f"{folder}/", "").replace(str(folder), ".")
    return _PATH.sub(lambda found: found[0].rstrip("/").rpartition("/")[2], text)


_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")
_FORMULA = ("=", "+", "-", "@")  # how a cell begins that a spreadsheet computes, after any space


def is_number(cell: str) -> bool:
    """Whether a cell is a number, as a spreadsheet reads it."""
    return _NUMBER.fullmatch(cell) is not None


def harmless_cell(cell: str) -> str:
    """A cell of a CSV file: printable, and with a leading ``'`` where a spreadsheet would compute it."""
    cell = printable(cell.replace("\r\n", "\n").replace("\r", "\n"))  # readers stumble over a bare CR
    return f"'{cell}" if cell.lstrip().startswith(_FORMULA) and not is_number(cell) else cell


def natural(name: str) -> tuple[tuple[str, int], ...]:
    """A key that sorts the numbers in names as numbers: ``step-9`` before ``step-10``."""
    return tuple((text, int(number or -1)) for text, number in re.findall(r"(\D*)(\d*)", name))

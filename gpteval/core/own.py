"""Whose a file is: nothing is overwritten or removed that gpteval did not make.

Each kind of file that commands write has a mark in it.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from itertools import count
from pathlib import Path

from gpteval.core.errors import OutputError

HTML_MARK = "<!-- made by gpteval -->"
SCRIPT_MARK = "// made by gpteval"
CHECKS_MARK = '<testsuite name="gpteval compare"'
REPORT_ELSEWHERE = "run with --no-report, and write the report elsewhere: gpteval report RUN --out FILE.html"
_EARLIER = "<title>gpteval: "  # of reports from before there was a mark
_HEAD = 4096  # bytes at either end of a page in which its mark lies
_DOCUMENTS = (  # the fields of which a document has all of one line
    {"schema"},
    {"config", "samples", "tasks", "models"},  # a manifest of before it had a schema
    {"gpteval_lock"},
    {"units", "written", "process"},
    {"rows", "sentences", "failures"},
)


def refuse_others(paths: Iterable[Path], way_out: str) -> None:
    """Raise OutputError where one of the files is not gpteval's own."""
    for path in paths:
        if not is_own(path):
            raise OutputError(f"{path} was not made by gpteval and is left as it is", way_out)


def is_own(path: Path) -> bool:
    """Whether a file may be written over: it is not there, or is gpteval's own."""
    if not path.exists():
        return True
    if not path.is_file():
        return False
    try:
        return _KINDS.get(path.suffix, _own_document)(path)
    except OSError:
        return False


def _own_page(path: Path) -> bool:
    with path.open("rb") as file:
        begin = file.read(_HEAD)
        file.seek(max(0, path.stat().st_size - _HEAD))
        end = file.read()
    return not begin or _EARLIER.encode() in begin or HTML_MARK.encode() in end


def _own_script(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(SCRIPT_MARK)) in (b"", SCRIPT_MARK.encode())


def _own_checks(path: Path) -> bool:
    with path.open("rb") as file:
        begin = file.read(_HEAD)
    return not begin or CHECKS_MARK.encode() in begin


def is_json(path: Path) -> bool:
    """Whether a file can be read as JSON: it is not damaged, whosever it is."""
    try:
        json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
    return True


def _own_document(path: Path) -> bool:
    if not is_json(path):
        return path.stat().st_size == 0
    found = json.loads(path.read_text(encoding="utf-8"))
    return isinstance(found, dict) and any(marks <= set(found) for marks in _DOCUMENTS)


def aside_of(path: Path) -> Path:
    """Where a damaged file is kept: behind those that were set aside before."""
    for number in count(1):
        found = path.with_name(f"{path.name}.damaged" + (f"-{number}" if number > 1 else ""))
        if not found.exists():
            return found
    raise AssertionError


def _own_journal(path: Path) -> bool:
    try:
        with closing(sqlite3.connect(f"file:{path.absolute().as_posix().replace('?', '%3f')}?mode=ro", uri=True)) as db:
            tables = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            columns = [row[1] for row in db.execute("PRAGMA table_info(rows)")]
    except sqlite3.Error:
        return True  # damaged, or no such file at all
    return not tables or columns == ["key", "value", "checksum"]


_KINDS = {".html": _own_page, ".md": _own_page, ".js": _own_script, ".sqlite": _own_journal, ".xml": _own_checks}

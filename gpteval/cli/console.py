"""What the terminal sees: lines that survive a reader who leaves, text that is shown and never obeyed."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from textwrap import fill
from typing import IO

from gpteval.core.text import one_line, visible, without_paths

WIDE = 120  # columns where nobody looks at a terminal


def prepare_streams() -> None:
    """Characters that a terminal's encoding lacks are written as escapes."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def say(text: str, file: IO[str] | None = None) -> None:
    """Print lines whose control characters do nothing."""
    print_lines(visible(text), file)


def print_lines(text: str, file: IO[str] | None = None) -> None:
    """Print lines as they are, colours of rich's too. When nobody reads any more, the work goes on."""
    file = file or sys.stdout
    try:
        print(text, file=file, flush=True)
    except BrokenPipeError:  # the reader, for example head, has gone
        _silence(file)
    except OSError as error:
        _silence(file)
        if file is not sys.stderr:
            say(f"cannot write to the standard output: {error.strerror}; the work goes on", sys.stderr)


def _silence(file: IO[str]) -> None:
    """Send what else is written to ``file`` nowhere, also what Python itself flushes at the end."""
    try:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, file.fileno())
        os.close(null)
        file.flush()
    except (OSError, ValueError):  # no real file behind it
        pass


def width_of(where: IO[str]) -> int:
    """Of the terminal, or what fits most."""
    looked_at = where.isatty() or "COLUMNS" in os.environ
    return shutil.get_terminal_size().columns if looked_at else WIDE


def say_folded(sentence: str) -> None:
    """A sentence on stdout, in lines of the terminal's width."""
    print_lines(fill(one_line(sentence), min(WIDE, width_of(sys.stdout))))


@contextmanager
def document_only(as_json: bool) -> Iterator[None]:
    """Under --json stdout belongs to the document: what plugins print goes to stderr."""
    if not as_json:
        yield
        return
    with redirect_stdout(sys.stderr):
        yield


def command_line() -> str:
    """The command as typed, paths relative to the working folder, of others their last part only."""
    return without_paths(shlex.join(["gpteval", *sys.argv[1:]]))

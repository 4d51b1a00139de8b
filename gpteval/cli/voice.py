"""How a command tells of its work on stderr: in lines for people, as JSON for programs, or hardly at all."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Timer

from gpteval.cli.console import print_lines, say
from gpteval.core.errors import UsageError
from gpteval.core.strict import finite

PATIENCE = 1.0  # seconds
LIBRARIES = "loading torch and transformers"
FORMS = ("text", "json")
LOUD = ("warning", "failure", "error", "interrupted")  # what is told under --quiet, too

_form = "text"  # or json, or quiet: of the command that runs now


def speak(*, quiet: bool = False, form: str = FORMS[0]) -> None:
    """As this command is to. Raises UsageError for what is no form, and for both."""
    global _form
    if form not in FORMS:
        raise UsageError(f"--progress is {' or '.join(FORMS)}, not {form!r}")
    if quiet and form != FORMS[0]:
        raise UsageError(f"--quiet and --progress {form} do not go together", "leave one of them out")
    _form = "quiet" if quiet else form


def is_plain() -> bool:
    """Whether people read it: bars and tables are for them alone."""
    return _form == "text"


def as_events() -> bool:
    """Whether stderr is for a program: one JSON object a line, and nothing else."""
    return _form == "json"


def tell(text: str, event: str = "info", **facts: object) -> None:
    """A line on stderr. As JSON it is an ``event`` with its ``text`` and ``facts``; under --quiet the loud ones alone
    are told.
    """
    if _form == "json":
        print_lines(json.dumps(finite({"event": event, "text": text.strip(), **facts}), default=str), sys.stderr)
    elif _form == "text" or event in LOUD:
        say(text, sys.stderr)


class Wait:
    """Tells what is waited for, unless it is over, or nobody holds this any more, within a second."""

    def __init__(self, text: str) -> None:
        self._timer = Timer(PATIENCE, tell, (text, "loading"))
        self._timer.daemon = True
        self._timer.start()

    def over(self) -> None:
        self._timer.cancel()

    def __del__(self) -> None:
        self.over()


@contextmanager
def told_if_slow(text: str) -> Iterator[None]:
    """Tell what is waited for, if the block takes longer than a second."""
    wait = Wait(text)
    try:
        yield
    finally:
        wait.over()

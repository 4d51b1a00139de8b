"""Every error that gpteval raises on purpose.

    GptevalError                 base: a message, and a hint that says what to do next
    ├── UsageError               the command line or an input cannot be used   (exit code 2)
    │   ├── UnknownNameError       a model, task, metric or suite that does not exist
    │   └── OutputError            the output folder cannot be used
    ├── PluginError              a plugin file could not be loaded
    ├── TaskError                a task cannot be built from its data
    │   ├── DataError              its data cannot be found or read
    │   ├── ColumnError            a row lacks a column that the prompt asks for
    │   ├── NotAvailable           a model that cannot be asked for it at all
    │   └── ItemError              one item gives a request that cannot be scored
    ├── ModelError               a model cannot be loaded or used
    └── StoreError               results cannot be written or read back

A ``UsageError`` ends the command before any work. The others are caught once, by the run, and
become a line in ``failures``: the remaining models and tasks go on (exit code 1).
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class GptevalError(Exception):
    """Base of all errors raised on purpose. ``hint`` says what to do next."""

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n  {self.hint}" if self.hint else self.message


class UsageError(GptevalError):
    """A command line or setting that cannot be used."""

    exit_code = 2


class UnknownNameError(UsageError):
    """``name`` is no known ``kind``; the message offers the nearest known names."""

    def __init__(self, kind: str, name: str, known: Iterable[str], hint: str = "") -> None:
        names = sorted(set(known))
        lowered = {n.lower(): n for n in names}
        near = [lowered[n] for n in difflib.get_close_matches(name.lower(), lowered, n=4, cutoff=0.5)]
        parts = [f"nearest: {', '.join(near)}"] if near else []
        super().__init__(f"unknown {kind} {name!r}", "; ".join([*parts, hint] if hint else parts))
        self.kind, self.name, self.near = kind, name, near


class OutputError(UsageError):
    """A place that cannot be written to."""


# What a plugin's code may raise, and what is then its own failure. KeyboardInterrupt is the user's.
PLUGIN_ERRORS: tuple[type[BaseException], ...] = (Exception, SystemExit)


def unforeseen(error: BaseException) -> GptevalError:
    """An exception that nobody raised on purpose, as an error that is told."""
    return GptevalError(f"{type(error).__name__}: {error}", "this is a bug; please report it")


class PluginError(GptevalError):
    """A plugin that does not load."""


class TaskError(GptevalError):
    """A task that cannot be run as it is declared or asked for."""


class DataError(TaskError):
    """Rows that are not available or cannot be read."""


class ColumnError(TaskError):
    """A column that the rows lack."""


class NotAvailable(TaskError):
    """What a model cannot be asked for at all, such as a text's perplexity of a chat: told, and no fault."""


class ItemError(TaskError):
    """A row that gives no request."""


class ModelError(GptevalError):
    """A model that cannot be loaded or does not run."""


class StoreError(GptevalError):
    """A run's files that cannot be read or written."""

"""How commands end that are interrupted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

import typer

from gpteval.cli.signals import INTERRUPTED, INTERRUPTED_WORDS
from gpteval.cli.voice import tell


@contextmanager
def resumable() -> Iterator[None]:
    """Ends an interrupted command (Ctrl-C, SIGTERM) with exit code 130 and how to go on."""
    try:
        yield
    except KeyboardInterrupt:
        tell("\ninterrupted; what is finished is saved: run the same command again to continue", "interrupted")
        raise typer.Exit(INTERRUPTED) from None


def interruptible(command: Callable[..., None]) -> Callable[..., None]:
    """The command; interrupted where nothing is to be continued (``resumable``), it says so and ends with 130."""

    @wraps(command)
    def called(*arguments: Any, **options: Any) -> None:
        try:
            command(*arguments, **options)
        except KeyboardInterrupt:
            tell(f"\n{INTERRUPTED_WORDS}", "interrupted")
            raise typer.Exit(INTERRUPTED) from None

    return called

"""The command line: parse, call, print. No logic of its own.

Exit codes: 0 all done; 1 something failed and the rest is saved; 2 a command line or an input that
cannot be used; 130 interrupted. Results go to stdout, everything else to stderr.
"""

from __future__ import annotations

import gc
import os
import sys

OBJECTS = 100_000  # made since the collector of cycles last looked: libraries bring a million, all of which stay


def main() -> None:
    """Run the command line and exit."""
    from gpteval.cli.signals import INTERRUPTED, INTERRUPTED_WORDS, handle_signals

    handle_signals()
    gc.set_threshold(OBJECTS, 20, 20)  # else it looks through them again and again, which takes seconds
    try:
        from gpteval.cli.console import prepare_streams

        prepare_streams()
        code = _run(sys.argv[1:])
    except KeyboardInterrupt:
        print(f"\n{INTERRUPTED_WORDS}", file=sys.stderr)
        code = INTERRUPTED
    if code == INTERRUPTED:  # at once: while Python winds up, another signal would kill it with another code
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    gc.freeze()  # nor is it worth a second to look through them all once more at the end
    sys.exit(code)


def _run(arguments: list[str]) -> int:
    """The exit code of a command line. What ends it goes to stderr, and under --json to stdout as a document."""
    from gpteval.cli.app import program
    from gpteval.cli.console import say
    from gpteval.cli.voice import speak, tell
    from gpteval.core.errors import GptevalError

    speak()
    try:
        return int(program(arguments, prog_name="gpteval", standalone_mode=False) or 0)
    except GptevalError as error:
        message, hint, code = error.message, error.hint, error.exit_code
        tell(f"error: {error}", "error", message=message, hint=hint, exit_code=code)
    except Exception as error:
        if not hasattr(error, "format_message"):  # typer's own errors have it: a wrong command line
            raise
        error.show()  # type: ignore[attr-defined]
        message, hint, code = error.format_message(), "", error.exit_code  # type: ignore[attr-defined]
    if "--json" in arguments:
        from gpteval.core.strict import strict_json

        say(strict_json({"error": {"message": message, "hint": hint, "exit_code": code}}, 1))
    return int(code)

"""The command line: parse, call, print. No logic of its own.

Exit codes: 0 all done; 1 something failed and the rest is saved; 2 a command line or an input that
cannot be used; 130 interrupted. Results go to stdout, everything else to stderr.
"""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line and exit."""
    from gpteval.cli.app import app
    from gpteval.core.errors import GptevalError

    try:
        app()
    except GptevalError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except BrokenPipeError:  # the reader, for example head, has gone
        sys.stderr.close()
        sys.exit(0)

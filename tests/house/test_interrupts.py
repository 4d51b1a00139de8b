"""Ctrl-C while the program is still being imported: no traceback, a word, and the exit code of an interrupt."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.conftest import CHECKOUT

# Ctrl-C comes when a module is asked for that the program imports.
PRESS = """
import builtins, os, signal, sys
wanted, plain = sys.argv.pop(1), builtins.__import__
def pressing(name, *rest, **named):
    if name == wanted:
        builtins.__import__ = plain
        os.kill(os.getpid(), signal.SIGINT)
    return plain(name, *rest, **named)
from gpteval.cli import main
builtins.__import__ = pressing
main()
"""


BEFORE = ["gpteval.cli.console", "typer", "gpteval.cli.app", "gpteval.cli.commands.run_command"]
IN_A_COMMAND = ["gpteval.cli.rich_tables"]


@pytest.mark.parametrize("module", BEFORE + IN_A_COMMAND)
def test_in_the_middle_of_an_import(module: str) -> None:
    command = [sys.executable, "-c", PRESS, module, "models"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=CHECKOUT, timeout=900, check=False)
    assert done.returncode == 130
    assert done.stderr.strip() == "interrupted: run the same command again"


def test_nothing_heavy_is_imported_before_signals_are_handled() -> None:
    code = "import sys; before = set(sys.modules); import gpteval.cli.signals; print(*set(sys.modules) - before)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=CHECKOUT, check=True)
    own = {"gpteval", "gpteval.cli", "gpteval.cli.signals"}
    assert own <= set(done.stdout.split())
    assert not {"typer", "rich", "importlib.metadata", "email", "asyncio"} & set(done.stdout.split())

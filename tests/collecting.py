"""The modules of tests, imported once for all processes that run them."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path

import pytest


class _Broken:
    """Which files could not be collected."""

    def __init__(self) -> None:
        self.files: set[Path] = set()

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.files.add(Path(report.fspath).resolve())


def collect(tests: Sequence[str]) -> None:
    """Import the modules of tests, as pytest does; to collect them again takes a tenth of the time.

    One that cannot be imported is forgotten: half of it would stay, pytest would take that for the module in whoever
    forks, and its tests would be missing without a word.
    """
    os.environ["TOKENIZERS_PARALLELISM"] = "false"  # threads of its would not be in the forks, who would wait for them
    broken = _Broken()
    with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere):
        pytest.main(["--collect-only", "-p", "no:cacheprovider", *tests], plugins=[broken])
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if file and Path(file).resolve() in broken.files:
            del sys.modules[name]

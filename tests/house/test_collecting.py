"""A module of tests that cannot be imported is an error of the run, and never fewer tests without a word."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.conftest import CHECKOUT

CODE = """
import sys
from pathlib import Path
from tests.collecting import collect
folder = Path(sys.argv[1])
collect([str(folder)])
found = {getattr(module, "__file__", None) for module in sys.modules.values()}
print([name for name in ("test_broken.py", "test_whole.py") if str(folder / name) in found])
"""


def test_what_cannot_be_imported_is_forgotten(tmp_path: Path) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --import-mode=importlib\n", encoding="utf-8")
    (tmp_path / "test_broken.py").write_text("def test_it(): pass\n\n\nraise ValueError\n", encoding="utf-8")
    (tmp_path / "test_whole.py").write_text("def test_it(): pass\n", encoding="utf-8")
    env = {**os.environ, "PYTHONPATH": str(CHECKOUT)}
    command = [sys.executable, "-c", CODE, tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=env, timeout=120)
    assert done.stdout.strip().splitlines()[-1] == "['test_whole.py']", done.stderr

"""What main commands print, at 80 and 120 columns, without colour: as it was looked at.

``python -m tests.cli.test_screens`` writes the screens anew, for who has looked at them.
"""

from __future__ import annotations

import io
import os
import sys
import tempfile
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest

from gpteval.cli import _run
from tests.cli.test_compare_console import make
from tests.conftest import RunCli

SCREENS = Path(__file__).parent / "screens"
ASKED = ("--models", "gpt2-nano", "--tasks", "nano_topic,nano_en_fr", "--limit", "40")
COMMANDS: dict[str, tuple[str, ...]] = {
    "help": ("--help",),
    "dry-run": ("run", *ASKED, "--shots", "0,2", "--no-cache", "--out", "OUT", "--dry-run"),
    "tasks": ("tasks", "nano_topic"),
    "show": ("show", "nano_rule", "--shots", "1"),
    "samples": ("samples", "RUN", "--model", "gpt2-xl", "--task", "sst2", "--differ", "openai-gpt", "--limit", "3"),
    "place": ("place", "RUN", "--model", "gpt2-xl"),
    "plan": ("plan", "--tasks", "nano_topic,nano_en_fr", "--effect", "5"),
    "report-csv": ("report", "RUN", "--format", "csv"),
}
FOLDED = ("help",)  # what is told in the width that there is


def screen(name: str, folder: Path, run: RunCli) -> str:
    """What a command prints on stdout."""
    places = {"RUN": str(folder / "run"), "OUT": str(folder / "out")}
    done = run(*(places.get(word, word) for word in COMMANDS[name]))
    assert done.returncode == 0, done.stderr
    lines = (line.rstrip() for line in done.stdout.replace(str(folder), "FOLDER").splitlines())
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("screens")
    make(place)
    return place


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("name", COMMANDS)
def test_screens_are_those_that_were_looked_at(
    name: str, width: int, folder: Path, in_process: RunCli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("GPTEVAL_CACHE", str(folder / "cache"))
    text = screen(name, folder, in_process)
    assert text == (SCREENS / f"{name}-{width}.txt").read_text(encoding="utf-8")
    if name in FOLDED:
        assert max(map(len, text.splitlines())) <= width


def _write() -> None:
    import subprocess

    def run(*words: object) -> subprocess.CompletedProcess[str]:
        out, err = io.StringIO(), io.StringIO()
        asked = list(map(str, words))
        with redirect_stdout(out), redirect_stderr(err):
            code = _run(asked)
        return subprocess.CompletedProcess(asked, code, out.getvalue(), err.getvalue())

    with tempfile.TemporaryDirectory() as scratch:
        make(Path(scratch))
        os.environ["GPTEVAL_CACHE"] = str(Path(scratch, "cache"))
        for width in (80, 120):
            os.environ["COLUMNS"] = str(width)
            for name in COMMANDS:
                (SCREENS / f"{name}-{width}.txt").write_text(screen(name, Path(scratch), run), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(_write())

"""What shells offer, asked of the program and in each shell."""

from __future__ import annotations

import os
import pty
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from gpteval.cli.app import program
from gpteval.cli.completion import OF_COMMANDS, OF_OPTIONS
from tests.conftest import RunCli
from tests.made_runs import make_run, scores


def offered(*words: str) -> list[str]:
    """For the last of the words, an option's value."""
    *before, flag, incomplete = words
    command = program.commands[before[0]]
    (option,) = (one for one in command.params if flag in one.opts)
    context = command.make_context(before[0], [*before[1:], flag], resilient_parsing=True)
    return [item.value for item in option.shell_complete(context, incomplete)]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    right = scores([1, 0, 1])
    return make_run(tmp_path / "run", {(model, task): right for model in ("one", "two") for task in ("sst2", "piqa")})


@pytest.mark.parametrize(
    ("words", "values"),
    [
        ("run --profile ", ["gpteval", "lm-eval", "paper", "gpt4-paper"]),
        ("run --choices l", ["letters"]),
        ("run --executor ", ["auto", "inline", "process", "ray", "folder"]),
        ("run --metrics acc_char,exact_match_b", ["acc_char,exact_match_bare"]),
        ("run --until-decided gpt2-nano,gpt3-nano-", ["gpt2-nano,gpt3-nano-medium"]),
        ("run --dtype b", ["bfloat16"]),
        ("run --progress ", ["text", "json"]),
        ("fewshot --controls random-labels,", ["random-labels,random-labels", "random-labels,order"]),
        ("finetune --method l", ["lora"]),
        ("pretrain --recipe gpt3", ["gpt3-nano", "gpt3-nano-medium"]),
        ("compare RUN --format j", ["json"]),
        ("compare RUN --baseline ", ["one", "two"]),
        ("compare RUN --metric ", ["acc"]),
        ("table RUN --format l", ["latex"]),
        ("table RUN --tasks sst2,", ["sst2,sst2", "sst2,piqa"]),
        ("table RUN --models t", ["two"]),
        ("report RUN --format ", ["html", "csv", "md", "latex", "json"]),
        ("report RUN --kind c", ["compare", "card"]),
        ("samples RUN --model ", ["one", "two"]),
        ("samples RUN --task p", ["piqa"]),
        ("samples RUN --shots ", ["0"]),
        ("samples nowhere --model ", []),
        ("samples --model ", []),
    ],
)
def test_values_of_options(words: str, values: list[str], run: Path) -> None:
    assert offered(*(str(run) if word == "RUN" else word for word in words.split(" "))) == values


def test_what_is_known_of_options_is_of_some() -> None:
    flags = {(name, flag) for name, command in program.commands.items() for one in command.params for flag in one.opts}
    assert set(OF_COMMANDS) <= flags
    assert set(OF_OPTIONS) <= {flag for _, flag in flags}


def test_no_table_is_refused_whose_form_is_offered(run: Path, in_process: RunCli) -> None:
    for form in offered("table", str(run), "--format", ""):
        assert in_process("table", run, "--format", form).returncode == 0
    for form in offered("compare", str(run), "--format", ""):
        assert in_process("compare", run, "--format", form).returncode == 0


def _shell(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home, and the program under its name on the way to programs."""
    (tmp_path / "bin").mkdir()
    started = tmp_path / "bin" / "gpteval"
    started.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m gpteval "$@"\n')
    started.chmod(0o755)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    return tmp_path


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_completes_once_it_is_installed(
    shell: str, home: Path, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program_of_shell = _shell(shell)
    monkeypatch.chdir(run.parent)
    said = subprocess.run(["gpteval", "--install-completion", shell], capture_output=True, text=True, check=True).stdout
    assert f"{shell} completion installed in {home}" in said
    for begun, whole in (
        ("gpteval table --format la", "gpteval table --format latex"),
        ("gpteval samples run --model tw", "gpteval samples run --model two"),
        ("gpteval status ru", "gpteval status run/"),
    ):
        if shell == "fish":
            asked = [program_of_shell, "--interactive", "--command", f'complete --do-complete "{begun}"']
            told = subprocess.run(asked, capture_output=True, text=True, timeout=60, check=True).stdout.split()
            assert whole.split()[-1] in told, begun
        else:
            assert whole in _typed(program_of_shell, begun + "\t", whole), begun


def _typed(shell: str, keys: str, until: str) -> str:
    """What a terminal shows after keys are pressed, until it shows what is waited for."""
    process, terminal = pty.fork()
    if process == 0:
        os.environ["TERM"] = "dumb"
        os.execv(shell, [shell, "-i"])
    try:
        _read(terminal, lambda shown: shown.endswith(("# ", "$ ", "% ", "\x1b[?2004h")))
        os.write(terminal, keys.encode())
        return _read(terminal, lambda shown: until in shown.replace("\x07", "")).replace("\x07", "")
    finally:
        os.close(terminal)
        os.waitpid(process, 0)


def _read(terminal: int, is_all: Callable[[str], bool]) -> str:
    """Half a minute at most."""
    shown, end = "", time.monotonic() + 30
    while time.monotonic() < end and not is_all(shown):
        if select.select([terminal], [], [], 1.0)[0]:
            try:
                shown += os.read(terminal, 4096).decode(errors="replace")
            except OSError:
                break
    return shown


def test_a_shell_that_is_not_known_is_told(in_process: RunCli) -> None:
    refused = in_process("--install-completion", "tcsh")
    assert refused.returncode == 2
    assert "unknown shell 'tcsh'" in refused.stderr
    assert "bash, zsh, fish, powershell" in refused.stderr

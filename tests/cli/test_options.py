"""An option means the same in every command that has it."""

from __future__ import annotations

import inspect
import json
from collections import defaultdict
from pathlib import Path
from typing import get_args

import pytest
from typer.models import OptionInfo

from gpteval.cli.app import program
from tests.conftest import RunCli

# Where a command's own sense of a word is another: a range of seeds, one shot beside many, a folder and a file.
OWN = {"--shots", "--seed", "--out", "--models", "--model", "--task", "--tasks", "--limit", "--examples"}
OWN |= {
    "--seeds",
    "--metric",
    "--metrics",
    "--margin",
    "--format",
    "--form",
    "--run",
    "--template",
    "--shots-mode",
    "--methods",
}
WITH_WEIGHTS = ("run", "worker", "fewshot", "place", "generate", "finetune", "prompt-or-tune", "convert", "bench")


def options() -> dict[str, dict[str, tuple[str, str, str]]]:
    """By an option's name, its type, default and text in each command that has it."""
    found: dict[str, dict[str, tuple[str, str, str]]] = defaultdict(dict)
    for name, command in program.commands.items():
        for word, parameter in inspect.signature(command.callback, eval_str=True).parameters.items():
            kind, declared = get_args(parameter.annotation)
            if isinstance(declared, OptionInfo):
                for flag in declared.param_decls or [f"--{word.replace('_', '-')}"]:
                    found[flag][name] = (str(kind), str(parameter.default), str(declared.help))
    return found


OPTIONS = options()


@pytest.mark.parametrize("name", sorted(name for name in set(OPTIONS) - OWN if len(OPTIONS[name]) > 1))
def test_one_name_one_type_one_default_one_text(name: str) -> None:
    assert len(set(OPTIONS[name].values())) == 1, OPTIONS[name]


@pytest.mark.parametrize("command", WITH_WEIGHTS)
@pytest.mark.parametrize("name", ["--device", "--allow-pickle", "--trust-remote-code", "--hub-timeout"])
def test_whatever_loads_weights_is_told_how(command: str, name: str) -> None:
    assert command in OPTIONS[name]


def test_names_before_are_still_taken() -> None:
    assert "run" in OPTIONS["--protocol"]
    assert OPTIONS["--jsonl"].keys() == {"samples"}
    assert OPTIONS["--template"].keys() >= {"run", "fewshot", "show"}


def test_json_is_one_document_wherever_there_is_something_to_read(in_process: RunCli, tmp_path: Path) -> None:
    asked = ("--models", "gpt1-nano,gpt2-nano", "--tasks", "nano_topic", "--limit", 5, "--no-report", "--json")
    assert "results" in json.loads(in_process("run", *asked, "--out", tmp_path / "r").stdout)
    samples = ("samples", tmp_path / "r", "--model", "gpt2-nano", "--task", "nano_topic")
    found = json.loads(in_process(*samples, "--json").stdout)
    assert found == [json.loads(line) for line in in_process(*samples, "--jsonl").stdout.splitlines()]
    for command in ("compare", "report", "status", "place"):
        assert json.loads(in_process(command, tmp_path / "r", "--json").stdout)

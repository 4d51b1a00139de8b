"""A backend and an executor of one's own: a file each and a line each, in somebody's package."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gpteval.backends.by_prefix import backend_class
from gpteval.backends.interface import Backend
from gpteval.core.errors import PluginError, UsageError
from gpteval.models.catalogue import resolve_models
from gpteval.models.prefixes import BUILTIN, prefixes
from gpteval.run.executors.names import executors
from tests.conftest import CHECKOUT, RunCli

CACHES = (prefixes, executors, backend_class)
LINES = (
    "[gpteval.backends]\nparrot = example_backend:Parrot\n[gpteval.executors]\nbackwards = example_executor:Backwards\n"
)
ASKED = ("--tasks", "nano_topic,nano_en_fr,nano_prose", "--limit", "20", "--no-cache", "--device", "cpu")


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder as an installed package: two modules and its entry points."""
    folder = tmp_path / "installed"
    (info := folder / "mine-1.0.dist-info").mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: mine\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(LINES)
    for name in ("example_backend", "example_executor"):
        shutil.copy(CHECKOUT / "tests" / "backends" / f"{name}.py", folder)
    monkeypatch.syspath_prepend(folder)
    for cache in CACHES:
        cache.cache_clear()
    yield folder
    for cache in CACHES:
        cache.cache_clear()
    for name in ("example_backend", "example_executor"):
        sys.modules.pop(name, None)


def rows_of(run: Path) -> list[dict[str, Any]]:
    """A run's results, without what is another each time."""
    rows = json.loads((run / "results.json").read_text())["results"]
    return [{name: value for name, value in row.items() if name != "seconds"} for row in rows]


def test_its_models_run_beside_ours(package: Path, in_process: RunCli, tmp_path: Path) -> None:
    done = in_process("run", "--models", "parrot:B,gpt2-nano", *ASKED, "--out", tmp_path / "r")
    assert done.returncode == 0, done.stderr
    rows = rows_of(tmp_path / "r")
    assert {row["model"] for row in rows} == {"parrot:B", "gpt2-nano"}
    (acc,) = [row for row in rows if (row["model"], row["metric"]) == ("parrot:B", "acc")]
    samples = in_process("samples", tmp_path / "r", "--model", "parrot:B", "--task", "nano_topic:letters", "--jsonl")
    golds = [json.loads(line)["gold"] for line in samples.stdout.splitlines()]
    assert (acc["task"], acc["n"]) == ("nano_topic:letters", 20)
    assert acc["value"] == pytest.approx(golds.count(1) / 20), "right where B is"
    manifest = json.loads((tmp_path / "r" / "manifest.json").read_text())["models"]["parrot:B"]
    assert manifest["fingerprint"] == acc["fingerprint"]
    assert "does not give" in done.stderr, "a text's perplexity cannot be had of it"


def test_a_run_goes_on_with_what_it_has_answered(
    package: Path, in_process: RunCli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ("run", "--models", "parrot:A", *ASKED, "--out", tmp_path / "r")
    assert in_process(*command).returncode == 0
    once = (tmp_path / "r" / "results.json").read_bytes()
    monkeypatch.setattr(backend_class("parrot"), "answer", lambda *asked: pytest.fail("asked again"))
    assert in_process(*command).returncode == 0
    assert (tmp_path / "r" / "results.json").read_bytes() == once


def test_its_executor_computes_the_same(package: Path, in_process: RunCli, tmp_path: Path) -> None:
    for executor in ("inline", "backwards"):
        done = in_process(
            "run", "--models", "gpt2-nano,parrot:C", *ASKED, "--executor", executor, "--out", tmp_path / executor
        )
        assert done.returncode == 0, done.stderr
    assert rows_of(tmp_path / "inline") == rows_of(tmp_path / "backwards")


@pytest.mark.parametrize("where", ["open", "plan", "answer"])
def test_what_a_backend_raises_is_its_own(
    package: Path, in_process: RunCli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    def raising(*asked: object) -> None:
        raise KeyError("no seed")

    monkeypatch.setattr(backend_class("parrot"), where, raising)
    done = in_process("run", "--models", "parrot:A,gpt2-nano", *ASKED, "--out", tmp_path / "r")
    assert done.returncode == 1
    assert "the backend parrot raised KeyError: 'no seed'" in done.stderr
    assert "this is a bug" not in done.stderr
    assert {row["model"] for row in rows_of(tmp_path / "r")} == {"gpt2-nano"}, "the others go on"


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("[gpteval.backends]\nparrot = absent:Parrot\n", "cannot be imported: ModuleNotFoundError"),
        ("[gpteval.backends]\nparrot = example_executor:Backwards\n", "has no can, open, plan"),
        ("[gpteval.backends]\nopenai = example_backend:Parrot\n", "two backends are named openai"),
    ],
)
def test_a_broken_one_is_named(package: Path, lines: str, said: str) -> None:
    (package / "mine-1.0.dist-info" / "entry_points.txt").write_text(lines)
    with pytest.raises(PluginError, match=said):
        backend_class(resolve_models(["parrot:A" if "parrot" in lines else "openai:A"])[0].backend)


def test_a_prefix_alone_names_no_model(package: Path) -> None:
    with pytest.raises(UsageError, match="parrot: names no model"):
        resolve_models(["parrot:"])


@pytest.mark.parametrize("prefix", BUILTIN)
def test_our_own_are_backends_of_the_same_kind(prefix: str) -> None:
    assert Backend in backend_class(prefix).__mro__
    assert backend_class(prefix).can

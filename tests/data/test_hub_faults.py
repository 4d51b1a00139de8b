"""A Hub that wants a token, breaks off, is slow or silent: the run tells it, loses nothing, and goes on when asked."""

from __future__ import annotations

import json
import sys
import threading
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from gpteval.data.downloads import announced, set_hub_timeout, what_broke
from tests.conftest import RunCli
from tests.hub_server import HubServer, publish_dataset, publish_model
from tests.tiny import save_tiny

ROWS = [{"goal": f"make {n}", "sol1": f"with {n % 7}", "sol2": f"without {n % 5}", "label": n % 2} for n in range(3000)]
WEIGHTS, DATA = "model.safetensors", "validation.parquet"


@pytest.fixture
def hub(hub_server: HubServer, tmp_path: Path) -> HubServer:
    publish_model(hub_server.root, "org/tiny", save_tiny(tmp_path / "model"))
    publish_dataset(hub_server.root, "baber/piqa", {"validation": ROWS})
    return hub_server


class Runs:
    """``runs(...)`` is one command again and again, each time with what the Hub's cache already has."""

    def __init__(self, hub: HubServer, folder: Path, run_cli: RunCli) -> None:
        self.hub, self.folder, self.run_cli = hub, folder, run_cli

    def __call__(self, *arguments: str, **env: str) -> Any:
        command = ("run", "--models", "org/tiny", "--tasks", "piqa", "--limit", "20", "--no-report")
        home = self.hub.env(self.folder / "home", **env)
        return self.run_cli(*command, "--out", self.folder / "run", *arguments, env=home)

    @property
    def value(self) -> float:
        rows = json.loads((self.folder / "run/results.json").read_text())["results"]
        return float(next(row["value"] for row in rows if row["primary"]))


@pytest.fixture
def runs(hub: HubServer, tmp_path: Path, run_cli: RunCli) -> Runs:
    return Runs(hub, tmp_path, run_cli)


@pytest.mark.parametrize(("name", "what"), [("org/tiny", "model org/tiny is gated"), ("baber/piqa", "gated dataset")])
def test_what_is_gated_wants_a_token(hub: HubServer, runs: Runs, name: str, what: str) -> None:
    hub.gated = {name}
    refused = runs()
    assert refused.returncode == 1
    assert what in refused.stderr
    assert "HF_TOKEN" in refused.stderr
    done = runs(HF_TOKEN="hf_token")
    assert done.returncode == 0, done.stderr


def test_what_breaks_off_once_is_fetched_to_its_end(hub: HubServer, runs: Runs, tmp_path: Path) -> None:
    whole = Runs(hub, tmp_path / "whole", runs.run_cli)
    assert whole().returncode == 0
    hub.cut = {WEIGHTS: 1, DATA: 1}
    hub.silent = {"config.json": 1}
    done = runs("--hub-timeout", "1")
    assert done.returncode == 0, done.stderr
    assert hub.cut == {WEIGHTS: 0, DATA: 0}
    assert hub.silent == {"config.json": 0}
    assert "timed out" in done.stderr, "not after ten seconds, which this server's silence outlasts too"
    assert runs.value == whole.value


@pytest.mark.parametrize("file", [WEIGHTS, DATA])
def test_what_breaks_off_always_fails_with_advice_and_the_same_command_goes_on(
    hub: HubServer, runs: Runs, file: str
) -> None:
    hub.cut = {file: 99}
    failed = runs()
    assert failed.returncode == 1
    assert "Traceback" not in failed.stderr
    assert "run the same command again" in failed.stderr
    assert "--hub-timeout" in failed.stderr
    hub.cut = {}
    done = runs()
    assert done.returncode == 0, done.stderr


def test_a_slow_download_is_told(hub_server: HubServer, tmp_path: Path, run_cli: RunCli) -> None:
    model = save_tiny(tmp_path / "model", n_embd=512, n_layer=8)  # the library writes ten megabytes at a time
    publish_model(hub_server.root, "org/tiny", model)
    publish_dataset(hub_server.root, "baber/piqa", {"validation": ROWS})
    hub_server.seconds = {WEIGHTS: 9}
    done = Runs(hub_server, tmp_path, run_cli)()
    assert done.returncode == 0, done.stderr
    assert "loading the weights of org/tiny: " in done.stderr
    assert " MB downloaded, " in done.stderr


def test_the_timeout_is_what_the_libraries_read(monkeypatch: pytest.MonkeyPatch, run_cli: RunCli) -> None:
    for name in ("HF_HUB_DOWNLOAD_TIMEOUT", "HF_HUB_ETAG_TIMEOUT"):
        monkeypatch.setenv(name, "10")
    set_hub_timeout(7)
    import subprocess
    import sys

    code = "from huggingface_hub import constants as c; print(c.HF_HUB_DOWNLOAD_TIMEOUT, c.HF_HUB_ETAG_TIMEOUT)"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).split() == ["7", "7"]
    monkeypatch.undo()
    refused = run_cli("run", "--models", "gpt2-nano", "--tasks", "nano_rule", "--hub-timeout", "0")
    assert refused.returncode == 2


def test_the_cause_is_looked_for_behind_the_librarys_own_error() -> None:
    class RemoteProtocolError(Exception):
        pass

    try:
        try:
            raise RemoteProtocolError("peer closed connection")
        except RemoteProtocolError as cause:
            raise OSError("Can't load the model for 'org/tiny'") from cause
    except OSError as error:
        assert what_broke(error) == "broken"
    assert what_broke(OSError("there is no such folder")) == ""


@pytest.mark.parametrize("name", ["datasets.config", "huggingface_hub.constants"])
def test_a_library_that_is_just_being_imported_is_no_fault(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    failed: list[Any] = []
    monkeypatch.setattr(threading, "excepthook", failed.append)
    monkeypatch.setitem(sys.modules, name, ModuleType(name))  # as it stands there before its first line has run
    heard: list[str] = []
    with announced(heard.append, "loading"):
        pass
    assert heard == ["loading"]
    assert not failed

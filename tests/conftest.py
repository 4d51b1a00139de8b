"""Common ground of all tests: no network, no trace outside temporary folders, none of the user's settings."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import execnet
import pytest
from xdist.scheduler import LoadFileScheduling

from gpteval.models.embedded import nano_models
from tests import forks
from tests.api_runs import KEY, MODEL
from tests.api_server import ApiServer
from tests.hub_server import HubServer

# Before anything imports a Hugging Face library: they read these once.
if forks.FOLDER not in os.environ:  # the first process's folder, for all that it starts
    _HOME = tempfile.TemporaryDirectory(prefix="gpteval-tests-", ignore_cleanup_errors=True)
    os.environ[forks.FOLDER] = _HOME.name
for _name in [name for name in os.environ if name.startswith(("GPTEVAL_", "HF_", "HUGGINGFACE_", "TRANSFORMERS_"))]:
    del os.environ[_name]
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # else each process that tests start compiles everything anew
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in what a script starts in the background
    signal.signal(signal.SIGINT, signal.default_int_handler)
gc.set_threshold(50_000, 20, 20)  # libraries are a million objects; to look through them often takes time
os.environ["OMP_NUM_THREADS"] = "1"  # tests run side by side: threads of one would only wait for those of the other
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
os.environ["HF_HOME"] = str(Path(os.environ[forks.FOLDER], "hf"))

CHECKOUT = Path(__file__).parents[1]
SHARED = CHECKOUT.parent / "shared"

RunCli = Callable[..., "subprocess.CompletedProcess[str]"]


# Modules whose tests take some seconds together, the longest first: they begin first, so that none is left at
# the end for one worker alone, and ``make quick`` leaves them out.
SLOW = """
    hub_faults workers api_items api_server_faults finetune_methods breaking api_faults pretrain hub nano_world
    gguf training_breaks breaking_program shared adapters report_browser report_read paper_figures view in_depth
    more_columns echo protocols training_runs api api_until_decided answers cli engine_numbers api_safety
    steady_files lock judged clocks nano training_progress api_money pretrain_config compare engine_parity
    chat_served template agree batch preference repeats chat_runs
    foreign_code engine_properties finetune packaging slots edges any_text serve slices report_pairs security
    own_files until_decided report_examples fewshot_runs reference same_weights run_breaks plan compare_command
    lm_eval_logs divergence given_answers telling hostile_logs other_logs reliability calibration
    generations registry backends gguf_refused fewshot groups place tasks_data sentences callbacks identity
    templates anytime finished voice kernels metrics_choice bench foreign report_export paper_profile letters
    evaluate_metrics foreign_files item_files rescore tutorials frames dry_run completion
""".split()


HUB = ("hub_faults", "hub", "reference", "training_runs", "lock", "same_weights")  # they ask the Hub's server


def pytest_configure() -> None:
    """Each process of the tests has a cache of its own."""
    os.environ["GPTEVAL_CACHE"] = tempfile.mkdtemp(prefix="cache-", dir=os.environ[forks.FOLDER])


def pytest_xdist_setupnodes(config: pytest.Config, specs: list[execnet.XSpec]) -> None:
    """Processes of tests fork from one that has imported everything, the modules of tests included."""
    start = forks.start_of_processes(config.args, config.option.markexpr)
    specs[:] = [execnet.XSpec(f"{spec}//python={start}") for spec in specs]


class _ByFile(LoadFileScheduling):  # type: ignore[misc]
    """A file's tests go to one process, and those of all files that ask the Hub's server: that each process which
    does so has a process that forks for it costs seconds.
    """

    def _split_scope(self, nodeid: str) -> str:
        file = str(super()._split_scope(nodeid))
        return "hub" if Path(file).stem.removeprefix("test_") in HUB else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> _ByFile:
    return _ByFile(config, log)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """In the fast lane slow modules are not even imported."""
    slow = collection_path.suffix == ".py" and collection_path.stem.removeprefix("test_") in SLOW
    return True if slow and config.option.markexpr == "not slow" else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Slow modules first, and marked so."""
    if providers := sys.modules.get("hypothesis.internal.conjecture.providers"):
        # it would parse all of the project in each process, for constants that are worth a try: 20 s
        providers.is_local_module_file = lambda path: False  # type: ignore[attr-defined]
    places = {f"test_{name}": place for place, name in enumerate(SLOW)}
    items.sort(key=lambda item: places.get(item.path.stem, len(places)))
    for item in items:
        if item.path.stem in places:
            item.add_marker(pytest.mark.slow)


def _folder_or_skip(path: Path) -> Path:
    if not path.is_dir():
        pytest.skip(f"{path.relative_to(CHECKOUT.parent)} is not there, beside the checkout")
    return path


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Public test data in the Hub's layout; a value for GPTEVAL_DATA."""
    return _folder_or_skip(SHARED / "data" / "hub")


@pytest.fixture(scope="session")
def shared_tokenizers() -> Path:
    """The real tokenizer files of GPT-1 and GPT-2, one folder each."""
    return _folder_or_skip(SHARED / "tokenizers")


@pytest.fixture(scope="session")
def run_cli() -> RunCli:
    """``run_cli(*arguments, env={})`` runs ``python -m gpteval`` to its end; None in ``env`` removes a variable."""

    def run(
        *arguments: object, env: Mapping[str, str | None] | None = None, timeout: float = 900, cwd: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        changed: dict[str, str | None] = {**os.environ, **(env or {})}
        left = {name: value for name, value in changed.items() if value is not None}
        return forks.run([sys.executable, "-m", "gpteval", *arguments], env=left, cwd=cwd, timeout=timeout)

    return run


@pytest.fixture
def in_process(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> RunCli:
    """As ``run_cli``, but in this process: libraries are loaded once for all."""

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        from gpteval.cli import _run

        words = list(map(str, arguments))
        monkeypatch.setattr(sys, "argv", ["gpteval", *words])
        capsys.readouterr()
        code = _run(words)
        captured = capsys.readouterr()
        return subprocess.CompletedProcess(words, code, captured.out, captured.err)

    return run


@pytest.fixture
def hub_server(tmp_path: Path) -> Iterator[HubServer]:
    """An empty local Hub: fill it with ``publish...(hub_server.root, ...)``, run a subprocess with its ``env()``."""
    server = HubServer(tmp_path / "hub")
    yield server
    server.close()


@pytest.fixture(scope="session")
def shared_server() -> Iterator[ApiServer]:
    server = ApiServer(nano_models()[MODEL])
    yield server
    server.close()


@pytest.fixture
def server(shared_server: ApiServer, monkeypatch: pytest.MonkeyPatch) -> ApiServer:
    """A server with an embedded model, as new."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    while shared_server.active:  # what an earlier test did not wait for
        time.sleep(0.01)
    shared_server.fault = lambda number, body: None
    shared_server.own = None
    shared_server.seconds = 0.0
    shared_server.seen.clear()
    shared_server.answered.clear()
    shared_server.most = 0
    return shared_server

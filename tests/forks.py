"""Program starts that cost little: a process that has imported the large libraries forks for each.

A start is its own process, with its own environment, folder and streams, exactly as ``python -m gpteval`` or ``python
-c``; only the imports are shared. What is read of the environment while importing cannot be given to a fork: where that
is otherwise than here, the process that forks has not imported those libraries, but for environments that ``SHARED``
has; and where it is a variable that nobody knows here, an ordinary start is made. Tests that kill a program, or measure
its start or its memory, start it themselves.
"""

from __future__ import annotations

import gc
import hashlib
import json
import os
import select
import selectors
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache
from pathlib import Path

from filelock import FileLock

IDLE = 1.0  # seconds
FOLDER = "FORKS"  # the variable with the folder of the sockets, one for all processes of a session of tests
HUB = ("HF_", "HUGGINGFACE_", "TRANSFORMERS_")  # read by the Hub's libraries when they are imported
GIVEN = ("GPTEVAL_", "OPENAI_", "PYTHONPATH", "NO_PROXY", "HF_TOKEN")  # read when they are used
SHARED: list[Mapping[str, str | None]] = []  # the Hub's variables, otherwise than here, of many starts
LIGHT = (
    *("torch", "pandas", "pyarrow.parquet", "scipy.stats", "sacrebleu", "rouge_score.rouge_scorer", "sklearn.metrics"),
    *("jinja2", "rich.progress", "typer", "typer._adapters", "pydantic", "httpx2", "gpteval.stats.jackknife"),
    *("gpteval.report.html", "plotly.graph_objects"),
)
FULL = (
    *LIGHT,
    *("transformers", "datasets", "accelerate", "safetensors.torch"),
    *(f"transformers.models.{name}.modeling_{name}" for name in ("gpt2", "gpt_neo", "gpt_neox")),
    *("transformers.models.openai.modeling_openai", "gpteval.cli.app", "gpteval.cli.run_console", "gpteval.run.runner"),
    *("gpteval.tune.local_backend", "gpteval.engine.score", "gpteval.engine.generate", "gpteval.api.chat"),
)


def run(
    command: Sequence[object],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    input: str = "",
    timeout: float = 900,
    check: bool = False,
) -> subprocess.CompletedProcess[str]:
    """Run ``python -m MODULE ...`` or ``python -c CODE ...`` to its end, as ``subprocess.run`` with text does."""
    words = [str(word) for word in command]
    env = dict(os.environ if env is None else env)
    if words[0] != sys.executable or words[1] not in ("-m", "-c") or _kind(env) is None:
        return subprocess.run(
            words, env=env, cwd=cwd, input=input, capture_output=True, text=True, timeout=timeout, check=check
        )
    process = Process(words, env=env, cwd=cwd, input=input)
    done = subprocess.CompletedProcess(words, 0, *process.communicate(timeout))
    done.returncode = process.wait()
    if check:
        done.check_returncode()
    return done


class Process:
    """What ``python -m MODULE ...`` or ``python -c CODE ...`` starts, as ``subprocess.Popen`` with text and pipes."""

    def __init__(
        self,
        command: Sequence[object],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        input: str = "",
    ) -> None:
        self.args = [str(word) for word in command]
        self.returncode: int | None = None
        env = dict(os.environ if env is None else env)
        found = _kind(env)
        assert found is not None, "no process that forks has such an environment"
        kind, otherwise = found
        _hold(kind, otherwise)
        asked = json.dumps([self.args, env, str(cwd or Path.cwd())]).encode()
        self._told = socket.socket(socket.AF_UNIX)
        self._told.connect(_address(kind, otherwise))
        (out, their_out), (err, their_err) = os.pipe(), os.pipe()
        self.stdout, self.stderr = (os.fdopen(pipe, encoding="utf-8", errors="replace") for pipe in (out, err))
        with tempfile.TemporaryFile("w+") as given:
            given.write(input)
            given.flush()
            given.seek(0)
            files = [given.fileno(), their_out, their_err]
            socket.send_fds(self._told, [len(asked).to_bytes(8, "big")], files)
        os.close(their_out)  # so that those who read come to an end
        os.close(their_err)
        self._told.sendall(asked)
        self.pid = _number(self._told)

    def poll(self) -> int | None:
        with suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """The exit code. Raises TimeoutExpired."""
        if self.returncode is None:
            if not select.select([self._told], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(self.args, timeout or 0.0)
            self.returncode = _number(self._told) - 256
            self._told.close()
        return self.returncode

    def communicate(self, timeout: float) -> tuple[str, str]:
        """What it writes to its end. Raises TimeoutExpired, and kills it."""
        with ThreadPoolExecutor(2) as readers, self.stdout, self.stderr:
            said = [readers.submit(pipe.read) for pipe in (self.stdout, self.stderr)]
            try:
                self.wait(timeout)
            except subprocess.TimeoutExpired:
                self.kill()
                raise
            out, err = (one.result() for one in said)
            return out, err

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            with suppress(ProcessLookupError):  # it has just ended, as subprocess has it
                os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)


_Key = tuple[tuple[str, str | None], ...]


def _key(environment: Mapping[str, str | None]) -> _Key:
    return tuple(sorted(environment.items()))


def _kind(env: Mapping[str, str]) -> tuple[str, _Key] | None:
    """What the process has imported that forks for such an environment; None where there can be none."""
    differing = {name for name in {*env, *os.environ} if env.get(name) != os.environ.get(name)}
    left = {name for name in differing if not name.startswith(GIVEN)}
    if any(not name.startswith(HUB) for name in left):
        return None
    otherwise = {name: env.get(name) for name in left}
    return ("full", _key(otherwise)) if otherwise in [{}, *SHARED] else ("light", ())


def _address(kind: str, otherwise: _Key) -> str:
    return os.path.join(os.environ[FOLDER], f"{kind}-{hashlib.sha256(repr(otherwise).encode()).hexdigest()[:12]}")


def start_of_processes(tests: Sequence[str], marked: str) -> str:
    """The start of a command line that runs ``-c CODE`` in a process which has collected these tests already."""
    _hold("tests", (), (*tests, "-m", marked))
    start()  # tests will soon want it
    return start("tests")


def start(kind: str = "full") -> str:
    """The start of a command line that runs ``-m MODULE`` or ``-c CODE`` as a fork."""
    _hold(kind, ())
    return shlex.join([sys.executable, "-S", "-E", str(Path(__file__).with_name("as_fork.py")), _address(kind, ())])


@cache
def _hold(kind: str, otherwise: _Key, tests: tuple[str, ...] = ()) -> socket.socket:
    """A connection that keeps the process that forks alive as long as this one lives. It has its imports of an
    environment that is otherwise than here, and serves all processes of a session; the first that asks starts it.
    """
    address = _address(kind, otherwise)
    held = socket.socket(socket.AF_UNIX)
    with FileLock(f"{address}.lock"):
        try:
            held.connect(address)
        except OSError:  # none, or one that has ended
            Path(address).unlink(missing_ok=True)
            with socket.socket(socket.AF_UNIX) as listener, open(f"{address}.log", "w") as said:
                listener.bind(address)
                listener.listen(64)
                environment: dict[str, str | None] = {**os.environ, **dict(otherwise)}
                subprocess.Popen(
                    [sys.executable, "-c", f"from tests.forks import serve; serve{listener.fileno(), kind, tests}"],
                    pass_fds=[listener.fileno()],
                    env={name: value for name, value in environment.items() if value is not None},
                    cwd=Path(__file__).parents[1],
                    stdin=subprocess.DEVNULL,
                    stdout=said,
                    stderr=said,
                    start_new_session=True,
                )
                held.connect(address)
    return held


def _number(pipe: socket.socket) -> int:
    return int.from_bytes(_exactly(pipe, 8), "big")


def _exactly(pipe: socket.socket, count: int) -> bytes:
    found = b""
    while len(found) < count:
        if not (more := pipe.recv(count - len(found))):
            raise EOFError
        found += more
    return found


def serve(descriptor: int, kind: str, tests: Sequence[str]) -> None:
    """Import, then fork for whoever asks through a listening socket, until nobody is connected any more.

    What every report needs is made ready, too: the page's template and its charts; or ``tests`` are collected."""
    import importlib

    for name in LIGHT if kind == "light" else FULL:
        with suppress(ImportError):
            importlib.import_module(name)
    if kind == "full":
        _make_ready()
    if kind == "tests":
        from tests.collecting import collect

        collect(tests)
    gc.freeze()  # so that no fork looks through, and thereby copies, what all have
    listener = socket.socket(fileno=descriptor)
    chosen = selectors.DefaultSelector()
    chosen.register(listener, selectors.EVENT_READ)
    while events := chosen.select(None if len(chosen.get_map()) > 1 else IDLE):
        for key, _ in events:
            if key.fileobj is listener:
                chosen.register(listener.accept()[0], selectors.EVENT_READ)
            elif isinstance(key.fileobj, socket.socket):
                try:
                    _hear(key.fileobj, chosen)
                except (OSError, EOFError):  # who was connected was killed: no others are to suffer for that
                    chosen.unregister(key.fileobj)
                    key.fileobj.close()
            else:
                _ended(key, chosen)


def _make_ready() -> None:
    from gpteval.core.content import content_dir
    from gpteval.report.packed import chart_library
    from gpteval.report.report_kinds import template_of

    template_of(content_dir("reports") / "leaderboard")
    chart_library()


def _hear(pipe: socket.socket, chosen: selectors.BaseSelector) -> None:
    """Fork for what was asked; or who was connected is gone."""
    head, files, _, _ = socket.recv_fds(pipe, 8, 3)
    if not head:
        chosen.unregister(pipe)
        pipe.close()
        return
    words, env, cwd = json.loads(_exactly(pipe, int.from_bytes(head, "big")))
    pid = os.fork()
    if pid == 0:
        for key in list(chosen.get_map().values()):
            os.close(key.fd)
        chosen.close()
        _become(words, env, cwd, files)
    for file in files:
        os.close(file)
    pipe.sendall(pid.to_bytes(8, "big"))
    chosen.register(os.pidfd_open(pid), selectors.EVENT_READ, (pid, pipe))


def _ended(key: selectors.SelectorKey, chosen: selectors.BaseSelector) -> None:
    """Tell who asked with what code its process ended; unless it did not wait."""
    chosen.unregister(key.fileobj)
    os.close(key.fd)
    pid, pipe = key.data
    _, status = os.waitpid(pid, 0)
    with suppress(OSError):
        pipe.sendall((os.waitstatus_to_exitcode(status) + 256).to_bytes(8, "big"))


def _become(words: list[str], env: Mapping[str, str], cwd: str, files: list[int]) -> None:
    """Go on as the program that ``words`` start, to its end."""
    import atexit
    import importlib
    import runpy
    import threading
    import traceback
    import types

    code = 1
    try:
        for number, file in enumerate(files):
            os.dup2(file, number)
            os.close(file)
        sys.stdin, sys.stdout = open(0, closefd=False), open(1, "w", closefd=False)  # noqa: SIM115
        sys.stderr = open(2, "w", buffering=1, errors="backslashreplace", closefd=False)  # noqa: SIM115
        sys.__stdin__, sys.__stdout__, sys.__stderr__ = sys.stdin, sys.stdout, sys.stderr
        os.environ.clear()
        os.environ.update(env)
        os.chdir(cwd)
        sys.path[0] = cwd if words[1] == "-m" else ""
        sys.path[1:1] = [folder for folder in env.get("PYTHONPATH", "").split(os.pathsep) if folder]
        importlib.invalidate_caches()
        sys.argv = [words[1], *words[3:]]
        if words[1] == "-m":
            runpy.run_module(words[2], run_name="__main__", alter_sys=True)
        else:
            main = types.ModuleType("__main__")
            sys.modules["__main__"] = main
            exec(compile(words[2], "<string>", "exec"), main.__dict__)
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
    finally:
        with suppress(BaseException):
            threading._shutdown()  # type: ignore[attr-defined]
            atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except Exception:
                code = 120  # as Python has it
        os._exit(code & 0xFF)

"""Hostile servers: no key in what is kept, no prompt to another host, no answer without end."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
import time
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gpteval.api.http import Http, masked
from gpteval.backends.api_options import ApiOptions
from gpteval.core.errors import UsageError
from tests.api_runs import KEY, MODEL, QUICK, changing, run, says
from tests.api_server import ApiServer, Body, Fault

CHAT, SERVED = f"openai:{MODEL}", f"completions:{MODEL}"


def _echo_name(document: Body) -> Body:
    return document | {"model": f"{MODEL}-{KEY}"}


def _echo_fingerprint(document: Body) -> Body:
    return document | {"system_fingerprint": f"fp {KEY}"}


def _everywhere(document: Any) -> Any:
    """The key behind each text of a document, its names included."""
    if isinstance(document, dict):
        return {name: _everywhere(value) for name, value in document.items()} | {KEY: KEY}
    if isinstance(document, list):
        return [_everywhere(value) for value in document]
    return f"{document} {KEY}" if isinstance(document, str) and document != MODEL else document


ECHOES = {
    "name": Fault(change=_echo_name),
    "fingerprint": Fault(change=_echo_fingerprint),
    "answer": Fault(change=says(f"my key is {KEY}, A")),
    "refusal": Fault(change=says("x", refusal=f"no, {KEY}")),
    "everywhere": Fault(change=_everywhere),
    "error": Fault(400, document={"error": {"message": f"bad {KEY}", "code": KEY, "param": KEY}}),
    "error in a text": Fault(400, raw=f"<html>{KEY}".encode()),
    "refused key": Fault(401, document={"error": f"{KEY}?"}),
    "no JSON": Fault(raw=f"{KEY} is no JSON".encode()),
    "escaped": Fault(raw=json.dumps({"model": MODEL, "choices": KEY}).replace("sk-", "\\u0073k-").encode()),
    "redirect": Fault(302, {"Location": f"http://{KEY}.example.com/"}, {}),
}


@pytest.mark.parametrize("task", ["nano_topic", "nano_en_fr"])
@pytest.mark.parametrize("kind", ECHOES)
def test_a_key_that_comes_back_is_kept_nowhere(
    server: ApiServer, tmp_path: Path, kind: str, task: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gpteval.api.client.ATTEMPTS", 2)
    server.fault = lambda number, body: ECHOES[kind]
    made = run(server, tmp_path / "r", CHAT, task, limit=4)
    assert KEY not in repr(made)
    files = [path for path in (tmp_path / "r").rglob("*") if path.is_file()]
    assert len(files) >= 3
    for path in files:
        data = path.read_bytes()
        assert KEY.encode() not in data, path.name
    if path := next((tmp_path / "r").glob("samples/*.parquet"), None):
        from gpteval.store.documents import read_samples

        assert KEY not in repr(read_samples(path)), "inside of what is packed, too"


@pytest.mark.parametrize("key", ["EMPTY", "none", "A", "la"])
def test_what_is_no_secret_is_no_secret(
    server: ApiServer, tmp_path: Path, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A placeholder in the key's place takes nothing out of the answers."""
    quiet = run(server, tmp_path / "quiet", CHAT, "nano_en_fr", limit=5)
    monkeypatch.setenv("OPENAI_API_KEY", key)
    made = run(server, tmp_path / "r", CHAT, "nano_en_fr", limit=5)
    assert made.results[0].value == quiet.results[0].value
    assert masked({"a": [key]}, Http(ApiOptions(base_url=server.url))) == {"a": [key]}


def test_a_password_in_the_address_is_a_secret() -> None:
    http = Http(ApiOptions(base_url="http://me:hunter2hunter2@127.0.0.1:9/v1"))
    assert http.clean("hello hunter2hunter2") == "hello ***"


def test_a_key_that_cannot_be_sent(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("sk-tést", encoding="utf-8")
    with pytest.raises(UsageError, match="characters that a key cannot contain") as caught:
        ApiOptions(key_file=tmp_path / "key").key()
    assert "tést" not in str(caught.value)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_prompts_go_to_no_other_host(server: ApiServer, tmp_path: Path, status: int) -> None:
    other = ApiServer.plain()
    try:
        server.fault = lambda number, body: Fault(status, {"Location": f"{other.url}/chat/completions"}, {})
        made = run(server, tmp_path, CHAT, "nano_topic", limit=3)
        host = other.url.removesuffix("/v1")
        assert f"the server redirects to {host}" in made.failures[0].error
        assert (other.seen, len(server.seen)) == ([], len(server.seen))
        assert len(server.seen) <= 16
    finally:
        other.close()


def test_a_redirect_on_the_same_host_is_followed(server: ApiServer, tmp_path: Path) -> None:
    quiet = run(server, tmp_path / "quiet", CHAT, "nano_en_fr", limit=4)
    on = Fault(307, {"Location": "/other/v1/chat/completions"}, {})
    server.fault = lambda number, body: None if server.seen[number][0].startswith("/other") else on
    made = run(server, tmp_path / "r", CHAT, "nano_en_fr", limit=4)
    assert (made.failures, made.results[0].value) == ((), quiet.results[0].value)
    server.fault = lambda number, body: Fault(307, {"Location": "/v1/chat/completions"}, {})
    made = run(server, tmp_path / "round", CHAT, "nano_en_fr", limit=4)
    assert "in a loop" in made.failures[0].error


@pytest.mark.parametrize("fault", [Fault(drip=0.05), Fault(seconds=3.0)], ids=["drips", "waits"])
def test_one_deadline_for_a_whole_answer(
    server: ApiServer, tmp_path: Path, fault: Fault, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gpteval.api.client.ATTEMPTS", 2)
    server.fault = lambda number, body: fault
    made = run(server, tmp_path, CHAT, "nano_en_fr", replace(QUICK, timeout=0.4), limit=1)
    assert "no answer within 0.4 s" in made.failures[0].error
    assert len(server.seen) == 2


def test_headers_that_drip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import socket
    import threading

    monkeypatch.setattr("gpteval.api.client.ATTEMPTS", 1)
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def drip() -> None:
            connection, _ = listening.accept()
            with connection:
                for byte in b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100:
                    try:
                        connection.sendall(bytes([byte]))
                    except OSError:
                        return
                    time.sleep(0.05)

        threading.Thread(target=drip, daemon=True).start()
        from gpteval.api.client import Client
        from gpteval.core.errors import ModelError

        url = f"http://127.0.0.1:{listening.getsockname()[1]}/v1"
        with pytest.raises(ModelError, match=r"no answer within 0\.4 s"):
            Client(ApiOptions(base_url=url, timeout=0.4), "x").ask(b"", _Any())


class _Any:
    """Asks for nothing in particular."""

    def begin(self, key: bytes) -> dict[str, Any]:
        return {}

    def end(self, key: bytes, paid: bool) -> None:
        self.paid = paid

    def read(self, key: bytes, document: Any, seconds: float) -> Any:
        return document

    def rejected(self, key: bytes, body: Any, error: Exception) -> Any:
        raise error


BOMB = """
import sys
from gpteval.api.client import Client
from gpteval.backends.api_options import ApiOptions
import gpteval.api.client as client
client.ATTEMPTS = 1
class Anything:
    def begin(self, key): return {}
    def end(self, key, paid): pass
    def rejected(self, key, body, error): raise error
try:
    Client(ApiOptions(base_url=sys.argv[1]), "x").ask(b"", Anything())
except Exception as error:
    print(error)
(most,) = [line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")]
print(int(most) // 1024)
"""


@pytest.mark.parametrize(
    ("packing", "data"),
    [
        ("gzip", gzip.compress(bytes(200 * 2**20), 1)),
        ("deflate", zlib.compress(bytes(200 * 2**20), 1)),
        ("identity", b"[" * 2**20),
        ("zstd", b"x"),
    ],
)
@pytest.mark.parametrize("status", [200, 400])
def test_an_answer_is_bounded_after_unpacking(packing: str, data: bytes, status: int) -> None:
    """200 MiB out of less than one; deep brackets; a packing that was not asked for."""
    server = ApiServer.plain()
    try:
        server.own = lambda path, body: {}
        server.fault = lambda number, body: Fault(status, {"Content-Encoding": packing}, raw=data)
        done = subprocess.run(
            [sys.executable, "-c", BOMB, server.url], capture_output=True, text=True, timeout=900, check=True
        )
        message, _, used = done.stdout.strip().rpartition("\n")
        shown = {"identity": "no JSON" if status == 200 else "[[", "zstd": "not asked for"}
        said = shown.get(packing, "larger than 32 MiB")
        assert said in message
        assert int(used) < 400, "MiB, of which Python and its libraries take most"
    finally:
        server.close()


def test_many_names_of_a_server_are_bounded(server: ApiServer, tmp_path: Path) -> None:
    numbers = iter(range(10**6))
    server.fault = changing(lambda document: document | {"system_fingerprint": f"{next(numbers)}" * 10_000})
    run(server, tmp_path, CHAT, "nano_en_fr", limit=15)
    assert (tmp_path / "manifest.json").stat().st_size < 100_000

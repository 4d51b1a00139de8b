"""A Hugging Face Hub of one's own: enough of its HTTP interface for ``load_dataset`` and ``from_pretrained``.

A repository lies in ``<root>/<datasets|models>/<org>/<name>/``, one folder a commit, and ``refs.json`` says which
commit a branch or tag names. Code under test must run in a subprocess with ``HubServer.env``: the libraries read
their endpoint and HF_HOME when they are imported. So all servers of a process of tests, one at a time, have one
address, and all homes one path, a link to the home that was asked for last: ``tests.forks`` starts them cheaply.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import socket
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

from tests import forks

Kind = Literal["datasets", "models"]
SILENCE = 30.0  # seconds without an answer

_RESOLVE = re.compile(r"/(?:(datasets)/)?([^/]+/[^/]+)/resolve/([^/]+)/(.+)")
_API = re.compile(r"/api/(datasets|models)/([^/]+/[^/]+)(?:/(revision|tree|refs)(?:/([^/]+)(?:/(.+))?)?)?")


def publish(root: Path, kind: Kind, name: str, folder: Path, revision: str = "main") -> str:
    """Publish the files of ``folder`` as a commit of ``org/name`` that ``revision`` names. Its 40 hex digits."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    content = hashlib.sha1(name.encode())
    for path in files:
        content.update(path.relative_to(folder).as_posix().encode() + path.read_bytes())
    commit = content.hexdigest()
    repo = root / kind / name
    shutil.copytree(folder, repo / commit, dirs_exist_ok=True)
    refs = repo / "refs.json"
    known = json.loads(refs.read_text()) if refs.exists() else {}
    refs.write_text(json.dumps({"main": commit} | known | {revision: commit}))
    return commit


def publish_model(root: Path, name: str, folder: Path, revision: str = "main") -> str:
    """Publish a folder that ``save_pretrained`` wrote (model and tokenizer). The commit."""
    return publish(root, "models", name, folder, revision)


def publish_dataset(
    root: Path,
    name: str,
    splits: Mapping[str, list[dict[str, Any]]],
    *,
    config: str = "default",
    revision: str = "main",
) -> str:
    """Publish rows as Parquet files of one config, with the README header that the Hub wants. The commit."""
    import tempfile

    import pyarrow
    import pyarrow.parquet

    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / config).mkdir()
        lines = ["---", "configs:", f"- config_name: {config}", "  data_files:"]
        for split, rows in splits.items():
            pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), folder / config / f"{split}.parquet")
            lines += [f"  - split: {split}", f"    path: {config}/{split}.parquet"]
        (folder / "README.md").write_text("\n".join([*lines, "---", f"# {name}", ""]))
        return publish(root, "datasets", name, folder, revision)


class HubServer:
    """A running server. ``requests`` lists ``"METHOD /path"`` in the order of arrival.

    ``port`` is the one of all of them, 0 before the first. It can be made to fail: ``gated`` names repositories that
    want a token; ``cut`` says how often the download of a file of such a name breaks off in the middle; ``seconds`` how
    long it takes; ``silent`` how often no answer comes.
    """

    port = 0

    def __init__(self, root: Path) -> None:
        self.root = root
        self.gated: set[str] = set()
        self.cut: dict[str, int] = {}
        self.seconds: dict[str, float] = {}
        self.silent: dict[str, int] = {}
        self.requests: list[str] = []
        handler = type("Handler", (_Handler,), {"hub": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", HubServer.port), handler)
        HubServer.port = self._server.server_address[1]
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def env(self, home: Path, **changes: str) -> dict[str, str]:
        """The environment of a subprocess that knows this Hub only, with ``home`` as its HF_HOME, until another is
        asked for.
        """
        home.mkdir(parents=True, exist_ok=True)
        link = Path(os.environ["HF_HOME"]).parent / f"hub-home-{os.getpid()}"
        link.unlink(missing_ok=True)
        link.symlink_to(home)
        foreign = ("GPTEVAL_", "HF_", "HUGGINGFACE_", "TRANSFORMERS_")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
        own = {"HF_ENDPOINT": self.url, "HF_HOME": str(link), "GPTEVAL_CACHE": str(home / "gpteval")}
        flags = {"HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_TELEMETRY": "1", "NO_PROXY": "127.0.0.1"}
        found = kept | own | flags
        hubs = {name: found.get(name) for name in {*os.environ, *found} if name.startswith(forks.HUB)}
        shared = {name: value for name, value in hubs.items() if value != os.environ.get(name)}
        if shared not in forks.SHARED:
            forks.SHARED.append(shared)
        return found | changes

    def downloads(self, name: str) -> list[str]:
        """The files of ``org/name`` that were downloaded, not only asked about."""
        return [r.split("/", 4)[-1] for r in self.requests if r.startswith("GET") and f"/{name}/resolve/" in r]

    def commit(self, kind: str, name: str, revision: str) -> str | None:
        """The commit that ``revision`` names; "" without such a revision, None without such a repository."""
        refs = self.root / kind / name / "refs.json"
        if not refs.is_file():
            return None
        known: dict[str, str] = json.loads(refs.read_text())
        return known.get(revision, revision if revision and (refs.parent / revision).is_dir() else "")


class _Handler(BaseHTTPRequestHandler):
    hub: HubServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else each answer of two writes waits 40 ms

    def do_GET(self) -> None:
        self.hub.requests.append(f"{self.command} {self.path}")
        path = unquote(urlsplit(self.path).path)
        if match := _RESOLVE.fullmatch(path):
            self._file(match[1] or "models", match[2], match[3], match[4])
        elif match := _API.fullmatch(path):
            self._api(match[1], match[2], match[3], match[4] or "main", match[5] or "")
        else:
            self._refuse("RepoNotFound", "no such page")

    do_HEAD = do_GET

    def _file(self, kind: str, name: str, revision: str, file: str) -> None:
        commit = self._commit(kind, name, revision)
        if not commit:
            return
        path = self.hub.root / kind / name / commit / file
        if not path.is_file():
            self._refuse("EntryNotFound", f"no {file}", {"X-Repo-Commit": commit})
            return
        if self.command == "GET" and self.hub.silent.get(path.name, 0) > 0:
            self.hub.silent[path.name] -= 1
            time.sleep(SILENCE)
        data = path.read_bytes()
        headers = {"ETag": f'"{hashlib.sha1(data).hexdigest()}"', "X-Repo-Commit": commit, "Accept-Ranges": "bytes"}
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if asked:
            first, last = int(asked[1]), min(int(asked[2] or len(data)), len(data) - 1)
            headers["Content-Range"] = f"bytes {first}-{last}/{len(data)}"
            self._send(206, data[first : last + 1], headers, path.name)
        else:
            self._send(200, data, headers, path.name)

    def _api(self, kind: str, name: str, what: str | None, revision: str, folder: str) -> None:
        commit = self._commit(kind, name, revision)
        if not commit:
            return
        if what == "refs":
            known = json.loads((self.hub.root / kind / name / "refs.json").read_text())
            branches = [{"name": ref, "ref": f"refs/heads/{ref}", "targetCommit": sha} for ref, sha in known.items()]
            self._json({"branches": branches, "converts": [], "tags": []})
            return
        base = self.hub.root / kind / name / commit
        files = sorted(p for p in base.rglob("*") if p.is_file())
        if what != "tree":
            siblings = [{"rfilename": p.relative_to(base).as_posix()} for p in files]
            flags = {"private": False, "gated": False, "disabled": False, "tags": [], "downloads": 0, "likes": 0}
            self._json({"_id": "0", "id": name, "sha": commit, "siblings": siblings, **flags})
        elif not (base / folder).is_dir():
            self._refuse("EntryNotFound", f"no {folder}")
        else:
            recursive = "recursive=true" in self.path.lower()
            entries = sorted((base / folder).rglob("*") if recursive else (base / folder).iterdir())
            self._json([_entry(path, base) for path in entries])

    def _commit(self, kind: str, name: str, revision: str) -> str | None:
        commit = self.hub.commit(kind, name, revision)
        if commit is None:
            self._refuse("RepoNotFound", f"no {name}")
        elif not commit:
            self._refuse("RevisionNotFound", f"{name} has no {revision}")
        elif name in self.hub.gated and not self.headers.get("Authorization"):
            self._refuse("GatedRepo", f"Access to {name} is restricted.", status=401)
            return None
        return commit

    def _refuse(self, code: str, message: str, headers: Mapping[str, str] | None = None, status: int = 404) -> None:
        extra = {"X-Error-Code": code, "X-Error-Message": message, **(headers or {})}
        self._send(status, json.dumps({"error": message}).encode(), extra)

    def _json(self, document: object) -> None:
        self._send(200, json.dumps(document).encode(), {"Content-Type": "application/json"})

    def _send(self, status: int, body: bytes, headers: Mapping[str, str], file: str = "") -> None:
        self.send_response(status)
        for key, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        if self.hub.cut.get(file, 0) > 0:
            self.hub.cut[file] -= 1
            self.wfile.write(body[: len(body) // 2])
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        pieces = 10 if file in self.hub.seconds else 1
        size = -(-len(body) // pieces) or 1
        with suppress(ConnectionError):  # the client does not wait any longer
            for begin in range(0, len(body), size):
                time.sleep(self.hub.seconds.get(file, 0) / pieces)
                self.wfile.write(body[begin : begin + size])

    def log_message(self, format: str, *args: object) -> None:
        pass


def _entry(path: Path, base: Path) -> dict[str, object]:
    name = path.relative_to(base).as_posix()
    if path.is_dir():
        return {"type": "directory", "oid": hashlib.sha1(name.encode()).hexdigest(), "size": 0, "path": name}
    data = path.read_bytes()
    return {"type": "file", "oid": hashlib.sha1(data).hexdigest(), "size": len(data), "path": name}

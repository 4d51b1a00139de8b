"""The server of ``gpteval view``: it listens on this machine alone, answers only who has its address, and writes
nothing.

Another page that the user's browser has open can neither read it (the address holds a token, and the name of the host
is looked at, so that no other name leads here) nor show it in a frame.
"""

from __future__ import annotations

import hmac
import secrets
import sys
import traceback
from collections.abc import Sequence
from functools import cache
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from gpteval.core.errors import GptevalError, UsageError
from gpteval.core.strict import strict_json
from gpteval.core.text import without_paths
from gpteval.report.fewshot_view import examples
from gpteval.report.html import render
from gpteval.report.pairs_view import paired
from gpteval.report.report_kinds import LEADERBOARD, kind_folder
from gpteval.store.runs import read_runs
from gpteval.view.listing import found_runs, told

HOST = "127.0.0.1"
POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data: blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
HTML, JSON, TEXT = "text/html; charset=utf-8", "application/json", "text/plain; charset=utf-8"


class ViewServer(ThreadingHTTPServer):
    """Serves the runs among ``places`` and below them. Raises UsageError where one is no folder, or where the port is
    taken.
    """

    daemon_threads = True

    def __init__(self, places: Sequence[Path], port: int = 0) -> None:
        found_runs(places)
        self.places, self.token = tuple(places), secrets.token_urlsafe(16)
        try:
            super().__init__((HOST, port), _Handler)
        except OSError as error:
            way_out = "leave --port out, or name another"
            raise UsageError(f"port {port} cannot be used: {error.strerror}", way_out) from error

    @property
    def address(self) -> str:
        return f"http://{HOST}:{self.server_address[1]}/{self.token}/"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A reader who leaves in the middle is no event; all else is told."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: ViewServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server_version, sys_version = "gpteval", ""

    def do_GET(self) -> None:
        try:
            status, kind, text = self._answer()
        except GptevalError as error:
            status, kind, text = HTTPStatus.CONFLICT, TEXT, without_paths(f"{error.message}\n{error.hint or ''}")
        except Exception as error:
            traceback.print_exc()
            status, kind = HTTPStatus.INTERNAL_SERVER_ERROR, TEXT
            text = f"this page cannot be made ({type(error).__name__}): the terminal of gpteval view says more"
        body = text.encode("utf-8", "replace")
        self.send_response(status)
        for name, value in {**HEADERS, "Content-Type": kind, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def _answer(self) -> tuple[HTTPStatus, str, str]:
        address = urlsplit(self.path)
        port = self.server.server_address[1]
        _, token, *rest = address.path.split("/", 2) if address.path.count("/") > 1 else ("", "")
        if self.headers.get("Host") not in (f"{HOST}:{port}", f"localhost:{port}"):
            return HTTPStatus.MISDIRECTED_REQUEST, TEXT, "this server has another name"
        if not hmac.compare_digest(token.encode(), self.server.token.encode()):
            return HTTPStatus.NOT_FOUND, TEXT, "the address that gpteval view printed is needed, whole"
        runs = found_runs(self.server.places)
        asked = parse_qs(address.query).get("run", [])
        if unknown := [name for name in asked if name not in runs]:
            return HTTPStatus.NOT_FOUND, TEXT, f"there is no run {unknown[0]} any more"
        match rest:
            case [""]:
                return HTTPStatus.OK, HTML, _page()
            case ["runs.json"]:
                return HTTPStatus.OK, JSON, strict_json([told(name, run) for name, run in runs.items()])
            case ["run.json"] if len(asked) == 1:
                return HTTPStatus.OK, JSON, strict_json(told(asked[0], runs[asked[0]], whole=True))
            case ["report"] if asked:
                data = read_runs([runs[name] for name in asked])
                return HTTPStatus.OK, HTML, render(data.merged, kind_folder(LEADERBOARD), paired(data), examples(data))
        return HTTPStatus.NOT_FOUND, TEXT, "there is no such page"

    def log_message(self, format: str, *arguments: Any) -> None:
        """Nothing: the terminal is the user's."""


@cache
def _page() -> str:
    return files("gpteval.view").joinpath("page.html").read_text(encoding="utf-8")

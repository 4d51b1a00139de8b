"""A server of one's own with OpenAI's batch interface, as it is documented: files, batches, lists, metadata.

What it answers to a request is ``answer``; ``fate`` says what becomes of one instead: an error's status, or "expired".
A batch ends after it was looked at ``looks`` times. ``paid`` counts the answers of each request, by its content.
"""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable
from email import message_from_bytes
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

Body = dict[str, Any]


def said(text: str, model: str) -> Body:
    """A chat's answer."""
    message = {"role": "assistant", "content": text, "refusal": None}
    choice = {"index": 0, "finish_reason": "stop", "logprobs": None, "message": message}
    usage = {"prompt_tokens": 20, "completion_tokens": 2, "total_tokens": 22}
    return {"id": "x", "object": "chat.completion", "model": model, "choices": [choice], "usage": usage}


class BatchServer:
    """A running server."""

    def __init__(self) -> None:
        self.files: dict[str, str] = {}
        self.batches: list[Body] = []
        self.paid: Counter[str] = Counter()
        self.looks = 2
        self.answer: Callable[[Body], str] = lambda body: "yes"
        self.fate: Callable[[Body, int], int | str] = lambda body, batch: 0
        self.refuse: Callable[[str, str], int] = lambda method, path: 0  # a status, of a step
        self.lock = threading.Lock()
        self.steps: list[str] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self._do("GET", b"")

            def do_POST(self) -> None:
                self._do("POST", self.rfile.read(int(self.headers["Content-Length"])))

            def _do(self, method: str, data: bytes) -> None:
                with server.lock:
                    server.steps.append(f"{method} {self.path}")
                    status, content = server.reply(method, self.path, data, self.headers.get("Content-Type", ""))
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *args: object) -> None:
                """Nothing."""

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._http.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}/v1"

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()

    def reply(self, method: str, address: str, data: bytes, kind: str) -> tuple[int, bytes]:
        path = urlsplit(address).path.removeprefix("/v1/")
        if status := self.refuse(method, path):
            return status, json.dumps({"error": {"message": "not now", "code": None}}).encode()
        if (method, path) == ("POST", "files"):
            return self._json(self._upload(data, kind))
        if (method, path) == ("POST", "batches"):
            return self._json(self._create(json.loads(data)))
        if path == "batches":
            return self._json(self._list({name: value[0] for name, value in parse_qs(urlsplit(address).query).items()}))
        if path.startswith("batches/"):
            found = next((one for one in self.batches if one["id"] == path.split("/")[1]), None)
            return self._json(self._look(found)) if found else (404, b'{"error": {"message": "no such batch"}}')
        name = path.split("/")[1]
        return (200, self.files[name].encode()) if name in self.files else (404, b'{"error": {"message": "no file"}}')

    @staticmethod
    def _json(document: Body) -> tuple[int, bytes]:
        return 200, json.dumps(document).encode()

    def _upload(self, data: bytes, kind: str) -> Body:
        form = message_from_bytes(b"Content-Type: " + kind.encode() + b"\r\n\r\n" + data)
        parts = {part.get_param("name", header="content-disposition"): part for part in form.get_payload()}  # type: ignore[union-attr]
        assert parts["purpose"].get_payload().strip() == "batch"  # type: ignore[union-attr]
        name = f"file-{len(self.files)}"
        self.files[name] = parts["file"].get_payload(decode=True).decode()  # type: ignore[union-attr]
        return {"id": name, "object": "file", "purpose": "batch"}

    def _create(self, asked: Body) -> Body:
        assert asked["endpoint"] == "/v1/chat/completions"
        assert asked["completion_window"] == "24h"
        total = len(self.files[asked["input_file_id"]].splitlines())
        batch = {"id": f"batch_{len(self.batches)}", "object": "batch", "status": "validating", **asked, "looked": 0}
        batch |= {"request_counts": {"total": total, "completed": 0, "failed": 0}, "errors": None}
        self.batches.insert(0, batch)
        return batch

    def _list(self, asked: dict[str, str]) -> Body:
        names = [one["id"] for one in self.batches]
        begin = names.index(asked["after"]) + 1 if "after" in asked else 0
        page = self.batches[begin : begin + min(2, int(asked["limit"]))]  # pages are short
        for one in page:
            self._look(one)
        return {"object": "list", "data": page, "has_more": begin + len(page) < len(names)}

    def _look(self, batch: Body) -> Body:
        batch["looked"] += 1
        if batch["status"] in ("validating", "in_progress"):
            batch["status"] = "in_progress"
            if batch["looked"] >= self.looks:
                self._end(batch)
        return batch

    def _end(self, batch: Body) -> None:
        good, bad, expired = [], [], False
        number = int(batch["id"].removeprefix("batch_"))
        for line in map(json.loads, self.files[batch["input_file_id"]].splitlines()):
            fate = self.fate(line["body"], number)
            head = {"id": "r", "custom_id": line["custom_id"]}
            if fate == "expired":
                expired = True
                bad.append({**head, "response": None, "error": {"code": "batch_expired", "message": "not in time"}})
            elif fate:
                error = {"error": {"message": f"Unsupported parameter: {fate}", "param": None, "code": None}}
                status = fate if isinstance(fate, int) else 400
                bad.append({**head, "response": {"status_code": status, "body": error}, "error": None})
            else:
                self.paid[json.dumps(line["body"]["messages"]) + str(line["body"].get("seed"))] += 1
                body = said(self.answer(line["body"]), line["body"]["model"])
                good.append({**head, "response": {"status_code": 200, "body": body}, "error": None})
        for lines, field in ((good, "output_file_id"), (bad, "error_file_id")):
            if lines:
                name = f"file-{len(self.files)}"
                self.files[name] = "".join(json.dumps(line) + "\n" for line in lines)
                batch[field] = name
        batch["status"] = "expired" if expired else "completed"
        batch["request_counts"] |= {"completed": len(good), "failed": len(bad)}

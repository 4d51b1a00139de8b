"""A server of one's own that speaks OpenAI's language, with a real model behind it and faults on demand.

``/v1/completions`` echoes prompts (texts or token ids) with true log-probabilities, computed by plain transformers;
``/v1/chat/completions`` continues the messages, one behind the other, greedily.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

Body = dict[str, Any]


@dataclass(frozen=True)
class Fault:
    """What a request gets instead of its answer, or what is done to the answer.

    ``cut``: the connection ends in the middle. ``change``: the document otherwise. ``drip``: seconds between the bytes.
    """

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    document: Any = None
    seconds: float = 0.0
    cut: bool = False
    raw: bytes | None = None
    change: Callable[[Body], Body] | None = None
    drip: float = 0.0


class ApiServer:
    """A running server. ``fault(number, body)`` says what goes wrong with a request; ``seen`` has each request's path,
    headers and body; ``answered`` the bodies that were answered in full.
    """

    def __init__(self, folder: Path | None) -> None:
        if folder is not None:
            import torch
            import transformers

            self.torch = torch
            self.tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
            self.model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
        self.fault: Callable[[int, Body], Fault | None] = lambda number, body: None
        self.own: Callable[[str, Body], Body] | None = None  # answers in the model's place
        self.seconds = 0.0
        self.seen: list[tuple[str, dict[str, str], Body]] = []
        self.answered: list[str] = []
        self.most = self.active = 0
        self.lock, self.computing = threading.Lock(), threading.Lock()
        self._known: dict[str, bytes] = {}
        self._spelled: dict[int, str] = {}
        self.dead = False  # connections are cut, and none is taken
        self._begin(0)

    @classmethod
    def plain(cls) -> ApiServer:
        """One without a model, for faults."""
        return cls(None)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}/v1"

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()

    def _begin(self, port: int) -> None:
        self._http = _Server(("127.0.0.1", port), self)
        threading.Thread(target=self._http.serve_forever, daemon=True).start()

    def die(self, seconds: float) -> None:
        """Cut all connections and take none, then begin anew."""
        port, self.dead = self._http.server_address[1], True
        self.close()
        time.sleep(seconds)
        self.dead = False
        self._begin(port)

    def answer(self, path: str, body: Body) -> Body:
        return json.loads(self.written(path, body))  # type: ignore[no-any-return]

    def written(self, path: str, body: Body) -> bytes:
        """The answer as it is sent."""
        if self.own is not None:
            return json.dumps(self.own(path, body)).encode()
        key = json.dumps([path, body], sort_keys=True)
        with self.computing:
            if key not in self._known:
                document = self._complete(body) if path.endswith("/v1/completions") else self._chat(body)
                self._known[key] = json.dumps(document).encode()
            return self._known[key]

    def _ids(self, prompt: Any) -> list[int]:
        return prompt if isinstance(prompt, list) else self.tokenizer(prompt)["input_ids"]

    def _logprobs(self, ids: list[int]) -> Any:
        with self.torch.inference_mode():
            return self.model(input_ids=self.torch.tensor([ids])).logits[0].log_softmax(-1)

    def _write(self, ids: list[int], most: int, first: Any = None) -> tuple[list[int], str, list[Any]]:
        """Greedy tokens, why they end, and the log-probabilities of the next token at each of their places, of which
        the ``first`` may be known.
        """
        written: list[int] = []
        places = []
        window, past, new = self.model.config.max_position_embeddings, None, ids
        while len(written) < most:
            if len(ids) + len(written) > window:  # it slides: all places are others
                past, new = None, (ids + written)[-window:]
            if first is None or written:
                with self.torch.inference_mode():
                    found = self.model(self.torch.tensor([new]), past_key_values=past, use_cache=True, logits_to_keep=1)
                past, new = found.past_key_values, []
            places.append(first if past is None else found.logits[0, -1].log_softmax(-1))
            token = int(places[-1].argmax())
            new = [*new, token]
            if token == self.tokenizer.eos_token_id:
                return written, "stop", places
            written.append(token)
        return written, "length", places

    def _token(self, token: int) -> str:
        if token not in self._spelled:
            self._spelled[token] = str(self.tokenizer.decode([token]))
        return self._spelled[token]

    def _complete(self, body: Body) -> Body:
        ids = self._ids(body["prompt"])
        known = self._logprobs(ids) if body.get("echo") else [None]
        written, reason, places = self._write(ids, body.get("max_tokens", 16), known[-1])
        text = self.tokenizer.decode(written)
        for stop in body.get("stop") or []:
            if stop in text:
                text, reason = text[: text.index(stop)], "stop"
        choice: Body = {"index": 0, "text": text, "finish_reason": reason, "logprobs": None}
        if body.get("echo"):
            rows = self.torch.stack([*known[:-1], *places[: len(written)]])
            tokens = ids + written
            numbers = [None, *rows.gather(1, self.torch.tensor(tokens[1:])[:, None])[:, 0].tolist()]
            most = rows.max(dim=1)
            best = zip(most.indices.tolist(), most.values.tolist(), strict=True)
            tops = [None, *({self._token(token): number} for token, number in best)]
            names = [self._token(token) for token in tokens]
            choice |= {"text": "".join(names)}
            choice["logprobs"] = {"tokens": names, "token_logprobs": numbers, "top_logprobs": tops}
        return self._document(body, choice, len(ids), len(written))

    def _chat(self, body: Body) -> Body:
        text = "\n".join(message["content"] for message in body["messages"] if message["role"] == "user")
        ids = self._ids(text)
        most = body.get("max_tokens") or body.get("max_completion_tokens") or 16
        written, reason, places = self._write(ids, most)
        choice: Body = {"index": 0, "finish_reason": reason, "logprobs": None}
        choice["message"] = {"role": "assistant", "content": self.tokenizer.decode(written), "refusal": None}
        if body.get("logprobs"):
            numbers, tokens = places[0].topk(body.get("top_logprobs") or 1)
            top = [
                {"token": self._token(int(token)), "logprob": float(n)}
                for n, token in zip(numbers, tokens, strict=True)
            ]
            choice["logprobs"] = {"content": [top[0] | {"top_logprobs": top}]}
        return self._document(body, choice, len(ids), len(written))

    @staticmethod
    def _document(body: Body, choice: Body, read: int, written: int) -> Body:
        usage = {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}
        named = {"id": "x", "object": "completion", "created": 0, "model": body["model"], "system_fingerprint": "fp_1"}
        return {**named, "choices": [choice], "usage": usage}


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], api: ApiServer) -> None:
        self.api = api
        super().__init__(address, _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that leave are part of the tests."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else each answer of two writes waits 40 ms
    server: _Server

    def do_POST(self) -> None:
        api = self.server.api
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with api.lock:
            number = len(api.seen)
            api.seen.append((self.path, {name.lower(): value for name, value in self.headers.items()}, body))
            api.active += 1
            api.most = max(api.most, api.active)
        try:
            fault = api.fault(number, body) or Fault()
            time.sleep(api.seconds + fault.seconds)
            if fault.raw is not None:
                data = fault.raw
            elif fault.status != 200 or fault.document is not None:
                data = json.dumps(fault.document).encode()
            elif fault.change:
                data = json.dumps(fault.change(api.answer(self.path, body))).encode()
            else:
                data = api.written(self.path, body)
        finally:
            with api.lock:
                api.active -= 1
        if api.dead:
            self.close_connection = True
            return
        if fault.status == 200 and not fault.cut and fault.raw is None and fault.document is None:
            with api.lock:
                api.answered.append(json.dumps(body, sort_keys=True))
        self.send_response(fault.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        for name, value in fault.headers.items():
            self.send_header(name, value)
        self.end_headers()
        for byte in data if fault.drip else b"":
            self.wfile.write(bytes([byte]))
            self.wfile.flush()
            time.sleep(fault.drip)
        if not fault.drip:
            self.wfile.write(data[: len(data) // 2] if fault.cut else data)
        self.close_connection = self.close_connection or fault.cut

    def log_message(self, format: str, *args: object) -> None:
        pass

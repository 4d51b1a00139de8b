"""Requests to a server: many at a time, each sent again until it is answered, none lost."""

from __future__ import annotations

import json
import queue
import random
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from email.utils import parsedate_to_datetime
from typing import Any, Protocol

from gpteval.api.gate import Gate
from gpteval.api.options import ApiOptions
from gpteval.core.errors import GptevalError, ModelError, UsageError

ATTEMPTS = 8  # at one request, refusals for its rate not counted
PATIENCE = 600.0  # seconds that a request waits for its turn at a server that refuses for the rate
LONGEST_PAUSE = 30.0
Document = Mapping[str, Any]
Key = bytes
Answer = Any  # what an exchange makes of a document


class Malformed(Exception):
    """An answer that is none: the request is sent again."""


class Rejected(Exception):
    """The server will not answer this request, whoever asks: it is not sent again."""

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message)
        self.message, self.code = message, code


class _Again(Exception):
    """The request is to be sent again, after ``seconds`` where the server named them. ``rate``: it sees too many."""

    def __init__(self, reason: str, seconds: float | None = None, rate: bool = False) -> None:
        super().__init__(reason)
        self.reason, self.seconds, self.rate = reason, seconds, rate


class Exchange(Protocol):
    """What is asked under a key, and what its answers mean."""

    def may_send(self, key: Key) -> None:
        """Raises what forbids it; that ends all."""

    def body(self, key: Key) -> dict[str, Any]:
        """The request."""

    def read(self, key: Key, document: Document, seconds: float) -> Answer:
        """The answer, which took so long. Raises Malformed for one that is none."""

    def rejected(self, key: Key, error: Rejected) -> Answer:
        """What a rejection means. Raises Malformed where the request is to be sent again, otherwise."""


class Client:
    """One server. ``path``: ``completions`` or ``chat/completions``."""

    def __init__(self, options: ApiOptions, path: str) -> None:
        try:
            import openai
        except ImportError as error:
            raise UsageError("models behind an API need the openai client", "pip install 'gpteval[api]'") from error
        self._openai: Any = openai
        self._key = options.key()
        self._client = openai.OpenAI(
            api_key=self._key, base_url=options.url or None, max_retries=0, timeout=options.timeout
        )
        self.options, self.path = options, path
        self.gate = Gate(options.in_flight)
        self.sent = 0
        self._pauses = random.Random()

    def ask_all(self, keys: Sequence[Key], exchange: Exchange) -> Iterator[tuple[Key, Answer]]:
        """The answer to each request, as they come.

        What forbids a request, an error of reading, and a server that does not answer end all: requests on their way
        are waited for and given first, so that nothing that was answered is lost.
        """
        left = iter(keys)
        lock, stop = threading.Lock(), threading.Event()
        done: queue.SimpleQueue[tuple[Key | None, Answer | None, Exception | None]] = queue.SimpleQueue()

        def work() -> None:
            while not stop.is_set():
                with lock:
                    key = next(left, None)
                if key is None:
                    break
                try:
                    exchange.may_send(key)
                    answer = self.ask(key, exchange, stop)
                except _Stopped:
                    break
                except Exception as error:
                    done.put((key, None, error))
                    break
                done.put((key, answer, None))
            done.put((None, None, None))

        workers = [threading.Thread(target=work, daemon=True) for _ in range(min(len(keys), self.options.in_flight))]
        for worker in workers:
            worker.start()
        working, broken = len(workers), None
        try:
            while working:
                key, answer, error = done.get()
                if error is not None:
                    broken = broken or error
                    stop.set()
                elif key is None:
                    working -= 1
                else:
                    yield key, answer
        finally:
            stop.set()
        if broken is not None:
            raise broken

    def ask(self, key: Key, exchange: Exchange, stop: threading.Event | None = None) -> Answer:
        """One request until it is answered. Raises ModelError, and what ``exchange`` raises."""
        stop = stop or threading.Event()
        begin, attempt, refusals, reason = time.monotonic(), 0, 0, ""
        while attempt < ATTEMPTS:
            if not self.gate.enter(stop):
                raise _Stopped
            rate, pause, sent = False, 0.0, time.monotonic()
            try:
                try:
                    document = self._send(exchange.body(key))
                except Rejected as error:
                    return exchange.rejected(key, error)
                return exchange.read(key, document, time.monotonic() - sent)
            except (_Again, Malformed) as error:
                again = error if isinstance(error, _Again) else _Again(f"it gave no answer that can be read: {error}")
                reason, rate = again.reason, again.rate
                attempt, refusals = attempt + (not rate), refusals + rate
                pause = min(LONGEST_PAUSE, self.options.backoff * 2 ** min(10, attempt + refusals - 1))
                pause *= self._pauses.uniform(0.5, 1.0)
                pause = again.seconds if again.seconds is not None else pause
            finally:
                self.gate.leave(refused=rate, seconds=min(pause, PATIENCE) if rate else 0.0)
            if pause > PATIENCE:
                reason += f"; it asks to wait for {pause:,.0f} s"
                break
            if rate and time.monotonic() - begin + pause > PATIENCE:
                break
            if not rate and stop.wait(pause):
                raise _Stopped
        raise ModelError(
            f"the server does not answer: {reason}",
            "what was answered is kept: run the same command again when it does",
        )

    def _send(self, body: dict[str, Any]) -> Document:
        openai = self._openai
        kind = self._client.chat.completions if self.path.startswith("chat") else self._client.completions
        self.sent += 1
        try:
            raw = kind.with_raw_response.create(**body)
        except openai.APITimeoutError:
            raise _Again(f"no answer within {self.options.timeout:g} s") from None
        except openai.APIConnectionError as error:
            raise _Again(f"the connection failed: {self._clean(error.__cause__ or error)}") from None
        except openai.APIStatusError as error:
            raise self._status(error) from None
        except openai.OpenAIError as error:
            raise Malformed(self._clean(error)) from None
        try:
            document = json.loads(raw.content)
        except ValueError as error:
            raise Malformed(f"no JSON: {error}") from None
        if not isinstance(document, Mapping):
            raise Malformed("no JSON object")
        return document

    def _status(self, error: Any) -> Exception:
        """What an HTTP status means."""
        said = self._clean(error)
        code = str(getattr(error, "code", "") or "")
        status = error.status_code
        if status == 429 and code != "insufficient_quota":
            return _Again(f"it refuses for the rate: {said}", _retry_after(error.response.headers), rate=True)
        if status in (408, 409, 425) or status >= 500:
            return _Again(f"status {status}: {said}", _retry_after(error.response.headers))
        if status in (400, 413, 422):
            return Rejected(said, "content_filter" if "content_filter" in (code, str(error.body)) else code)
        hints = {401: "check the key", 403: "check what the key may do", 404: "check the model's name and --base-url"}
        hint = hints.get(status, "see its message")
        return ModelError(f"the server refuses (status {status}): {said}", hint)

    def _clean(self, error: object) -> str:
        """An error's text, on one line, without the key."""
        text = " ".join(str(error).split())
        return (text.replace(self._key, "***") if self._key else text)[:300]


class _Stopped(GptevalError):
    """Another request ended all."""

    def __init__(self) -> None:
        super().__init__("stopped")


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that the server asks to wait, from its headers: milliseconds, seconds, or a date.

    A date is compared with the server's own (RFC 9110, 10.2.3 and 6.6.1): this machine's clock may be wrong.
    """
    try:
        if "retry-after-ms" in headers:
            return max(0.0, float(headers["retry-after-ms"]) / 1000)
        text = headers.get("retry-after", "")
        if not text or text.replace(".", "", 1).isdigit():
            return float(text) if text else None
        now = _seconds_of(headers["date"]) if "date" in headers else time.time()
        return max(0.0, _seconds_of(text) - now)
    except (ValueError, TypeError):
        return None


def _seconds_of(date: str) -> float:
    """Since 1970, of a date in HTTP's form. Raises ValueError."""
    return parsedate_to_datetime(date).timestamp()

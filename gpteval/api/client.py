"""Requests to a server: many at a time, each sent again until it is answered, none lost."""

from __future__ import annotations

import json
import queue
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from email.utils import parsedate_to_datetime
from functools import partial
from typing import Any, Protocol

from gpteval.api.gate import Gate
from gpteval.api.http import Http, NoAnswer, NotSent, Reply, masked
from gpteval.api.options import ApiOptions
from gpteval.core.errors import GptevalError, ModelError

ATTEMPTS = 8  # at one request, refusals for its rate not counted
PATIENCE = 600.0  # seconds that a request waits for its turn at a server that refuses for the rate
LONGEST_PAUSE = 30.0
LONGEST_MESSAGE = 300  # characters of a server's message that are kept
Document = Mapping[str, Any]
Key = bytes
Answer = Any  # what an exchange makes of a document


class Malformed(Exception):
    """An answer that is none: the request is sent again."""


class Rejected(Exception):
    """The server will not answer this request as it is. ``parameter``: what of it the server names as the reason."""

    def __init__(self, message: str, code: str = "", parameter: str = "") -> None:
        super().__init__(message)
        self.message, self.code, self.parameter = message, code, parameter


class Otherwise(Exception):
    """The request is sent again at once, in another form: it does not count as an attempt."""


class _Again(Exception):
    """The request is to be sent again, after ``seconds`` where the server named them. ``rate``: it sees too many."""

    def __init__(self, reason: str, seconds: float | None = None, rate: bool = False) -> None:
        super().__init__(reason)
        self.reason, self.seconds, self.rate = reason, seconds, rate


class Exchange(Protocol):
    """What is asked under a key, and what its answers mean."""

    def begin(self, key: Key) -> dict[str, Any]:
        """The request as it is to be sent now. Raises what forbids it; that ends all."""

    def end(self, key: Key, paid: bool) -> None:
        """No document came of what was begun. ``paid``: it may have to be paid for."""

    def read(self, key: Key, document: Document, seconds: float) -> Answer:
        """The answer, which took so long. Raises Malformed for one that is none."""

    def rejected(self, key: Key, body: Mapping[str, Any], error: Rejected) -> Answer:
        """What a rejection of ``body`` means. Raises Otherwise where the request is to be sent again, otherwise."""


class Client:
    """One server. ``path``: ``completions`` or ``chat/completions``."""

    def __init__(self, options: ApiOptions, path: str) -> None:
        self.http = Http(options)
        self.options, self.path = options, path
        self.gate = Gate(options.in_flight)
        self.sent = 0
        self._lock = threading.Lock()
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
                body = exchange.begin(key)
                try:
                    document = self._send(body, partial(exchange.end, key))
                except Rejected as error:
                    return exchange.rejected(key, body, error)
                return exchange.read(key, document, time.monotonic() - sent)
            except Otherwise:
                continue
            except (_Again, Malformed) as error:
                again = error if isinstance(error, _Again) else _Again(f"it gave no answer that can be read: {error}")
                reason, rate = again.reason, again.rate
                attempt, refusals = attempt + (not rate), refusals + rate
                pause = min(LONGEST_PAUSE, self.options.backoff * 2 ** min(10, attempt + refusals - 1))
                pause *= self._pauses.uniform(0.5, 1.0)
                pause = max(pause, again.seconds or 0.0)
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

    def _send(self, body: dict[str, Any], end: Callable[[bool], None]) -> Document:
        """The answer's document, without the key. Where there is none, ``end`` is told whether it may be paid for."""
        with self._lock:
            self.sent += 1
        paid = False
        try:
            reply = self.http.post(self.path, body)
            if reply.status >= 300:
                raise self._status(reply)
            paid = True
            document = json.loads(reply.text)
            if not isinstance(document, Mapping):
                raise Malformed("no JSON object")
            return masked(document, self.http)  # type: ignore[no-any-return]
        except NoAnswer as error:
            end(True)
            raise _Again(str(error)) from None
        except NotSent as error:
            end(False)
            raise _Again(str(error)) from None
        except (ValueError, RecursionError) as error:
            end(paid)
            raise Malformed(f"no JSON: {self.http.clean(str(error))[:200]}") from None
        except BaseException:
            end(paid)
            raise

    def _status(self, reply: Reply) -> Exception:
        """What an HTTP status means."""
        message, code, parameter = self._error_in(reply.text)
        said = f"status {reply.status}: {message}" if message else f"status {reply.status}"
        if reply.status == 429 and code != "insufficient_quota":
            return _Again(f"it refuses for the rate: {said}", _retry_after(reply.headers), rate=True)
        if reply.status in (408, 409, 425) or reply.status >= 500:
            return _Again(said, _retry_after(reply.headers))
        if reply.status in (400, 413, 422):
            return Rejected(message or said, "content_filter" if message == "content_filter" else code, parameter)
        hints = {401: "check the key", 403: "check what the key may do", 404: "check the model's name and --base-url"}
        return ModelError(f"the server refuses ({said})", hints.get(reply.status, "see its message"))

    def _error_in(self, text: str) -> tuple[str, str, str]:
        """Of an error's body: message, code, and the parameter that it is about; "" for what is not told."""
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            found = None
        told = found.get("error", found) if isinstance(found, dict) else found
        told = told if isinstance(told, dict) else {"message": told if isinstance(told, str) else text}
        names = ("message", "code", "param")
        message, code, parameter = (self.http.clean(str(told.get(name) or "")) for name in names)
        shown = " ".join((message or self.http.clean(text))[: 10 * LONGEST_MESSAGE].split())
        return shown[:LONGEST_MESSAGE], code, parameter


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

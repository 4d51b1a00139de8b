"""Requests to a server: many at a time, each sent again until it is answered or given up, none lost."""

from __future__ import annotations

import json
import queue
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime
from functools import partial
from typing import Any, Protocol

from gpteval.api.gate import Gate
from gpteval.api.http import Http, NoAnswer, NotSent, Reply, masked
from gpteval.api.kinds import FILTERED, NO_ANSWER, REJECTED, UNFIT, UNREACHED, UNREADABLE, is_moderation
from gpteval.api.options import ApiOptions
from gpteval.api.streak import KEPT, said
from gpteval.api.waiting import Waiting
from gpteval.core.errors import GptevalError, ModelError

ATTEMPTS = 8  # at one request, refusals for its rate not counted; fewer where they are paid for
PATIENCE = 600.0  # seconds that a request waits for its turn at a server that refuses for the rate
LONGEST_PAUSE = 30.0
LONGEST_MESSAGE = 300  # characters of a server's message that are kept
HINTS = {
    401: "check the key",
    402: "the account has no money left",
    403: "check what the key may do",
    404: "check the model's name and --base-url",
}
# What reading a document raises that has another form than any answer.
_ODD = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
Document = Mapping[str, Any]
Key = bytes
Answer = Any  # what an exchange makes of a document


class Malformed(Exception):
    """A document that is no answer: the request is sent again. ``kind``: what it is if that does not help."""

    def __init__(self, message: str, kind: str = UNREADABLE) -> None:
        super().__init__(message)
        self.kind = kind


class Rejected(Exception):
    """The server will not answer this request as it is. ``parameter``: what of it the server names as the reason;
    ``kind``: what the item is that is asked for no more; ``hint``: what to do where that happens to all.
    """

    def __init__(self, message: str, kind: str = REJECTED, parameter: str = "", hint: str = "") -> None:
        super().__init__(message)
        self.message, self.kind, self.parameter, self.hint = message, kind, parameter, hint


class GivenUp(ModelError):
    """No attempt at a request brought an answer. ``silent``: nothing came at all."""

    def __init__(self, kind: str, reason: str, silent: bool) -> None:
        super().__init__(said(kind, reason, silent), KEPT)
        self.kind, self.reason, self.silent = kind, reason, silent


class Otherwise(Exception):
    """The request is sent again at once, in another form: it does not count as an attempt."""


class _Again(Exception):
    """The request is to be sent again, after ``seconds`` where the server named them. ``rate``: it sees too many;
    ``paid``: whether the attempt has to be paid for, None where that is not known; ``silent``: nothing came of it.
    """

    def __init__(
        self,
        reason: str,
        seconds: float | None = None,
        *,
        rate: bool = False,
        paid: bool | None = False,
        kind: str = NO_ANSWER,
        silent: bool = True,
    ) -> None:
        super().__init__(reason)
        self.reason, self.seconds, self.rate, self.paid = reason, seconds, rate, paid
        self.kind, self.silent = kind, silent


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


class ManyExchanges(Exchange, Protocol):
    """One that has many keys, of which one may be given up."""

    def given_up(self, key: Key, error: GivenUp) -> Answer:
        """What it means that no attempt brought an answer. Raises ModelError where the others will fail, too."""


class Client:
    """One server. ``path``: ``completions`` or ``chat/completions``; ``tell``: shows what is waited for."""

    def __init__(self, options: ApiOptions, path: str) -> None:
        self.http = Http(options)
        self.options, self.path = options, path
        self.gate = Gate(options.in_flight)
        self.sent = 0
        self.tell: Callable[[str], None] = lambda text: None
        self._reached = False  # somebody is at the address
        self._lock = threading.Lock()
        self._pauses = random.Random()

    def ask_all(self, keys: Sequence[Key], exchange: ManyExchanges) -> Iterator[tuple[Key, Answer]]:
        """The answer to each request, as they come.

        What forbids a request, an error of reading, and a server that does not answer end all: requests on their way
        are waited for and given first, so that nothing that was answered is lost.
        """

        def ask(key: Key, stop: threading.Event, waiting: Waiting) -> Answer:
            try:
                return self._ask(key, exchange, stop, waiting)
            except GivenUp as error:
                return exchange.given_up(key, error)

        return self._all(keys, ask)

    def ask(self, key: Key, exchange: Exchange) -> Answer:
        """One request until it is answered. Raises ModelError, and what ``exchange`` raises."""
        ((_, answer),) = self._all([key], lambda key, stop, waiting: self._ask(key, exchange, stop, waiting))
        return answer

    def _all(
        self, keys: Sequence[Key], ask: Callable[[Key, threading.Event, Waiting], Answer]
    ) -> Iterator[tuple[Key, Answer]]:
        left = iter(keys)
        lock, stop, waiting = threading.Lock(), threading.Event(), Waiting(self.options.timeout)
        done: queue.SimpleQueue[tuple[Key | None, Answer | None, Exception | None]] = queue.SimpleQueue()

        def work() -> None:
            while not stop.is_set():
                with lock:
                    key = next(left, None)
                if key is None:
                    break
                try:
                    answer = ask(key, stop, waiting)
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
                try:
                    key, answer, error = done.get(timeout=waiting.seconds)
                except queue.Empty:
                    self.tell(waiting.told())
                    continue
                waiting.over()
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

    def _ask(self, key: Key, exchange: Exchange, stop: threading.Event, waiting: Waiting) -> Answer:
        begin, attempt, refusals = time.monotonic(), 0, 0
        while True:
            if not self.gate.enter(stop):
                raise _Stopped
            rate, pause, sent = False, 0.0, time.monotonic()
            try:
                waiting.sent(key)
                body = exchange.begin(key)
                try:
                    document = self._send(body, partial(exchange.end, key))
                except Rejected as error:
                    return exchange.rejected(key, body, error)
                return self._read(exchange, key, document, time.monotonic() - sent)
            except Otherwise:
                continue
            except _Again as error:
                again, rate = error, error.rate
                attempt, refusals = attempt + (not rate), refusals + rate
                pause = min(LONGEST_PAUSE, self.options.backoff * 2 ** min(10, attempt + refusals - 1))
                pause *= self._pauses.uniform(0.5, 1.0)
                pause = max(pause, again.seconds or 0.0)
                waiting.paused(key, again.reason, pause)
            finally:
                self.gate.leave(refused=rate, seconds=min(pause, PATIENCE) if rate else 0.0)
            if pause > PATIENCE:
                raise _silent(f"{again.reason}; it asks to wait for {pause:,.0f} s")
            if rate and time.monotonic() - begin + pause > PATIENCE:
                raise _silent(again.reason)
            if not rate and attempt >= _most(again):
                raise GivenUp(again.kind, again.reason, again.silent)
            if not rate and stop.wait(pause):
                raise _Stopped

    @staticmethod
    def _read(exchange: Exchange, key: Key, document: Document, seconds: float) -> Answer:
        """Raises _Again for a document that is no answer."""
        try:
            return exchange.read(key, document, seconds)
        except Malformed as error:
            raise _Again(str(error), paid=True, kind=error.kind, silent=False) from None
        except _ODD as error:
            raise _Again(f"{type(error).__name__}: {error}", paid=True, kind=UNREADABLE, silent=False) from None

    def _send(self, body: dict[str, Any], end: Callable[[bool], None]) -> Document:
        """The answer's document, without the key. Where there is none, ``end`` is told whether it may be paid for."""
        with self._lock:
            self.sent += 1
        paid = False
        try:
            reply = self.http.post(self.path, body)
            self._reached = True
            if reply.status >= 300:
                raise self._status(reply)
            paid = True
            document = json.loads(reply.text)
            if not isinstance(document, Mapping):
                raise _unreadable("no JSON object")
            if not document.get("choices") and (document.get("error") or document.get("object") == "error"):
                error = self._error(document)
                paid = error.status == 0
                raise self._meaning(error, {})
            return masked(document, self.http)  # type: ignore[no-any-return]
        except NoAnswer as error:
            end(True)
            raise _Again(str(error), paid=None) from None
        except NotSent as error:
            end(False)
            if error.refused and not self._reached:
                address = self.http.clean(self.http.url)
                raise _silent(str(error), f"start the server, or check --base-url: it is {address}") from None
            raise _Again(str(error), kind=UNREACHED) from None
        except (ValueError, RecursionError) as error:
            end(paid)
            raise _unreadable(f"no JSON: {self.http.clean(str(error))[:200]}") from None
        except BaseException:
            end(paid)
            raise

    def _status(self, reply: Reply) -> Exception:
        """What an HTTP status means."""
        try:
            document = json.loads(reply.text)
        except (ValueError, RecursionError):
            document = {"message": reply.text}
        error = self._error(document if isinstance(document, Mapping) else {"message": document})
        return self._meaning(replace(error, status=reply.status, moved=reply.moved), reply.headers)

    def _error(self, document: Mapping[str, Any]) -> _Error:
        """What an error's document tells, without the key."""
        told = document.get("error", document)
        told = told if isinstance(told, Mapping) else {"message": told}
        message, code, parameter = (self.http.clean(_text(told.get(name))) for name in ("message", "code", "param"))
        shown = message or self.http.clean(_text(document.get("detail") or told))
        shown = " ".join(shown[: 10 * LONGEST_MESSAGE].split())[:LONGEST_MESSAGE]
        status = int(code) if code.isascii() and code.isdecimal() and len(code) == 3 and code >= "400" else 0
        return _Error(status, shown, code, parameter, is_moderation(message, code, told))

    def _meaning(self, error: _Error, headers: Mapping[str, str]) -> Exception:
        """What to make of an error that the server tells."""
        status, seconds = error.status, _retry_after(headers)
        if status == 0 and error.moderated:
            return Rejected(error.message, FILTERED)
        if status == 0:  # in an answer, without a number: it may have been made, and may be made again
            return _Again(error.message, paid=True, silent=False)
        if status == 429 and error.code != "insufficient_quota":
            return _Again(f"it refuses for the rate: {error.said}", seconds, rate=True)
        if status in (408, 409, 425) or status >= 500:
            return _Again(error.said, seconds)
        if status in (400, 403, 413, 422, 451):
            shown = error.said if status == 403 else error.message or error.said
            kind = FILTERED if error.moderated or status == 451 else REJECTED
            return Rejected(shown, kind, error.parameter, HINTS.get(status, ""))
        hint = "name that address with --base-url" if error.moved or 300 <= status < 400 else "see its message"
        return ModelError(f"the server refuses ({error.said})", HINTS.get(status, hint))


@dataclass(frozen=True)
class _Error:
    """What a server tells of an error: ``status`` as of HTTP (0: none told), ``moderated`` for what a prompt contains,
    ``moved`` as in ``Reply``.
    """

    status: int
    message: str
    code: str
    parameter: str
    moderated: bool
    moved: str = ""

    @property
    def said(self) -> str:
        what = f"status {self.status}" + (", moved" if 300 < self.status < 400 else "")
        what += f": {self.message}" if self.message else ""
        return f"{what}; {self.moved}" if self.moved else what


class _Stopped(GptevalError):
    """Another request ended all."""

    def __init__(self) -> None:
        super().__init__("stopped")


def _most(again: _Again) -> int:
    """Attempts at one request at most, by what came of the last one."""
    if again.kind == UNFIT or again.paid is False:
        return ATTEMPTS
    return (ATTEMPTS + 2) // 2 if again.paid is None else (ATTEMPTS + 1) // 3


def _silent(reason: str, hint: str = KEPT) -> ModelError:
    return ModelError(said(NO_ANSWER, reason, silent=True), hint)


def _unreadable(reason: str) -> _Again:
    return _Again(reason, paid=True, kind=UNREADABLE, silent=False)


def _text(value: object) -> str:
    """What a server writes in the place of a text."""
    if isinstance(value, str) or value is None:
        return value or ""
    try:
        return json.dumps(value)
    except (ValueError, RecursionError):
        return "something that is no text"


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

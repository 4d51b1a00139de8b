"""Requests to a server: many at a time, each sent again until it is answered or given up, none lost."""

from __future__ import annotations

import json
import queue
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Protocol

from gpteval.api.gate import Gate
from gpteval.api.http import Http, NoAnswer, NotSent, masked
from gpteval.api.server_errors import Again, GivenUp, Malformed, Otherwise, Rejected, error_in, meaning, of_status
from gpteval.api.streak import KEPT, said
from gpteval.api.waiting import Waiting
from gpteval.backends.api_options import ApiOptions
from gpteval.core.errors import GptevalError, ModelError
from gpteval.core.kinds import NO_ANSWER, UNFIT, UNREACHED, UNREADABLE

ATTEMPTS = 8  # at one request, refusals for its rate not counted; fewer where they are paid for
PATIENCE = 600.0  # seconds that a request waits for its turn at a server that refuses for the rate, or starts again
LONGEST_PAUSE = 30.0
# What reading a document raises that has another form than any answer.
_ODD = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
Document = Mapping[str, Any]
QueryKey = bytes
Answer = Any  # what an exchange makes of a document


class Exchange(Protocol):
    """What is asked under a key, and what its answers mean."""

    def begin(self, key: QueryKey) -> dict[str, Any]:
        """The request as it is to be sent now. Raises what forbids it; that ends all."""

    def end(self, key: QueryKey, paid: bool) -> None:
        """No document came of what was begun. ``paid``: it may have to be paid for."""

    def read(self, key: QueryKey, document: Document, seconds: float) -> Answer:
        """The answer, which took so long. Raises Malformed for one that is none."""

    def rejected(self, key: QueryKey, body: Mapping[str, Any], error: Rejected) -> Answer:
        """What a rejection of ``body`` means. Raises Otherwise where the request is to be sent again, otherwise."""


class ManyExchanges(Exchange, Protocol):
    """One that has many keys, of which one may be given up."""

    def given_up(self, key: QueryKey, error: GivenUp) -> Answer:
        """What it means that no attempt brought an answer. Raises ModelError where the others will fail, too."""


class Client:
    """One server. ``path``: ``completions`` or ``chat/completions``; ``tell``: shows what is waited for."""

    def __init__(self, options: ApiOptions, path: str, tell: Callable[[str], None] = lambda what: None) -> None:
        self.http = Http(options)
        self.options, self.path = options, path
        self.gate = Gate(options.in_flight)
        self.sent = 0
        self.tell = tell
        self._reached = False  # somebody is at the address
        self._lock = threading.Lock()
        self._pauses = random.Random()

    def ask_all(self, keys: Sequence[QueryKey], exchange: ManyExchanges) -> Iterator[tuple[QueryKey, Answer]]:
        """The answer to each request, as they come.

        What forbids a request, an error of reading, and a server that does not answer end all: requests on their way
        are waited for and given first, so that nothing that was answered is lost.
        """

        def ask(key: QueryKey, stop: threading.Event, waiting: Waiting) -> Answer:
            try:
                return self._ask(key, exchange, stop, waiting)
            except GivenUp as error:
                return exchange.given_up(key, error)

        return self._all(keys, ask)

    def ask(self, key: QueryKey, exchange: Exchange) -> Answer:
        """One request until it is answered. Raises ModelError, and what ``exchange`` raises."""
        ((_, answer),) = self._all([key], lambda key, stop, waiting: self._ask(key, exchange, stop, waiting))
        return answer

    def _all(
        self, keys: Sequence[QueryKey], ask: Callable[[QueryKey, threading.Event, Waiting], Answer]
    ) -> Iterator[tuple[QueryKey, Answer]]:
        left = iter(keys)
        lock, stop, waiting = threading.Lock(), threading.Event(), Waiting(self.options.timeout)
        done: queue.SimpleQueue[tuple[QueryKey | None, Answer | None, Exception | None]] = queue.SimpleQueue()

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
                    self.tell(waiting.message())
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

    def _ask(self, key: QueryKey, exchange: Exchange, stop: threading.Event, waiting: Waiting) -> Answer:
        begin, attempt, waits = time.monotonic(), 0, 0
        while True:
            if not self.gate.enter(stop):
                raise _Stopped
            rate, patient, pause, sent = False, False, 0.0, time.monotonic()
            try:
                waiting.sent(key)
                body = exchange.begin(key)
                try:
                    document = self._send(body, partial(exchange.end, key))
                except Rejected as error:
                    return exchange.rejected(key, body, error)
                answer = self._read(exchange, key, document, time.monotonic() - sent)
                self.gate.there(sent)
                return answer
            except Otherwise:
                continue
            except Again as error:
                again, rate, patient = error, error.rate, error.rate or error.gone
                attempt, waits = attempt + (not patient), waits + patient
                pause = min(LONGEST_PAUSE, self.options.backoff * 2 ** min(10, attempt + waits - 1))
                pause *= self._pauses.uniform(0.5, 1.0)
                pause = max(pause, again.seconds or 0.0)
                if again.gone:
                    self.gate.gone()
                elif again.paid is None:  # it was sent
                    self.gate.there(sent)
                waiting.paused(key, again.reason, pause)
            finally:
                self.gate.leave(refused=rate, seconds=min(pause, PATIENCE) if rate else 0.0)
            if pause > PATIENCE:
                raise _silent(f"{again.reason}; it asks to wait for {pause:,.0f} s")
            if patient and time.monotonic() - begin + pause > PATIENCE:
                raise _silent(again.reason)
            if not patient and attempt >= _most(again):
                raise GivenUp(again.kind, again.reason, again.silent)
            if not rate and stop.wait(pause):
                raise _Stopped

    @staticmethod
    def _read(exchange: Exchange, key: QueryKey, document: Document, seconds: float) -> Answer:
        """Raises Again for a document that is no answer."""
        try:
            return exchange.read(key, document, seconds)
        except Malformed as error:
            raise Again(str(error), paid=True, kind=error.kind, silent=False) from None
        except _ODD as error:
            raise Again(f"{type(error).__name__}: {error}", paid=True, kind=UNREADABLE, silent=False) from None

    def _send(self, body: dict[str, Any], end: Callable[[bool], None]) -> Document:
        """The answer's document, without the key. Where there is none, ``end`` is told whether it may be paid for."""
        with self._lock:
            self.sent += 1
        paid = False
        try:
            reply = self.http.post(self.path, body)
            self._reached = True
            if reply.status >= 300:
                raise of_status(reply, self.http.clean)
            paid = True
            document = json.loads(reply.text)
            if not isinstance(document, Mapping):
                raise _unreadable("no JSON object")
            if not document.get("choices") and (document.get("error") or document.get("object") == "error"):
                error = error_in(document, self.http.clean)
                paid = error.status == 0
                raise meaning(error, {})
            return masked(document, self.http)  # type: ignore[no-any-return]
        except NoAnswer as error:
            end(True)
            raise Again(str(error), paid=None) from None
        except NotSent as error:
            end(False)
            if error.refused and not self._reached:
                address = self.http.clean(self.http.url)
                raise _silent(str(error), f"start the server, or check --base-url: it is {address}") from None
            raise Again(str(error), gone=error.refused, kind=UNREACHED) from None
        except (ValueError, RecursionError) as error:
            end(paid)
            raise _unreadable(f"no JSON: {self.http.clean(str(error))[:200]}") from None
        except BaseException:
            end(paid)
            raise


class _Stopped(GptevalError):
    """Another request ended all."""

    def __init__(self) -> None:
        super().__init__("stopped")


def _most(again: Again) -> int:
    """Attempts at one request at most, by what came of the last one."""
    if again.kind == UNFIT or again.paid is False:
        return ATTEMPTS
    return (ATTEMPTS + 2) // 2 if again.paid is None else (ATTEMPTS + 1) // 3


def _silent(reason: str, hint: str = KEPT) -> ModelError:
    return ModelError(said(NO_ANSWER, reason, silent=True), hint)


def _unreadable(reason: str) -> Again:
    return Again(reason, paid=True, kind=UNREADABLE, silent=False)

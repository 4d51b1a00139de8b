"""Errors that a server tells, and what they mean: for one item, for one attempt at it, or for all there is to ask."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime
from typing import Any

from gpteval.api.http import Reply
from gpteval.api.streak import KEPT, said
from gpteval.core.errors import ModelError
from gpteval.core.kinds import FILTERED, NO_ANSWER, REJECTED, UNREACHED, UNREADABLE

LONGEST_MESSAGE = 300  # characters of a server's message that are kept
HINTS = {
    401: "check the key",
    402: "the account has no money left",
    403: "check what the key may do",
    404: "check the model's name and --base-url",
}
_MODERATION = re.compile(
    r"\bmoderation|\bflagged\b|content[ _-](?:filter|polic|management)|(?:usage|safety) polic|responsible ?ai",
    re.IGNORECASE,
)
Clean = Callable[[str], str]  # takes the key out of a text


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


class Again(Exception):
    """The request is to be sent again, after ``seconds`` where the server named them. ``rate``: it sees too many;
    ``gone``: it answered before, and is not there now;
    ``paid``: whether the attempt has to be paid for, None where that is not known; ``silent``: nothing came of it.
    """

    def __init__(
        self,
        reason: str,
        seconds: float | None = None,
        *,
        rate: bool = False,
        gone: bool = False,
        paid: bool | None = False,
        kind: str = NO_ANSWER,
        silent: bool = True,
    ) -> None:
        super().__init__(reason)
        self.reason, self.seconds, self.rate, self.gone, self.paid = reason, seconds, rate, gone, paid
        self.kind, self.silent = kind, silent


@dataclass(frozen=True)
class ServerError:
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


def of_status(reply: Reply, clean: Clean) -> Exception:
    """What an HTTP status means."""
    try:
        document = json.loads(reply.text)
    except (ValueError, RecursionError):
        document = {"message": reply.text}
    error = error_in(document if isinstance(document, Mapping) else {"message": document}, clean)
    return meaning(replace(error, status=reply.status, moved=reply.moved), reply.headers)


def error_in(document: Mapping[str, Any], clean: Clean) -> ServerError:
    """What an error's document tells; ``clean`` takes the key out."""
    body = document.get("error", document)
    body = body if isinstance(body, Mapping) else {"message": body}
    message, code, parameter = (clean(_text(body.get(name))) for name in ("message", "code", "param"))
    shown = message or clean(_text(document.get("detail") or body))
    shown = " ".join(shown[: 10 * LONGEST_MESSAGE].split())[:LONGEST_MESSAGE]
    status = int(code) if code.isascii() and code.isdecimal() and len(code) == 3 and code >= "400" else 0
    return ServerError(status, shown, code, parameter, is_moderation(message, code, body))


def meaning(error: ServerError, headers: Mapping[str, str]) -> Exception:
    """What to make of an error that the server tells."""
    status, seconds = error.status, _retry_after(headers)
    if status == 0 and error.moderated:
        return Rejected(error.message, FILTERED)
    if status == 0:  # in an answer, without a number: it may have been made, and may be made again
        return Again(error.message, paid=True, silent=False)
    if status == 429 and error.code != "insufficient_quota":
        return Again(f"it refuses for the rate: {error.said}", seconds, rate=True)
    if status == 502:  # of what stands before it
        return Again(error.said, seconds, gone=True, kind=UNREACHED)
    if status in (408, 409, 425) or status >= 500:
        return Again(error.said, seconds)
    if status in (400, 403, 413, 422, 451):
        shown = error.said if status == 403 else error.message or error.said
        kind = FILTERED if error.moderated or status == 451 else REJECTED
        return Rejected(shown, kind, error.parameter, HINTS.get(status, ""))
    hint = "name that address with --base-url" if error.moved or 300 <= status < 400 else "see its message"
    return ModelError(f"the server refuses ({error.said})", HINTS.get(status, hint))


def is_moderation(message: str, code: str, error: Mapping[str, object]) -> bool:
    """Whether an error says that a prompt was stopped for what it contains (OpenAI, Azure, OpenRouter)."""
    metadata = error.get("metadata")
    flagged = isinstance(metadata, Mapping) and ("flagged_input" in metadata or "reasons" in metadata)
    return flagged or bool(_MODERATION.search(f"{code} {message}"))


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

"""One request and its answer: within one deadline, so many bytes, from the address that was asked, without the key.

Everything of an answer that is kept or shown comes through here.
"""

from __future__ import annotations

import asyncio
import json
import os
import threading
import weakref
import zlib
from collections.abc import AsyncIterator, Coroutine, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import urlsplit

from gpteval.backends.api_options import NO_KEY, ApiOptions
from gpteval.core.errors import ModelError, UsageError

OPENAI = "https://api.openai.com/v1"
MOST_BYTES = 32 * 2**20  # of an answer, unpacked
SECRET = 8  # characters from which a key is one: vLLM's EMPTY is none, and a model may say it
HOPS = 3
_MOVED = (301, 302, 303, 307, 308)
_STARTING = threading.Lock()
_KEEP = ("retry-after", "retry-after-ms", "date")


class NotSent(Exception):
    """The request did not reach the server. ``refused``: nobody is at the address."""

    def __init__(self, message: str, *, refused: bool = False) -> None:
        super().__init__(message)
        self.refused = refused


class NoAnswer(Exception):
    """The request was sent, and no whole answer came: whether it is paid for is not known."""


@dataclass(frozen=True)
class Reply:
    """A whole answer. ``headers``: those that say when to ask again, in lower case. ``moved``: how it was sent on to
    the address that answers, "" where it was not.
    """

    status: int
    headers: Mapping[str, str]
    text: str
    moved: str = ""


class Http:
    """One server, asked from any thread."""

    def __init__(self, options: ApiOptions) -> None:
        try:
            import httpx2
        except ImportError as error:
            raise UsageError("models behind an API need httpx2", "pip install 'gpteval[api]'") from error
        self._httpx: Any = httpx2
        self.url, self.timeout = options.url or OPENAI, options.timeout
        self._secrets = _secrets(options)
        self._client = httpx2.AsyncClient(
            verify=_certificates(*map(os.environ.get, ("SSL_CERT_FILE", "SSL_CERT_DIR"))),
            headers={"Accept-Encoding": "gzip", "User-Agent": "gpteval", **_who(options)},
            timeout=httpx2.Timeout(None, connect=options.timeout),
            limits=httpx2.Limits(max_connections=options.in_flight, max_keepalive_connections=options.in_flight),
            follow_redirects=False,
        )
        with _STARTING:
            self._loop = _loop()
        weakref.finalize(self, _close, self._client, self._loop)

    def post(self, path: str, body: Mapping[str, Any]) -> Reply:
        """Raises NotSent, NoAnswer; ModelError where another address would answer."""
        try:
            content = json.dumps(body, allow_nan=False).encode("utf-8")
        except ValueError as error:
            raise ModelError(f"a request cannot be written as JSON: {error}") from error
        return self._sent("POST", path, content=content, headers={"Content-Type": "application/json"})

    def get(self, path: str) -> Reply:
        """Raises as ``post`` does."""
        return self._sent("GET", path)

    def upload(self, path: str, fields: Mapping[str, str], name: str, content: bytes) -> Reply:
        """A form with ``fields`` and a file. Raises as ``post`` does."""
        return self._sent("POST", path, data=dict(fields), files={"file": (name, content)})

    def _sent(self, method: str, path: str, **what: Any) -> Reply:
        asked = self._ask(method, f"{self.url}/{path}", what)
        return asyncio.run_coroutine_threadsafe(asked, self._loop).result()

    def clean(self, text: str) -> str:
        """``text`` without the key."""
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text

    async def _ask(self, method: str, url: str, what: Mapping[str, Any]) -> Reply:
        begun, moved = False, ""

        async def trace(event: str, _: object) -> None:
            nonlocal begun
            begun |= event.endswith("send_request_headers.started")

        try:
            async with asyncio.timeout(self.timeout):
                for _ in range(HOPS):
                    request = self._client.build_request(method, url, **what, extensions={"trace": trace})
                    response = await self._client.send(request, stream=True)
                    try:
                        if response.status_code not in _MOVED or "location" not in response.headers:
                            kept = {name: response.headers[name] for name in _KEEP if name in response.headers}
                            data = b"".join([part async for part in _unpacked(response)])
                            return Reply(response.status_code, kept, data.decode("utf-8", "replace"), moved)
                        url = self._moved(str(response.url), response.headers["location"])
                        moved = f"it redirects to {self.clean(url)} (status {response.status_code})"
                    finally:
                        await response.aclose()
                raise ModelError(f"{self._host(url)} redirects in a loop", "check --base-url")
        except TimeoutError:
            raise (NoAnswer if begun else NotSent)(f"no answer within {self.timeout:g} s") from None
        except self._httpx.HTTPError as error:
            said = " ".join(self.clean(_cause(error)).split())[:300] or type(error).__name__
            if begun:
                raise NoAnswer(f"the connection failed: {said}") from None
            refused = isinstance(error, self._httpx.ConnectError)
            raise NotSent(f"the connection failed: {said}", refused=refused) from None
        except self._httpx.InvalidURL as error:
            raise ModelError(f"{self.clean(url)} is not a valid URL: {error}", "check --base-url") from None

    def _moved(self, url: str, location: str) -> str:
        """The address that a redirect names. Raises ModelError where it is not of the server that was asked."""
        target = str(self._httpx.URL(url).join(location))
        if self._host(target) != self._host(url):
            raise ModelError(
                f"the server redirects to {self._host(target)}, but prompts and key are sent to {self._host(url)} only",
                "where that is the right address, name it with --base-url",
            )
        return target

    def _host(self, url: str) -> str:
        parts = urlsplit(self.clean(url))
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def _cause(error: BaseException) -> str:
    """What the system says, where the libraries in between say less: "All connection attempts failed"."""
    found: BaseException | None = error
    while found is not None and not (isinstance(found, OSError) and found.errno):
        found = found.exceptions[0] if isinstance(found, BaseExceptionGroup) else found.__cause__ or found.__context__
    if isinstance(found, OSError) and found.errno:
        return os.strerror(found.errno) if found.errno > 0 else str(found.strerror)
    return str(error.__cause__ or error)


async def _unpacked(response: Any) -> AsyncIterator[bytes]:
    """The body's bytes. Raises NoAnswer for more of them than an answer can have, and for another packing."""
    packing = response.headers.get("content-encoding", "identity").strip().lower()
    if packing not in ("identity", "", "gzip", "deflate"):
        raise NoAnswer(f"its answer is packed as {packing[:40]!r}, which was not asked for")
    unpack = None if packing in ("identity", "") else zlib.decompressobj(wbits=47 if packing == "gzip" else 15)
    have = 0
    try:
        async for part in response.aiter_raw():
            plain = part if unpack is None else unpack.decompress(part, MOST_BYTES - have + 1)
            have += len(plain)
            if have > MOST_BYTES:
                raise NoAnswer(f"its answer is larger than {MOST_BYTES // 2**20} MiB")
            yield plain
    except zlib.error as error:
        raise NoAnswer(f"its answer cannot be unpacked: {error}") from None


def masked(document: Any, http: Http) -> Any:
    """A JSON document without the key in any of its texts."""
    if isinstance(document, str):
        return http.clean(document)
    if isinstance(document, list):
        return [masked(part, http) for part in document]
    if isinstance(document, dict):
        return {http.clean(name): masked(part, http) for name, part in document.items()}
    return document


@cache
def _certificates(file: str | None, folder: str | None) -> Any:
    """Those that are trusted, or that these variables name: to read them takes 20 ms each time."""
    import httpx2

    return httpx2.create_ssl_context()


def _who(options: ApiOptions) -> dict[str, str]:
    """The headers that say who asks, as OpenAI's own client sends them."""
    named = {"OpenAI-Organization": "OPENAI_ORG_ID", "OpenAI-Project": "OPENAI_PROJECT_ID"}
    found = {name: os.environ.get(variable, "").strip() for name, variable in named.items()}
    return {"Authorization": f"Bearer {options.key()}"} | {name: value for name, value in found.items() if value}


def _secrets(options: ApiOptions) -> tuple[str, ...]:
    """The key, and a password in the address."""
    found = {options.key(), urlsplit(options.url).password or ""} - {NO_KEY, ""}
    return tuple(sorted((secret for secret in found if len(secret) >= SECRET), key=len, reverse=True))


@cache
def _loop() -> asyncio.AbstractEventLoop:
    """The one loop on which all requests of the process run, in a thread of its own."""
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, daemon=True, name="gpteval-http").start()
    return loop


def _close(client: Any, loop: asyncio.AbstractEventLoop) -> None:
    closing: Coroutine[Any, Any, None] = client.aclose()
    asyncio.run_coroutine_threadsafe(closing, loop)

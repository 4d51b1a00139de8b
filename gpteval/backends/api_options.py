"""How an API is reached, and what may be spent."""

from __future__ import annotations

import os
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from gpteval.core.errors import UsageError

KEY_VARIABLE, URL_VARIABLE = "OPENAI_API_KEY", "OPENAI_BASE_URL"
NO_KEY = "none"  # for servers that ask for none


@dataclass(frozen=True)
class ApiOptions:
    """``base_url``: the server's address up to ``/v1``; by default ``OPENAI_BASE_URL``, else OpenAI's own.

    ``tokenizer``: of a completions model, a folder, Hub id or catalogue name; by default the model's name.
    ``in_flight``: requests at a time, at most. ``max_cost``: dollars. ``prices``: a file like
    ``gpteval/reference/prices.csv`` whose rows go before those. ``batch``: chats are asked by OpenAI's batch interface.
    ``timeout``: seconds for an answer. ``backoff``: of the
    first pause before a request is sent again, in seconds.
    """

    base_url: str = ""
    tokenizer: str = ""
    key_file: Path | None = None
    in_flight: int = 16
    max_cost: float | None = None
    prices: Path | None = None
    batch: bool = False
    timeout: float = 120.0
    backoff: float = 0.5

    def __post_init__(self) -> None:
        if self.in_flight < 1:
            raise UsageError(f"--in-flight must be at least 1, not {self.in_flight}")
        if self.max_cost is not None and not self.max_cost >= 0:
            raise UsageError(f"--max-cost must be at least 0, not {self.max_cost}")
        if self.base_url and not self.base_url.startswith(("http://", "https://")):
            raise UsageError(f"--base-url is {self.base_url!r}", "it begins with http:// or https:// and ends in /v1")

    @property
    def url(self) -> str:
        """The server's address; "" for OpenAI's own."""
        return (self.base_url or os.environ.get(URL_VARIABLE, "")).rstrip("/")

    @property
    def of_this_machine(self) -> bool:
        """Whether the server's address is one that only this machine has."""
        host = urlsplit(self.url).hostname or ""
        try:
            return host == "localhost" or ip_address(host).is_loopback
        except ValueError:  # a name
            return False

    def key(self) -> str:
        """The key, from the file or the environment. Raises UsageError where OpenAI's own is asked without one."""
        if self.key_file is not None:
            try:
                text = self.key_file.read_text(encoding="utf-8").strip()
            except (OSError, ValueError) as error:
                raise UsageError(f"cannot read the key file: {getattr(error, 'strerror', error)}") from None
            if not text or len(text.split()) != 1:
                raise UsageError("the key file holds no key", "one line with the key and nothing else")
            return _plain(text)
        found = os.environ.get(KEY_VARIABLE, "").strip()
        if not found and not self.url:
            raise UsageError(
                f"OpenAI wants a key, and {KEY_VARIABLE} is not set",
                f"set {KEY_VARIABLE}, or --api-key-file FILE; --base-url names another server",
            )
        return _plain(found) or NO_KEY


def _plain(key: str) -> str:
    """A key that can be sent. Raises UsageError, which does not show it."""
    if not (key.isascii() and key.isprintable()):
        raise UsageError(
            "the key contains characters that a key cannot contain", "copy it once more, without quotes or line breaks"
        )
    return key

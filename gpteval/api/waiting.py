"""What requests wait for, told when nothing was answered for a while."""

from __future__ import annotations

import threading
import time

FIRST_SECONDS, MOST_SECONDS = 3.0, 60.0  # without an answer until that is told, and between two tellings at most


class Waiting:
    """Requests under way, each given up after ``timeout`` seconds. Used by several threads."""

    def __init__(self, timeout: float) -> None:
        self.timeout = timeout
        self._paused: dict[bytes, tuple[str, float]] = {}  # why, and when they are sent again
        self._lock = threading.Lock()
        self.over()

    def over(self) -> None:
        """An answer came."""
        self._since, self._told = time.monotonic(), 0

    @property
    def seconds(self) -> float:
        """Until there is something to tell."""
        return min(MOST_SECONDS, FIRST_SECONDS * 2.0 ** max(0, self._told - 1))

    def sent(self, key: bytes) -> None:
        with self._lock:
            self._paused.pop(key, None)

    def paused(self, key: bytes, reason: str, seconds: float) -> None:
        with self._lock:
            self._paused[key] = reason, time.monotonic() + seconds

    def message(self) -> str:
        """How long nothing has been answered, why, and what comes next."""
        self._told += 1
        now = time.monotonic()
        with self._lock:
            reason, at = min(self._paused.values(), key=lambda one: one[1], default=("", 0.0))
        since = f"waiting for the server, {now - self._since:,.0f} s without an answer"
        if not reason:
            return f"{since}; a request is given up after {self.timeout:,.0f} s"
        return f"{since}: {reason}; next try in {max(0.0, at - now):,.0f} s"

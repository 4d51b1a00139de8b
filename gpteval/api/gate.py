"""How many requests may be on their way: fewer when the server says so, more again while it answers."""

from __future__ import annotations

import threading
import time

DECREASE = 0.5


class Gate:
    """Additive increase, multiplicative decrease (Chiu and Jain 1989): a refusal halves the limit, a full round of
    answers raises it by one, up to ``most``. Where the server died of what it was asked, ``most`` is halved, too.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.limit = float(most)
        self.lowest = float(most)
        self._active = 0
        self._closed_until = 0.0
        self._halved = 0.0
        self._gone, self._refused = False, 0.0  # whether it is away, and when that was seen last
        self._changed = threading.Condition()

    def enter(self, stop: threading.Event) -> bool:
        """Wait for a place; False when ``stop`` was set meanwhile."""
        with self._changed:
            while not stop.is_set():
                wait = self._closed_until - time.monotonic()
                if wait <= 0 and self._active < max(1, int(self.limit)):
                    self._active += 1
                    return True
                self._changed.wait(min(0.1, wait) if wait > 0 else 0.1)
        return False

    def leave(self, *, refused: bool = False, seconds: float = 0.0) -> None:
        """Free the place. ``refused``: the server asked for fewer requests, and for none for ``seconds``."""
        with self._changed:
            self._active -= 1
            now = time.monotonic()
            if refused:
                if now - self._halved > 0.05:  # refusals of one moment are one refusal
                    self.limit = max(1.0, self.limit * DECREASE)
                    self.lowest = min(self.lowest, self.limit)
                    self._halved = now
                self._closed_until = max(self._closed_until, now + seconds)
            else:
                self.limit = min(float(self.most), self.limit + 1 / self.limit)
            self._changed.notify_all()

    def gone(self) -> None:
        """The server is not there any more; that each request sees for itself."""
        with self._changed:
            self._refused = time.monotonic()
            if not self._gone:
                self._gone = True
                self.most = max(1, int(self.limit * DECREASE))
                self.limit = float(self.most)
                self.lowest = min(self.lowest, self.limit)

    def there(self, since: float) -> None:
        """It took what was sent ``since``."""
        with self._changed:
            self._gone = self._gone and since <= self._refused

"""What a server is asked before anything is scored with the prompts it echoes: whether its numbers are the model's.

A token that the server wrote, greedily, is told with its log-probability; the same token in a prompt has to have the
same one. Behind it come words in no order, up to the length of the run's longest prompt: they are not the likeliest,
and a prompt that is cut shows.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from gpteval.api.client import Client, Document
from gpteval.api.echo import CLOSE, Echo, Echoes, repeated
from gpteval.api.server_errors import Malformed, Rejected

PROMPTS = (
    "The quick brown fox jumps over the lazy dog. The quick brown fox",
    "One, two, three, four, five, six, seven, eight, nine, ten, eleven,",
    "In the morning the children walk to school, and in the evening they",
)
WORDS = (
    "water house paper green seven winter road music small letter horse bread garden doctor yellow train because "
    "under street father quiet number window ship market never stone apple cloud teacher river"
)
FILLING = 24  # tokens of the prompt with words in no order, at least
MOVED, FAR = 0.1, 1.0  # nats between two numbers of one token, in the mean and at most: low precision computes so
TRIES = 3  # answers that may be wrong before a server counts as unfit


class Asking(Protocol):
    """The engine of the server."""

    client: Client
    echoes: Echoes

    def probing(self, ids: Sequence[int]) -> dict[str, Any]:
        """The request to echo a prompt, whose cost is set aside."""


class Unfit(Exception):
    """The server's numbers are not, or cannot be shown to be, the model's."""


class Probe:
    """The questions, and what is known from their answers. ``window``: tokens of the longest prompt that can be."""

    def __init__(self, engine: Asking, window: int) -> None:
        self.engine, self.window = engine, window
        self.longest = 0  # tokens of a prompt that was not cut
        self._begin: list[int] = []  # a prompt and the token that the server wrote behind it
        self._numbers: list[float] = []  # of its tokens but the first
        self._odd = ""  # what is of its numbers

    def prove(self, longest: int) -> None:
        """Raises Unfit where prompts of so many tokens cannot be scored, Rejected where they are not taken."""
        if longest <= self.longest:
            return
        if not self._begin:
            self._write()
        length = min(max(longest, len(self._begin) + FILLING), self.window)
        words = self.engine.echoes.codec.encode([WORDS])[0]
        filled = random.Random(0).choices(words, k=length - len(self._begin))  # in no order, so that none is likely
        echo = self._ask([*self._begin, *filled])
        place = len(self._numbers)
        written, found = self._numbers[-1], (echo.numbers[place - 1], echo.likeliest[place - 1])
        for then in found:
            if not abs(then - written) <= CLOSE:
                raise Unfit(f"a token that it wrote with a log-probability of {written:.3f} comes back with {then:.3f}")
        if odd := self._odd or echo.odd:
            raise Unfit(odd)
        _refuse_moved(self._numbers, echo.numbers[:place])
        _refuse_padding(echo.numbers[place:])
        likeliest = sum(a >= b for a, b in zip(echo.numbers[place:], echo.likeliest[place:], strict=True))
        if 2 * likeliest > length - len(self._begin):
            raise Unfit(f"it tells {likeliest:,} of {len(filled):,} words in no order as the likeliest")
        self.longest = longest

    def _write(self) -> None:
        """The first prompt behind which the server writes a token that can be told, with that token."""
        codec = self.engine.echoes.codec
        for text in PROMPTS:
            prompt = codec.encode([text])[0][: max(2, self.window // 4)]
            echo = self._ask(prompt)
            token = None if echo.written is None else self.engine.echoes.id_of(echo.written[0])
            if echo.written is not None and token is not None:
                self._begin, self._numbers = [*prompt, token], [*echo.numbers, echo.written[1]]
                self._odd = echo.odd
                return
        raise Unfit("behind a prompt it writes no token that can be told, by which its numbers could be checked")

    def _ask(self, ids: list[int]) -> Echo:
        found: Echo = self.engine.client.ask(b"", _Question(self.engine, ids))
        return found


def _refuse_moved(before: Sequence[float], after: Sequence[float]) -> None:
    """Tokens before the same ones keep their numbers, whatever comes behind."""
    apart = [abs(a - b) for a, b in zip(before, after, strict=True)]
    if not max(apart) <= FAR or not sum(apart) / len(apart) <= MOVED:
        raise Unfit(f"a token's log-probability moves by {max(apart):.3f} nats when other tokens stand behind it")


def _refuse_padding(numbers: Sequence[float]) -> None:
    """Words in no order are not certain, and do not have one number."""
    number, times = repeated(numbers)
    certain = sum(n == 0 for n in numbers)
    if times or certain:
        what = f"{certain:,} as certain" if certain else f"{times:,} with a log-probability of {number:.3f}"
        raise Unfit(f"of {len(numbers):,} words in no order it tells {what}: it cuts long prompts, and fills up")


class _Question:
    """A prompt of the probe, as the client asks it."""

    def __init__(self, engine: Asking, ids: list[int]) -> None:
        self.engine, self.ids, self.tries = engine, ids, 0

    def begin(self, key: bytes) -> dict[str, Any]:
        return self.engine.probing(self.ids)

    def end(self, key: bytes, paid: bool) -> None:
        """What was set aside is taken as spent."""

    def read(self, key: bytes, document: Document, seconds: float) -> Echo:
        self.tries += 1
        try:
            return self._finite(self.engine.echoes.read(self.ids, document))
        except Malformed as error:
            if self.tries < TRIES:
                raise
            raise Unfit(str(error)) from None

    @staticmethod
    def _finite(echo: Echo) -> Echo:
        if not all(math.isfinite(n) for n in echo.numbers):
            raise Malformed("a log-probability of the prompt is not finite")
        return echo

    def rejected(self, key: bytes, body: Mapping[str, Any], error: Rejected) -> Any:
        raise error

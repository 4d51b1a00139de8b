"""What answers of a server say of themselves beside the answer, and how results tell it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable

from gpteval.tokens.queries import QueryResult

_SENTENCES = {
    "guessed": "{n} answers do not say what they took, or cut ones came before them: tokens and dollars are at most",
    "long": "{n} answers were longer than the task asked for, and are scored up to there",
    "by text": "{n} answers were read from the text: the server tells no log-probabilities of letters",
}
_WITHOUT = {
    "temperature": "{n} answers are samples, which another run may not repeat: the server takes no temperature",
    "seed": "{n} answers were asked for without a seed, which the server does not take",
    "logprobs": "{n} answers were asked for without log-probabilities, which the server does not take",
    "max_tokens": "{n} answers had room to think: the server counts thoughts into the limit",
}


class Marks:
    """How many answers have which mark."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.without: Counter[str] = Counter()

    def add(self, results: Iterable[QueryResult]) -> None:
        for result in results:
            noted = json.loads(result.extra) if result.extra else {}
            self.counts.update(name for name in ("guessed", "long") if noted.get(name))
            self.counts["by text"] += noted.get("by") == "text"
            self.without.update(noted.get("without", ()))

    def notes(self) -> list[str]:
        """A sentence a mark."""
        sentences = [_SENTENCES[name].format(n=self.counts[name]) for name in _SENTENCES if self.counts[name]]
        return sentences + [_WITHOUT[name].format(n=self.without[name]) for name in _WITHOUT if self.without[name]]

    @property
    def rule(self) -> str:
        """What makes the numbers other ones than those of a model that was asked for everything; for the signature."""
        left = sorted(name for name in self.without if name in ("temperature", "logprobs"))
        return f"asked without {', '.join(left)}" if left else ""

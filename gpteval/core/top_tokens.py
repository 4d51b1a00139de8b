"""The likeliest tokens at each place of a text: what two models can be held against each other by, place by place."""

from __future__ import annotations

import base64
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TopTokens:
    """Of n places: ``tokens``, the text's own [n]; ``ids`` of the K likeliest tokens of each place, [n K], likeliest
    first, and their ``logprobs`` in nats, [n K]. Arrays of four bytes a number.
    """

    tokens: array[int]
    ids: array[int]
    logprobs: array[float]

    @classmethod
    def of(cls, tokens: Iterable[int], ids: bytes, logprobs: bytes) -> TopTokens:
        """``ids`` and ``logprobs``: int32 and float32 in the machine's order."""
        return cls(array("i", tokens), _array("i", ids), _array("f", logprobs))

    @classmethod
    def joined(cls, parts: Sequence[TopTokens]) -> TopTokens:
        """Of one place behind the other."""
        whole = cls(array("i"), array("i"), array("f"))
        for part in parts:
            whole.tokens.extend(part.tokens)
            whole.ids.extend(part.ids)
            whole.logprobs.extend(part.logprobs)
        return whole


def dumped(ids: bytes, logprobs: bytes) -> list[str]:
    """As JSON keeps them."""
    return [base64.b64encode(one).decode("ascii") for one in (ids, logprobs)]


def loaded(tokens: Iterable[int], texts: Sequence[str]) -> TopTokens:
    """What ``dumped`` gave. Raises ValueError."""
    ids, logprobs = (base64.b64decode(text) for text in texts)
    return TopTokens.of(tokens, ids, logprobs)


def _array(kind: str, data: bytes) -> array:  # type: ignore[type-arg]
    found = array(kind)
    found.frombytes(data)
    return found

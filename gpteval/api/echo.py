"""A prompt that a server gives back with the log-probabilities of its tokens: read, and checked as far as one answer
can show whether its numbers are the model's.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np

from gpteval.api.api_backend import choice_of, number
from gpteval.api.client import Document
from gpteval.api.server_errors import Malformed

CLOSE = 0.05  # nats between two numbers of one token
COARSE = 0.01  # nats: steps of numbers with which answers would tie
ENOUGH = 8  # different numbers by which a step is told
ALL_GREEDY = 16  # tokens of a prompt that are not all the likeliest
_EXACT = 2e-6  # nats between a number in float32 and the one that was meant
_STEPS = np.arange(10, 1001) / 1000
_USUAL = np.array([0.01, 0.02, 0.05, 0.1, 0.2, 0.25, 0.5, 1.0, *(0.5 ** np.arange(3, 7))])  # decimals, and halves
_SPACES = str.maketrans({"Ġ": " ", "▁": " ", "Ċ": "\n"})  # how vocabularies write white space
_LISTS = ("tokens", "token_logprobs", "top_logprobs")


@dataclass(frozen=True)
class Echo:
    """``numbers``: the log-probability of each token but the first; ``likeliest``: of the likeliest one at its place.

    ``written``: the text and the log-probability of the token behind the prompt. ``odd``: why these cannot be the
    numbers of a model; "" where nothing shows.
    """

    numbers: tuple[float, ...]
    likeliest: tuple[float, ...]
    written: tuple[str, float] | None
    odd: str


class Echoes:
    """Reads them with the tokenizer of the model that is served."""

    def __init__(self, codec: Any) -> None:
        self.codec = codec
        self._vocabulary: dict[str, int] = codec.tokenizer.get_vocab()
        self._spelled: dict[int, set[str]] = {}

    def read(self, ids: Sequence[int], document: Document) -> Echo:
        """Raises Malformed."""
        tokens, numbers, tops = _lists(document)
        count = len(ids)
        if not count <= len(tokens) <= count + 1 or not len(tokens) == len(numbers) == len(tops):
            raise Malformed(f"{len(tokens)} tokens with {len(numbers)} log-probabilities came back of {count}")
        self._refuse_others(ids, tokens)
        if numbers[0] is not None or tops[0]:
            raise Malformed("it tells a number for the first token: there is a token of the server's own before it")
        found = [number(n) for n in numbers[1:count] if n is not None]
        if len(found) < count - 1:
            raise Malformed("a log-probability of the prompt is missing")
        likeliest = [_likeliest(top) for top in tops[1:count]]
        places = list(zip(ids[1:], found, tops[1:count], likeliest, strict=True))
        odd = next(chain(self._contradictions(places), _roundings(found)), "")
        written = len(tokens) > count and numbers[count] is not None
        behind = (str(tokens[count]), number(numbers[count])) if written else None
        return Echo(tuple(found), tuple(likeliest), behind, odd)

    def id_of(self, text: str) -> int | None:
        """The token that a server writes so; None where that cannot be said."""
        names = (text, text.replace(" ", "Ġ").replace("\n", "Ċ"), text.replace(" ", "▁"))
        found = [self._vocabulary[name] for name in names if name in self._vocabulary]
        encoded = self.codec.encode([text])[0]
        found += encoded if len(encoded) == 1 else []
        return next((token for token in found if text in self._spelling(token)), None)

    def _refuse_others(self, ids: Sequence[int], tokens: Sequence[object]) -> None:
        text = self.codec.decode(ids)
        if text.isascii() and "".join(map(str, tokens[: len(ids)])) != text:
            raise Malformed("the echoed tokens are not the prompt's")
        for token, spelling in zip(ids, tokens, strict=False):
            spelled = self._spelling(token)
            if not isinstance(spelling, str) or (spelled and spelling not in spelled):
                raise Malformed(f"the echoed tokens are not the prompt's: none is {self.codec.decode([token])!r}")

    def _contradictions(self, places: Sequence[tuple[int, float, Mapping[str, Any], float]]) -> Iterator[str]:
        """``places``: a token, its number, the likeliest ones there, the largest of their numbers."""
        for token, own, top, most in places:
            if not own <= most + CLOSE:
                yield "the likeliest token is not told, or is less likely than the prompt's own"
            other = self._own(token, top)
            if other and not abs(other[0] - own) <= CLOSE and other[0] != own:
                yield f"it tells two log-probabilities of one token: {own:.3f} and {other[0]:.3f}"
        greedy = [(token, top) for token, own, top, most in places if own >= most]
        if len(places) >= ALL_GREEDY and len(greedy) == len(places):
            yield "every token of the prompt is told as the likeliest: the likeliest ones are not told"
        others = sum(self._own(token, top) == [] for token, top in greedy)
        if others > max(1, len(greedy) - others):  # one or two may be ties
            yield f"it names other tokens at {others} places where the prompt's own is the likeliest"

    def _own(self, token: int, top: Mapping[str, Any]) -> list[float] | None:
        """The number of the prompt's own token among the likeliest ones, if it is there; None where nobody can say.

        Parts of letters tell nothing by their texts, and sentencepiece has tokens that differ by a space that is lost.
        """
        spelled = self._spelling(token)
        if not spelled or any(name.startswith("▁") or f"▁{name}" in self._vocabulary for name in spelled):
            return None
        return [n for name, n in top.items() if name in spelled][:1]

    def _spelling(self, token: int) -> set[str]:
        """How a token may be told: by its text, or by its name in the vocabulary; of parts of letters none can say."""
        if token not in self._spelled:
            name = str(self.codec.tokenizer.convert_ids_to_tokens(token))
            text = self.codec.decode([token])
            self._spelled[token] = {text, name, name.translate(_SPACES)} if text.isascii() else set()
        return self._spelled[token]


def _lists(document: Document) -> list[list[Any]]:
    found = choice_of(document).get("logprobs")
    named = found if isinstance(found, Mapping) else {}
    lists = [named[name] for name in _LISTS if isinstance(named.get(name), list)]
    if len(lists) < len(_LISTS):
        raise Malformed(f"its logprobs have not {', '.join(_LISTS)}")
    return lists


def _likeliest(top: object) -> float:
    """The log-probability of the likeliest token at a place."""
    if not isinstance(top, Mapping) or not top:
        raise Malformed("the likeliest tokens are not told, as tokens with numbers")
    return max(number(n) for n in top.values())


def repeated(numbers: Sequence[float]) -> tuple[float, int]:
    """A number that comes more often than chance lets it, and how often; 0 times where there is none.

    Thrice in a hundred tokens, but for tokens that are as good as certain: these may be half of them.
    """
    for value, times in Counter(numbers).items():
        unsure = -math.inf < value <= -COARSE
        if times > (max(2, len(numbers) / 50) if unsure else len(numbers) / 2):
            return value, times
    return 0.0, 0


def _roundings(numbers: Sequence[float]) -> Iterator[str]:
    value, times = repeated(numbers)
    if len(numbers) >= ENOUGH and times:
        yield f"{times} of {len(numbers)} tokens have the same log-probability, {value:.3f}"
    if step := step_of(numbers):
        yield f"its log-probabilities are rounded, to steps of {step:.3g} nats"


def step_of(numbers: Sequence[float]) -> float:
    """The step of log-probabilities that were rounded to ``COARSE`` nats or more; 0.0 of others, and of too few.

    Rounded alike, or in another way each, to few digits: then most are multiples of one of the usual steps.
    """
    size = np.abs([n for n in numbers if COARSE <= abs(n) < math.inf])
    size = np.unique(size.round(7))
    if len(size) < ENOUGH:
        return 0.0
    alike = _STEPS
    for one in size:  # of what is not rounded, few steps outlast the first numbers
        alike = alike[_multiples(one[None], alike)[0]]
        if not len(alike):
            break
    if len(alike):
        return float(alike.max())
    usual = _multiples(size, _USUAL)
    each = usual.any(axis=1)
    return float(np.median((usual * _USUAL).max(axis=1)[each])) if each.mean() > 0.5 else 0.0


def _multiples(size: np.ndarray[Any, Any], steps: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """[numbers, steps]: whether a number is a multiple of a step."""
    times = size[:, None] / steps
    found: np.ndarray[Any, Any] = np.abs(times - np.rint(times)) * steps < _EXACT
    return found

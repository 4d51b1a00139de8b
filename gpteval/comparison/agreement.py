"""Whether two ways to run one model give the same numbers: what they say of the same items, held against each other.

The ways may be two precisions, a file and its original, a server and the weights here. Differences are in nats a token,
over what was scored; a flip is an item of which the two choose otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest

import numpy as np

from gpteval.comparison.divergence import LikeliestTokens, at_places
from gpteval.core.outcomes import Failed, Generated, Outcome, Rolled, Scored
from gpteval.core.types import Choice, Prompt
from gpteval.metrics.choice import prediction

TELLING = 5  # differing texts and flips that are kept


@dataclass(frozen=True)
class Differing:
    """A text that two ways write differently: its first ``at`` characters are the same."""

    task: str
    item: str
    at: int
    reference: str
    other: str


@dataclass(frozen=True)
class Flip:
    """An item of which the two choose otherwise. ``margin``: by how many nats the reference prefers its choice to the
    other's; a flip within what the numbers differ by is no surprise.
    """

    task: str
    item: str
    margin: float


@dataclass(frozen=True)
class TaskAgreement:
    """One task's items. ``largest`` and ``mean``: difference in nats a token, of each thing that was scored; NaN where
    nothing was. ``greedy``: the share of scored things of which both say alike whether each token was the likeliest.
    ``kl`` and ``same_token``: at each place of texts scored whole, where both tell their likeliest tokens. ``failed``:
    items of which one of the two has no outcome.
    """

    task: str
    items: int
    scored: int
    largest: float
    mean: float
    greedy: float
    choices: int
    flips: int
    texts: int
    texts_differ: int
    kl: float
    same_token: float
    failed: int


@dataclass(frozen=True)
class Certificate:
    """Of ``other`` with ``reference``. ``alone`` and ``crowd``: largest difference in nats a token, and texts that are
    not the same, when ``other`` is asked the same three times, one item after the other and many at a time;
    ``between``: of the crowd from alone.
    """

    reference: str
    other: str
    tasks: tuple[TaskAgreement, ...]
    flips: tuple[Flip, ...]
    texts: tuple[Differing, ...]
    alone: Steadiness
    crowd: Steadiness
    between: Steadiness

    @property
    def largest(self) -> float:
        """In nats a token; NaN where nothing was scored."""
        return max((one.largest for one in self.tasks if one.scored), default=math.nan)

    def broken(self, within: float) -> str:
        """What is not within so many nats a token; "" where all is, and where no item failed."""
        said = []
        if self.largest > within:
            said.append(f"log-probabilities differ by up to {self.largest:.3g} nats a token")
        if failed := sum(one.failed for one in self.tasks):
            said.append(f"{failed} items have no outcome")
        unsteady = max((one.largest for one in (self.alone, self.crowd, self.between)), default=0.0)
        if unsteady > within:
            said.append(f"its own answers differ by up to {unsteady:.3g} nats a token from one time to the next")
        return "; ".join(said)


@dataclass(frozen=True)
class Steadiness:
    """What the same questions gave at another time: ``largest`` difference in nats a token, ``texts`` that differ."""

    largest: float = 0.0
    texts: int = 0


Likeliest = Callable[[Outcome], LikeliestTokens | None]


@dataclass
class _Found:
    """What is gathered of a task."""

    differences: list[float] = field(default_factory=list)
    greedy: list[bool] = field(default_factory=list)
    choices: int = 0
    texts: int = 0
    kl: list[float] = field(default_factory=list)
    same: list[float] = field(default_factory=list)
    failed: int = 0


def of_task(
    task: str, prompts: Sequence[Prompt], reference: Sequence[Outcome], other: Sequence[Outcome]
) -> tuple[TaskAgreement, list[Flip], list[Differing]]:
    """Two ways' outcomes of the same prompts."""
    found = _Found()
    flips: list[Flip] = []
    differing: list[Differing] = []
    for prompt, one, two in zip(prompts, reference, other, strict=True):
        if isinstance(one, Failed) or isinstance(two, Failed):
            found.failed += one != two
            continue
        for apart, alike in _apart(one, two):
            found.differences.append(apart)
            found.greedy += [] if alike is None else [alike]
        if isinstance(one, Scored) and isinstance(two, Scored) and len(one.scores) > 1:
            found.choices += 1
            flips += _flip(task, prompt, one, two)
        if isinstance(one, Generated) and isinstance(two, Generated):
            found.texts += 1
            if one.text != two.text:
                at = next((n for n, (a, b) in enumerate(zip_longest(one.text, two.text)) if a != b), 0)
                differing.append(Differing(task, prompt.item_id, at, one.text, two.text))
        if isinstance(one, Rolled) and isinstance(two, Rolled) and one.top and two.top:
            places = at_places(_likeliest(one), _likeliest(two))
            found.kl += places[0].tolist()
            found.same += places[1].tolist()
    told = TaskAgreement(
        *(task, len(prompts), len(found.differences)),
        largest=max(found.differences, default=math.nan),
        mean=_mean(found.differences),
        greedy=_mean(found.greedy),
        choices=found.choices,
        flips=len(flips),
        texts=found.texts,
        texts_differ=len(differing),
        kl=_mean(found.kl),
        same_token=_mean(found.same),
        failed=found.failed,
    )
    return told, flips, differing


def steadiness(times: Sequence[Sequence[Outcome]]) -> Steadiness:
    """How far the first time's outcomes are from those of all others."""
    largest, texts = 0.0, 0
    first, *others = times
    for other in others:
        for one, two in zip(first, other, strict=True):
            largest = max([largest, *(apart for apart, _ in _apart(one, two))])
            texts += isinstance(one, Generated) and isinstance(two, Generated) and one.text != two.text
            largest = math.inf if isinstance(one, Failed) != isinstance(two, Failed) else largest
    return Steadiness(largest, texts)


def _apart(one: Outcome, two: Outcome) -> Iterator[tuple[float, bool | None]]:
    """Of each thing that both scored: the difference in nats a token, and whether both say alike that each of its
    tokens was the likeliest (None where that is not told).
    """
    if isinstance(one, Scored) and isinstance(two, Scored):
        for a, b in zip((*one.scores, *one.neutral), (*two.scores, *two.neutral), strict=True):
            if a.logprob is not None and b.logprob is not None:
                yield abs(a.logprob - b.logprob) / max(1, a.tokens), a.greedy == b.greedy
    elif isinstance(one, Rolled) and isinstance(two, Rolled):
        yield abs(one.logprob - two.logprob) / max(1, one.tokens), None


def _flip(task: str, prompt: Prompt, reference: Scored, other: Scored) -> Iterator[Flip]:
    request = prompt.request
    assert isinstance(request, Choice)
    ours, theirs = prediction(request, reference), prediction(request, other)
    if ours != theirs:
        a, b = reference.scores[ours].logprob, reference.scores[theirs].logprob
        yield Flip(task, prompt.item_id, math.nan if a is None or b is None else a - b)


def _likeliest(outcome: Rolled) -> LikeliestTokens:
    assert outcome.top is not None
    tokens = np.asarray(outcome.top.tokens)
    shape = len(tokens), len(outcome.top.ids) // max(1, len(tokens))
    ids, logprobs = np.asarray(outcome.top.ids), np.asarray(outcome.top.logprobs, dtype=float)
    return LikeliestTokens(tokens, ids.reshape(shape), logprobs.reshape(shape))


def _mean(values: Iterable[float]) -> float:
    found = list(values)
    return math.fsum(found) / len(found) if found else math.nan

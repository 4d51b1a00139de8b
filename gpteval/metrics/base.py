"""What a metric is: it extracts sufficient statistics from one item, and turns their sums into a value."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray

from gpteval.core.errors import PluginError
from gpteval.core.outcomes import Outcome
from gpteval.core.types import Choice, Generate, Request, Rolling

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]  # which items are meant
MetricKind = Literal["binary", "mean", "ratio"]


HOW_TO_SCORE = (
    'a score of each item is the least it needs: class Mine(gpteval.MeanMetric), with name = "mine" and '
    "def score(self, request, outcome), which gives a number from 0 to 1"
)


class Metric(ABC):
    """One number for a set of items.

    ``stats`` gives an item's sufficient statistics, a vector of fixed length within a task;
    ``value`` maps their sum over any (re)sample of items to the metric, for a whole batch of
    resamples at once. Intervals, paired tests and sharding need nothing else.

    ``kind``: ``binary`` (mean of 0/1 scores) and ``mean`` have statistics ``(score, 1)``; everything else is a
    ``ratio``.
    ``scale`` is the value of a perfect answer where there is one (1.0; BLEU and chrF 100.0), else None.
    ``bottom`` is the least value, where there is a scale.
    ``floor`` is what guessing reaches where ``chance`` gives nothing: 0.0 where an answer cannot be guessed. A metric
    with neither cannot be placed between guessing and perfect, and is left out of means.
    ``of_choice`` names the metric that replaces it where only the chosen option is known (letters, tuned heads).
    ``published_as`` are its names in published tables.
    """

    name: str
    kind: MetricKind = "ratio"
    higher_is_better: bool = True
    scale: float | None = 1.0
    bottom: float = 0.0
    by_ratio: bool = False  # two models are compared by their ratio, not their difference: perplexities
    floor: float | None = None
    of_choice: str = ""
    published_as: tuple[str, ...] = ()
    sacrebleu_p: bool = False  # pairs have the p-value of ``sacrebleu --paired-bs`` too
    needs_neutral: bool = False  # the request must have a neutral context
    needs_wrong: bool = False  # the request must have more than one choice
    in_pairs: bool = True  # two models are compared by it: their difference has a test and an interval
    no_interval: str = ""  # why it has none, of a metric that never has
    requests: tuple[type, ...] = (Choice, Rolling, Generate)  # the kinds that it can score

    def __new__(cls, *_: object, **__: object) -> Self:
        if lacking := sorted(getattr(cls, "__abstractmethods__", ())):
            raise PluginError(f"the metric {cls.__name__} lacks {' and '.join(lacking)}", HOW_TO_SCORE)
        return super().__new__(cls)

    @abstractmethod
    def stats(self, request: Request, outcome: Outcome) -> tuple[float, ...]:
        """Sufficient statistics of one item that has an outcome (never ``Failed``)."""

    @abstractmethod
    def value(self, sums: Floats) -> Floats:
        """Sums of statistics, shape [..., d], to values, shape [...]. 0/0 gives NaN, without a warning."""

    def for_texts(self, requests: Sequence[Request]) -> Metric:
        """The metric of this name for texts like those of ``requests``: their language may ask for other words."""
        return self

    def failed(self, request: Request) -> tuple[float, ...] | None:
        """Statistics of an item that failed: those of a wrong answer, or None where wrong is not defined."""
        return None

    def pseudo_items(self, stats: Floats) -> Floats | None:
        """Statistics of k best and k worst items that a sample like ``stats``, [n, d], could have held: [2, k, d].

        What was not seen may still be: an interval counts them beside the items (``stats.jackknife``). None where
        no item is best or worst whatever the others are.
        """
        return None

    def own_interval(self, stats: Floats, units: Sequence[str], level: float) -> tuple[float, float] | str:
        """For a metric whose error follows no Student's t: its interval by statistics [n, d] and each item's unit, or
        why there is none.
        """
        raise NotImplementedError

    def blocks(self, request: Request, outcome: Outcome) -> tuple[tuple[float, ...], ...]:
        """Statistics of each block of a long text, which sum to its own; empty for what has no blocks."""
        return ()

    def sizes(self, stats: Floats) -> Floats:
        """How much each item counts in the value, [n]: an item as much as any other, a text by its tokens."""
        return np.ones(len(stats))

    def chance(self, requests: Sequence[Request]) -> float | None:
        """The expected value of guessing uniformly, or None where guessing is not defined."""
        return None

    def notes(self, requests: Sequence[Request]) -> tuple[str, ...]:
        """What a reader of the number should know of how these requests were counted."""
        return ()

    def signature(self, requests: Sequence[Request]) -> str:
        """What the number depends on besides the texts: references, tokenizer, smoothing, library version."""
        return ""


class MeanMetric(Metric):
    """The mean of a score per item, from ``bottom`` to ``scale`` (0 to 1); a failed item scores 0.

    Raises PluginError for a score that is none of these.
    """

    kind: MetricKind = "mean"

    @abstractmethod
    def score(self, request: Request, outcome: Outcome) -> float:
        """The item's score."""

    def stats(self, request: Request, outcome: Outcome) -> tuple[float, ...]:
        score = self.score(request, outcome)
        try:
            known = float(score)
        except (TypeError, ValueError):
            known = math.nan
        if not (self.bottom <= known <= self.scale if self.scale is not None else math.isfinite(known)):
            least = f"from {self.bottom:g} to {self.scale:g}" if self.scale is not None else "that is finite"
            raise PluginError(
                f"the metric {self.name} gave {score!r} for an item, not a number {least}",
                "mend its score(); bottom and scale are the least and the best score, scale = None if there is no best",
            )
        return (known, 1.0)

    def failed(self, request: Request) -> tuple[float, ...] | None:
        return (0.0, 1.0)

    def value(self, sums: Floats) -> Floats:
        return divide(sums[..., 0], sums[..., 1])

    def pseudo_items(self, stats: Floats) -> Floats | None:
        return None if self.scale is None else np.array([[[self.scale, 1.0]], [[self.bottom, 1.0]]])


def divide(numerator: Floats, denominator: Floats) -> Floats:
    """Elementwise quotient; NaN where the denominator is 0."""
    quotient: Floats = np.full(np.broadcast(numerator, denominator).shape, np.nan)
    np.divide(numerator, denominator, out=quotient, where=denominator != 0)
    return quotient


def clustered(names: Sequence[str], values: Floats) -> tuple[list[str], Floats]:
    """Sums of ``values`` [items, ...] by name, and the names, in the order of their first items."""
    known = {name: number for number, name in enumerate(dict.fromkeys(names))}
    if len(known) == len(names):
        return list(names), values
    sums = np.zeros((len(known), *values.shape[1:]))
    np.add.at(sums, [known[name] for name in names], values)
    return list(known), sums

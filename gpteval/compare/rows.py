"""What a comparison says: one frozen row a pair of models, or of generations."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from gpteval.compare.tests import MDE_ERRORS, holm

LEVEL = 0.05
INCONCLUSIVE = "INCONCLUSIVE"


@dataclass(frozen=True)
class Figure:
    """A paired figure over ``n`` items: ``a`` minus ``b``, or ``a`` over ``b`` where metrics are compared by ratio.

    ``effect`` is above 0 (a ratio: below or above 1) as values go, whichever direction is better; ``p`` is two-sided.
    ``p_better``: the share of resamples in which ``a`` is better. ``mde``: the least effect that such a sample shows
    with a power of 80 %; for a ratio, as a factor above 1. ``p_sacrebleu``: what ``sacrebleu --paired-bs`` gives.
    """

    n: int
    value_a: float
    value_b: float
    effect: float
    ci_low: float
    ci_high: float
    stderr: float
    p: float
    p_better: float
    mde: float
    test: str
    p_sacrebleu: float = math.nan

    @property
    def significant(self) -> bool:
        return self.p < LEVEL


@dataclass(frozen=True)
class Pair:
    """Two models on one task, or over several (``task`` names which). ``p_holm``: adjusted over all rows of the table.

    ``room``: the figure over the items that neither had to cut, None where that is all or none of them.
    ``disagreement``: how ``room`` says otherwise. ``notes``: what differed between the two results.
    """

    task: str
    shots: int
    family: str
    metric: str
    model_a: str
    model_b: str
    higher_is_better: bool
    by_ratio: bool
    full: float | None  # a perfect answer's value
    figure: Figure
    room: Figure | None = None
    p_holm: float = math.nan
    verdict: str = ""
    disagreement: str = ""
    notes: tuple[str, ...] = ()

    @property
    def better(self) -> str:
        """The model whose value is better; "" where they are equal."""
        zero = 1.0 if self.by_ratio else 0.0
        if self.figure.effect == zero or math.isnan(self.figure.effect):
            return ""
        return self.model_a if (self.figure.effect > zero) == self.higher_is_better else self.model_b

    @property
    def significant(self) -> bool:
        """After Holm's adjustment."""
        return self.p_holm < LEVEL


def judged(pairs: Sequence[Pair]) -> tuple[Pair, ...]:
    """The pairs of one table with Holm's adjustment over all of them, and a verdict each."""
    adjusted = holm([pair.figure.p for pair in pairs])
    return tuple(
        replace(pair, p_holm=p, verdict=_verdict(pair, p), disagreement=_disagreement(pair))
        for pair, p in zip(pairs, adjusted, strict=True)
    )


def _verdict(pair: Pair, p_holm: float) -> str:
    if p_holm < LEVEL:
        return f"{pair.better} is better"
    if not pair.better:
        return "equal"
    seen = abs(math.log(pair.figure.effect)) if pair.by_ratio else abs(pair.figure.effect)
    least = math.log(pair.figure.mde) if pair.by_ratio else pair.figure.mde
    if not seen >= least:  # also where either is not known
        return INCONCLUSIVE
    return "no difference shown"


def _disagreement(pair: Pair) -> str:
    if pair.room is None:
        return ""
    zero = 1.0 if pair.by_ratio else 0.0
    if (pair.figure.effect - zero) * (pair.room.effect - zero) < 0:
        return "the sign turns around"
    if pair.figure.significant != pair.room.significant:
        return "significant only " + ("over all items" if pair.figure.significant else "where nothing was cut")
    return ""


def least_effect(stderr: float, *, by_ratio: bool) -> float:
    """The minimum detectable effect, 2.80 standard errors (two-sided 5 %, power 80 %); of a ratio, as a factor."""
    return math.exp(MDE_ERRORS * stderr) if by_ratio else MDE_ERRORS * stderr


@dataclass(frozen=True)
class Generations:
    """What a newer generation brings over an older one. ``form``: families' means, the best models, or matched size.

    ``pair`` is the paired figure over the tasks that all the models ran, None where there is none; ``who`` says which
    models, or why there is no figure.
    """

    older: str
    newer: str
    form: str
    who: str
    tasks: int
    pair: Pair | None


def as_dict(value: Any) -> Any:
    """Dataclasses, tuples and numbers as plain JSON values; what is not finite becomes None."""
    if hasattr(value, "__dataclass_fields__"):
        return {name: as_dict(getattr(value, name)) for name in value.__dataclass_fields__}
    if isinstance(value, tuple | list):
        return [as_dict(one) for one in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value

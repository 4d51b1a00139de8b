"""Before a run: how many items show a difference of a size that matters?

Of right and wrong answers only those items tell on which two models disagree, so the number hangs on their share: seen
in an earlier run, reckoned from published scores, or assumed. The power of the exact McNemar test is computed exactly
(Connor 1987 has the approximation). Of other scores an earlier run tells the spread of the items' differences.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from gpteval.comparison.answers import Answers
from gpteval.comparison.compare import Comparison, compared
from gpteval.comparison.results import Pair
from gpteval.core.errors import UsageError
from gpteval.reference.counterpart import beside
from gpteval.reference.known import known_models
from gpteval.stats.significance import ALPHA, POWER
from gpteval.tasks.task import Task

ASSUMED = 0.2  # share of items on which two models of about the same quality disagree
MOST = 10_000_000  # items, beyond which nobody counts
_Z_MARGIN = 1 - ALPHA / 2


@dataclass(frozen=True)
class Need:
    """``items`` that show a true difference of ``effect`` with the power asked for, alone at 5 %; None where no number
    does, for which ``why`` has the reason. ``margin_items``: with which two that are alike pass a gate of the margin.

    ``effect``: in points, of a metric without a scale in percent. ``disagreement``: the share of items on which one
    model alone is right; ``spread``: the standard deviation of an item's difference, in points. ``source``: where they
    are from.
    """

    task: str
    metric: str
    effect: float
    disagreement: float | None
    spread: float
    source: str
    items: int | None
    margin_items: int | None = None
    why: str = ""


def power_of(n: int, share: float, effect: float) -> float:
    """Of the exact McNemar test at 5 % on ``n`` items, of which ``share`` are right for one model only, and which a
    difference of ``effect`` (0..1) parts.
    """
    from scipy.stats import binom

    spread = 6 * math.sqrt(n * share * (1 - share)) + 6
    least, most = max(0, math.floor(n * share - spread)), min(n, math.ceil(n * share + spread))
    differing = np.arange(least, most + 1)
    wins = (share + effect) / (2 * share)
    critical = _critical(differing)
    rejected = binom.cdf(critical, differing, 1 - wins) + binom.cdf(critical, differing, wins)
    return float(binom.pmf(differing, n, share) @ np.where(critical >= 0, rejected, 0.0))


def _critical(differing: NDArray[np.int_]) -> NDArray[np.int_]:
    """The largest number of losses at which the two-sided p is still below 5 %; -1 where none is."""
    from scipy.special import bdtr
    from scipy.stats import binom

    found = np.asarray(binom.ppf(ALPHA / 2, differing, 0.5)).astype(int)
    found[2 * bdtr(np.maximum(found, 0), np.maximum(differing, 1), 0.5) >= ALPHA] -= 1
    found[differing == 0] = -1
    return found


def items_to_show(effect: float, share: float, power: float = POWER) -> int | None:
    """The least number of items from which on McNemar's test has this power; None where it is beyond all numbers."""
    if effect > share:
        return None
    low, high = 1, 8
    while power_of(high, share, effect) < power:
        low, high = high, 2 * high
        if high > MOST:
            return None
    while high - low > max(1, high // 500):  # the power has small teeth, so a closer search says nothing
        middle = (low + high) // 2
        low, high = (low, middle) if power_of(middle, share, effect) >= power else (middle, high)
    return high


def items_by_spread(effect: float, spread: float, power: float = POWER) -> int | None:
    """Of Student's t on the items' differences, whose standard deviation is ``spread``."""
    from scipy.special import ndtri, stdtrit

    n = ((float(ndtri(_Z_MARGIN)) + float(ndtri(power))) * spread / effect) ** 2 if spread else 0.0
    for _ in range(20):  # t's quantiles hang on n
        free = max(2.0, n - 1)
        n = ((float(stdtrit(free, _Z_MARGIN)) + float(stdtrit(free, power))) * spread / effect) ** 2
    return None if n > MOST else max(5, math.ceil(n))


def needs(
    tasks: Sequence[Task],
    effect: float,
    *,
    power: float = POWER,
    disagreement: float | None = None,
    answers: Sequence[Answers] = (),
    models: Sequence[str] = (),
    margin: float = 0.0,
) -> list[Need]:
    """What each task needs: by ``answers`` of an earlier run, else published scores of ``models``, else assumed.

    ``effect`` and ``margin``: in points of the primary metric, of one without a scale in percent of its value;
    ``disagreement``: in points; ``models``: of the run, too, only these, where some are named. Raises UsageError for an
    effect or a share of disagreement that is none.
    """
    if not 0 < effect < 100:
        raise UsageError(f"--effect is in points, above 0 and below 100, not {effect:g}", "for example --effect 2")
    if disagreement is not None and not 0 < disagreement <= 100:
        raise UsageError(f"--disagreement is a share in percent, not {disagreement:g}", "for example 20")
    if not 0 < power < 1:
        raise UsageError(f"--power is a probability, not {power:g}", "for example 0.8")
    answers = [one for one in answers if not models or one.model in models]
    if not 0 <= margin < 100:
        raise UsageError(f"--margin is in points, from 0 to 100, not {margin:g}", "for example --margin 1")
    earlier: Comparison | None = compared(answers, draws=2) if answers else None
    found = []
    for task in tasks:
        seen = _seen(earlier, task.label, answers) if earlier and disagreement is None else None
        if seen is not None:
            pair, share, spread, source = seen
            found.append(_need(task.label, pair.metric, effect, share, spread, source, power, margin))
        elif task.metric_named(task.metric).kind == "binary":
            share, source = _assumed(task, disagreement, models)
            found.append(_need(task.label, task.metric, effect, share, math.sqrt(share), source, power, margin))
        else:
            why = "how far items of this metric differ only a run tells: --run RUN, of some 50 items"
            found.append(Need(task.label, task.metric, effect, None, math.nan, "", None, None, why))
    return found


def _need(
    task: str, metric: str, effect: float, share: float | None, spread: float, source: str, power: float, margin: float
) -> Need:
    if share is not None:
        items = items_to_show(effect / 100, share, power)
    else:
        items = items_by_spread(effect / 100, spread, power)
    why = ""
    if items is None:
        why = f"models that disagree on {100 * share:.1f} % of items cannot be {effect:g} points apart" if share else ""
        why = why if share and effect / 100 > share else f"more than {MOST:,} items"
    for_margin = items_by_spread(margin / 100, spread, power) if margin else None
    return Need(task, metric, effect, share, 100 * spread, source, items, for_margin, why)


def _seen(earlier: Comparison, task: str, answers: Sequence[Answers]) -> tuple[Pair, float | None, float, str] | None:
    """The pair of an earlier run that needs the most, and what its items say; two items more than there are count,
    which disagree.
    """
    rows = [pair for pair in earlier.pairs if pair.task == task and not math.isnan(pair.figure.stderr)]
    if not rows:
        return None
    pair = max(rows, key=lambda row: row.figure.stderr**2 * row.figure.n)
    n = pair.figure.n
    source = f"{pair.model_a} and {pair.model_b} on {n} items"
    scale = 1.0 if pair.by_ratio else pair.full or abs(pair.figure.value_b)
    spread = pair.figure.stderr * math.sqrt(n) / scale
    if pair.figure.test != "exact McNemar":
        return pair, None, spread, source
    of = {one.model: one for one in answers if one.unit == (pair.task, pair.shots)}
    a, b = (of[name] for name in (pair.model_a, pair.model_b))
    right = dict(zip(b.ids, b.stats[:, 0], strict=True))
    differ = sum(right[item] != score for item, score in zip(a.ids, a.stats[:, 0], strict=True) if item in right)
    share = (differ + 2) / (n + 2)
    return pair, share, math.sqrt(share), source


def _assumed(task: Task, disagreement: float | None, models: Sequence[str]) -> tuple[float, str]:
    if disagreement is None:
        scores = {name: score for name in models if (score := _published(name, task)) is not None}
        shares = {(a, b): scores[a] * (1 - scores[b]) + scores[b] * (1 - scores[a]) for a, b in combinations(scores, 2)}
        if shares:
            a, b = max(shares, key=lambda pair: shares[pair])
            return shares[a, b], f"published scores of {a} and {b}, as if they erred on different items"
    share = ASSUMED if disagreement is None else disagreement / 100
    return share, f"{100 * share:g} % disagreement, assumed"


def _published(model: str, task: Task) -> float | None:
    split = getattr(task.source, "split", "test")
    for known in known_models():
        if any(model.lower() in (name.lower(), name.rpartition("/")[2].lower()) for name in known.names):
            one = beside(known.names, task.name, task.metric, task.shots, split=split, limit=None)
            return None if one is None else float(one["value"])
    return None


def cost(rows: Collection[Mapping[str, object]], items: Mapping[str, int]) -> dict[str, float]:
    """Seconds, tokens and dollars that ``items`` by task would take of all models of an earlier run's primary rows."""
    found = {"seconds": 0.0, "tokens": 0.0, "dollars": 0.0}
    for row in rows:
        n, task = row.get("n"), str(row.get("task"))
        if row.get("primary") and isinstance(n, int) and n and task in items:
            for kind in found:
                value = row.get(kind)
                found[kind] += items[task] / n * float(value) if isinstance(value, int | float) else 0.0
    return found

"""Subjects of ``benchmarks/coverage.py``: pairs of models by a task, many tasks, clusters, texts and corpora."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
from benchmarks import said
from benchmarks import simulated as made
from benchmarks.simulated import METRICS, Floats, Random, names, scores
from gpteval.stats.evidence import Evidence, of_answers, of_mean, of_pair
from gpteval.stats.interval import Estimate, estimate
from gpteval.stats.jackknife import PseudoValues, pseudo_values
from gpteval.stats.resample import resampled, weights
from gpteval.stats.significance import LEVEL, sacrebleu_p

# What is promised: of an interval, of a test at 5 %, of all verdicts or intervals of a table, of a margin.
PROMISED = {
    "interval holds the truth": (0.93, 1.0),
    "test rejects a true null": (0.0, 0.065),
    "table names a false winner": (0.0, 0.055),
    "all intervals of a table hold": (0.93, 1.0),
    "margin is passed from its edge": (0.0, 0.03),
    "difference of the MDE is found": (0.77, 1.0),
    "interval of a curve's slope holds": (0.93, 1.0),
    "interval of a spread holds": (0.93, 1.0),
    said.UNTRUE: (0.0, 0.06),
    said.FALSE: (0.0, 0.05),
    said.STOPPED: (0.0, 0.6),
    said.PLANNED: (0.77, 0.83),
}
HOLM, SACRE = "rows found by Holm's method (for comparison)", "sacreBLEU's p rejects a true null (for comparison)"
INTERVAL, TEST, TABLE, WHOLE, MARGIN, POWER, SLOPE, SPREAD, *_ = PROMISED
SIZES = (5, 10, 20, 50, 100, 300, 1000)
SHARES = (0.0, 0.01, 0.05, 0.2, 0.4)
Once = Callable[[Random], Mapping[str, float]]  # one simulation: what came true, by kind of figure
Settings = Iterator[tuple[str, Once]]


def held(evidence: Evidence, truth: float) -> Mapping[str, bool]:
    """Nothing where the items are said not to tell."""
    low, high = evidence.interval(LEVEL)
    return {} if evidence.why else {INTERVAL: low <= truth <= high}


def covers(found: Estimate, truth: float) -> Mapping[str, bool]:
    if np.isnan(found.ci_low):
        return {}
    return {INTERVAL: found.ci_low <= truth <= found.ci_high}


def paired(name: str, a: Floats, b: Floats, units: list[str] | None = None) -> Evidence:
    sides = [pseudo_values(METRICS[name], stats, units, turned=turned) for stats, turned in ((a, False), (b, True))]
    return of_pair("t", sides[0], sides[1])


def paired_values(name: str, a: Floats, b: Floats, tasks: int) -> PseudoValues:
    """Of the difference on one of so many tasks."""
    sides = [
        pseudo_values(METRICS[name], stats, turned=turned, weight=1 / np.sqrt(tasks))
        for stats, turned in ((a, False), (b, True))
    ]
    return sides[0].minus(sides[1])


@cache
def counted(only_a: int, only_b: int, n: int) -> Evidence:
    a, b = np.ones(n), np.ones(n)
    b[:only_a], a[only_a : only_a + only_b] = 0, 0
    return of_answers("t", a, b, names(n))


def counts(a: Floats, b: Floats) -> Evidence:
    return counted(int((a > b).sum()), int((b > a).sum()), len(a))


def accuracies() -> Settings:
    for n in SIZES:
        for share in SHARES:
            for lead in (0.0, 0.4, 1.0):

                def once(random: Random, n: int = n, share: float = share, lead: float = lead) -> Mapping[str, bool]:
                    found = counts(*made.disagreeing(random, n, share, lead))
                    said = held(found, share * lead)
                    return said if lead else {**said, TEST: found.p < 0.05}

                yield f"n = {n}, {share:.0%} disagree, lead {lead:g}", once


def grades() -> Settings:
    for n in SIZES:
        for share in (0.01, 0.05, 0.2, 0.4, 0.9):
            for lead in (0.0, 0.4, 1.0):
                for partial in (0.0, 0.5, 0.95):
                    setting = n, share, lead, partial

                    def once(random: Random, setting: tuple[int, float, float, float] = setting) -> Mapping[str, bool]:
                        a, b, truth = made.graded(random, *setting)
                        found = paired("f1", scores(a), scores(b))
                        said = held(found, truth)
                        return said if setting[2] else {**said, TEST: found.p < 0.05}

                    yield f"n = {n}, {share:.0%} differ, {partial:.0%} of them in part, lead {lead:g}", once


def tasks() -> Settings:
    """The mean over tasks of differences of accuracies, also where some or all show no disagreement."""
    for count in (2, 5, 20):
        for n in (5, 20, 100, 300):
            for share in (0.01, 0.05, 0.3):
                for lead in (0.0, 1.0):

                    def once(
                        random: Random, count: int = count, n: int = n, share: float = share, lead: float = lead
                    ) -> Mapping[str, bool]:
                        parts = []
                        for task in range(count):
                            both = paired_values("acc", *map(scores, made.disagreeing(random, n, share, lead)), count)
                            parts.append((f"t{task}", replace(both, values=both.values / count)))
                        found = of_mean(parts)
                        said = held(found, share * lead)
                        return said if lead else {**said, TEST: found.p < 0.05}

                    yield f"{count} tasks of {n}, {share:.0%} disagree, lead {lead:g}", once


def clusters() -> Settings:
    for count in (5, 8, 20, 50, 3):  # of 3 nothing is said
        for alike in (0.05, 0.3):
            for share, lead in ((0.05, 1.0), (0.2, 0.0), (0.2, 0.4), (0.4, 0.0)):

                def once(
                    random: Random, count: int = count, alike: float = alike, share: float = share, lead: float = lead
                ) -> Mapping[str, bool]:
                    a, b, units = made.passages(random, count, alike, share, lead)
                    found = paired("acc", scores(a), scores(b), units)
                    said = held(found, share * lead)
                    return said if lead else {**said, TEST: found.p < 0.05}

                yield f"{count} passages, correlation {alike}, {share:.0%} disagree, lead {lead:g}", once


def perplexities() -> Settings:
    for n in (5, 10, 20, 50, 100, 300):
        for heavy in (False, True):

            def once(random: Random, n: int = n, heavy: bool = heavy) -> Mapping[str, bool]:
                first, second, third = made.texts(random, n, heavy=heavy)
                found = paired("token_perplexity", second, first)
                null = paired("token_perplexity", third, first)
                truth = 0.06 * (np.exp(0.3**2 / 2) if heavy else 1.0)
                return {**held(found, truth), TEST: null.p < 0.05}

            yield f"n = {n}, {'heavy' if heavy else 'light'} tails", once


def one_text() -> Settings:
    """A file of so many kilobytes, whose neighbouring blocks are alike."""
    for n in (10, 20, 50, 100, 300):
        for alike in (0.0, 0.2, 0.4):

            def once(random: Random, n: int = n, alike: float = alike) -> Mapping[str, bool]:
                metric = METRICS["token_perplexity"]
                sides = made.neighbours(random, n, alike)
                a, b = (pseudo_values(metric, side, texts=[0] * n) for side in sides)
                found = of_pair("t", a, b)
                alone = covers(estimate(metric, sides[0], texts=[0] * n), float(np.exp(700 / 250)))
                return {**alone, TEST: found.p < 0.05}

            yield f"{n} kilobytes, correlation {alike}", once


def corpora() -> Settings:
    for name in ("bleu", "chrf"):
        for n in (5, 10, 20, 50, 150):

            def once(random: Random, name: str = name, n: int = n) -> Mapping[str, bool]:
                one, two, three = made.translations(random, n, name)
                truth = made.true_translations(name)
                found, null = paired(name, one, two), paired(name, two, three)
                said = {**held(found, truth[0] - truth[1]), TEST: null.p < 0.05}
                if name == "bleu" and n == 150:
                    metric, drawn = METRICS[name], weights(names(n), seed=int(random.integers(10**6)), draws=1000)
                    draws = [resampled(metric, side, drawn) for side in (two, three)]
                    seen = [float(metric.value(side.sum(axis=0))) for side in (two, three)]
                    said[SACRE] = sacrebleu_p(draws[0], draws[1], seen[0] - seen[1]) < 0.05
                return said

            yield f"{name}, n = {n}", once


def rare_classes() -> Settings:
    for name in ("mcc", "macro_f1"):
        for n in SIZES:
            for rare in (0.03, 0.2, 0.5):
                for right in ((0.8, 0.8), (0.98, 0.95), (0.95, 0.6)):

                    def once(
                        random: Random, name: str = name, n: int = n, rare: float = rare, right: tuple = right
                    ) -> Mapping[str, bool]:
                        found = paired(name, *made.classes(random, n, rare, right))
                        return {**held(found, 0.0), TEST: found.p < 0.05}

                    yield f"{name}, n = {n}, a class of {rare:.0%}, right {right}", once

"""Do intervals hold the truth, do tests reject what is true, and do they find what there is? By simulation.

``python benchmarks/coverage.py [--times 1000]``, about ten minutes on two cores. docs/statistics.md has its table.
The last line is JSON. Exit code 1 when a figure lies outside of what is promised.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from gpteval.compare.resample import interval, resampled, weights
from gpteval.compare.rows import least_effect
from gpteval.compare.tests import bootstrap_test, mcnemar, sacrebleu_p, sign_flips
from gpteval.core.types import Generate, Generated
from gpteval.experiments.cells import Cell
from gpteval.experiments.curves import Grid, make_curve
from gpteval.metrics.registry import metric_registry

METRICS = metric_registry()
DRAWS = 2000
Floats = NDArray[np.float64]
Figure = tuple[str, float, tuple[float, float]]


def names(n: int) -> list[str]:
    return [str(i) for i in range(n)]


def mean_draws(d: Floats, units: list[str], seed: int) -> Floats:
    return resampled(METRICS["f1"], np.column_stack([d, np.ones(len(d))]), weights(units, seed=seed, draws=DRAWS))


def answers(n: int, effect: float, share: float, seed: int) -> tuple[Floats, Floats]:
    """Rights and wrongs of two models that disagree on ``share`` of the items; the first wins ``effect`` more."""
    random = np.random.default_rng(seed)
    disagree = random.random(n) < share
    wins = random.random(n) < 0.5 + effect / (2 * share)
    return np.where(disagree, wins, 1.0), np.where(disagree, ~wins, 1.0)


def share(times: int, once: Callable[[int], bool]) -> float:
    return float(np.mean([once(seed) for seed in range(times)]))


def binary(n: int, times: int) -> list[Figure]:
    def covers(seed: int) -> bool:
        a, b = answers(n, 0.08, 0.3, seed)
        low, high = interval(mean_draws(a - b, names(n), seed), n)
        return low <= 0.08 <= high

    def rejects(effect: float) -> Callable[[int], bool]:
        return lambda seed: mcnemar(*answers(n, effect, 0.4, seed)) < 0.05

    found: list[Figure] = [(f"interval, paired right and wrong, n = {n}", share(times, covers), (0.93, 0.97))]
    found.append((f"exact McNemar rejects a true null, n = {n}", share(times, rejects(0.0)), (0.03, 0.07)))
    if n >= 300:
        effect = least_effect(float(np.sqrt(0.4 / n)), by_ratio=False)
        found.append(
            (f"exact McNemar's power at the least effect, n = {n}", share(times, rejects(effect)), (0.77, 0.83))
        )
    return found


def means(n: int, times: int) -> list[Figure]:
    def rejects(effect: float) -> Callable[[int], bool]:
        def once(seed: int) -> bool:
            d = np.random.default_rng(seed).gamma(2.0, 1.0, n) - 2.0 + effect
            return float(sign_flips(d[:, None], names(n), seed=seed, draws=DRAWS)[0]) < 0.05

        return once

    effect = least_effect(float(np.sqrt(2.0 / n)), by_ratio=False)
    return [
        (f"sign flips reject a true null, skewed scores, n = {n}", share(times, rejects(0.0)), (0.03, 0.07)),
        (f"sign flips' power at the least effect, n = {n}", share(times, rejects(effect)), (0.77, 0.83)),
    ]


def clusters(times: int) -> list[Figure]:
    def once(seed: int, grouped: bool) -> bool:
        random = np.random.default_rng(seed)
        d = 0.1 + np.repeat(random.normal(0, 0.25, 30), 10) + random.normal(0, 0.3, 300)
        units = [f"p{i // 10}" for i in range(300)] if grouped else names(300)
        low, high = interval(mean_draws(d, units, seed), 30 if grouped else 300)
        return low <= 0.1 <= high

    return [
        ("interval, 30 passages of 10 questions", share(times, lambda s: once(s, True)), (0.93, 0.97)),
        ("the same, passages left out of account", share(times, lambda s: once(s, False)), (0.0, 0.80)),
    ]


def perplexity(times: int) -> list[Figure]:
    metric, n = METRICS["token_perplexity"], 60

    def once(seed: int) -> tuple[bool, bool]:
        """Texts of uneven length; the second model needs 2 % more nats a token, or just as many."""
        random = np.random.default_rng(seed)
        tokens = random.integers(200, 2000, n).astype(float)
        base = 3.0 * random.gamma(60, 1 / 60, n)
        noise = random.normal(0, 0.05, (2, n))
        first, second, alike = tokens * base, tokens * (base * 1.02 + noise[0]), tokens * (base + noise[1])
        drawn = weights(names(n), seed=seed, draws=DRAWS)
        log = [
            np.log(resampled(metric, np.column_stack([nats, tokens, tokens, tokens]), drawn))
            for nats in (first, second, alike)
        ]
        low, high = interval(log[1] - log[0], n)
        null = log[2] - log[0]
        observed = float((alike.sum() - first.sum()) / tokens.sum())
        return bool(low <= 0.06 <= high), bootstrap_test(null, observed) < 0.05

    covered, rejected = np.mean([once(seed) for seed in range(times)], axis=0)
    return [
        ("interval, ratio of perplexities, 60 texts", float(covered), (0.93, 0.97)),
        ("paired bootstrap rejects a true null, perplexities", float(rejected), (0.03, 0.07)),
    ]


def bleu(times: int) -> list[Figure]:
    metric, n = METRICS["bleu"], 150
    words = [f"w{i}" for i in range(40)]

    def stats(random: np.random.Generator, wrong: float, references: list[list[str]]) -> Floats:
        found = []
        for reference in references:
            said = [w if random.random() > wrong else "x" for w in reference]
            found.append(metric.stats(Generate("p", [" ".join(reference)]), Generated(" ".join(said), "stop", 1)))
        return np.array(found)

    def sentences(random: np.random.Generator, count: int) -> list[list[str]]:
        return [list(random.choice(words, int(random.integers(8, 20)))) for _ in range(count)]

    random = np.random.default_rng(0)
    many = sentences(random, 20_000)
    true = [float(metric.value(stats(random, wrong, many).sum(axis=0))) for wrong in (0.20, 0.25)]

    def once(seed: int) -> tuple[bool, bool, bool]:
        random = np.random.default_rng(seed)
        references = sentences(random, n)
        drawn = weights(names(n), seed=seed, draws=DRAWS)
        sides = [stats(random, wrong, references) for wrong in (0.20, 0.25, 0.25)]
        draws = [resampled(metric, side, drawn) for side in sides]
        values = [float(metric.value(side.sum(axis=0))) for side in sides]
        low, high = interval(draws[0] - draws[1], n)
        observed = values[1] - values[2]
        rejected = bootstrap_test(draws[1] - draws[2], observed) < 0.05
        return bool(low <= true[0] - true[1] <= high), rejected, sacrebleu_p(draws[1], draws[2], observed) < 0.05

    covered, rejected, theirs = np.mean([once(seed) for seed in range(times)], axis=0)
    return [
        ("interval, difference of BLEU, 150 sentences", float(covered), (0.93, 0.97)),
        ("paired bootstrap rejects a true null, BLEU", float(rejected), (0.03, 0.07)),
        ("sacreBLEU's p-value rejects a true null, BLEU (for comparison)", float(theirs), (0.0, 1.0)),
    ]


def few_shots(seeds: int, times: int) -> list[Figure]:
    """80 items, 0 to 4 examples: a known rise of 5 points a doubling, seeds that differ by 8 points."""
    rise, spread, numbers, n = 0.05, 0.08, (0, 1, 2, 4), 80

    def once(number: int) -> tuple[bool, bool]:
        random = np.random.default_rng(number)
        ability, effects = random.normal(0, 0.08, n), random.normal(0, spread, seeds)
        cells = []
        for k in numbers:
            for seed in range(seeds if k else 1):
                p = 0.35 + rise * np.log2(1 + k) + ability + effects[seed] * (k > 0)
                stats = np.column_stack([random.random(n) < np.clip(p, 0, 1), np.ones(n)]).astype(float)
                ids, whole = tuple(names(n)), np.zeros(n, dtype=bool)
                what = ("m", "gpt2", 1, "t", "default", "qa", METRICS["acc"], k, seed, "")
                cells.append(Cell(*what, ids, ids, stats, whole, None))
        curve = make_curve(Grid(cells, draws=400))
        slope, seen = curve.slope, curve.points[-1].spread
        assert slope is not None
        return slope.ci_low <= rise <= slope.ci_high, seen.ci_low <= spread <= seen.ci_high

    slopes, spreads = np.mean([once(number) for number in range(times)], axis=0)
    return [
        (f"interval of the slope over examples, {seeds} seeds", float(slopes), (0.93, 0.97)),
        (f"interval of the spread between seeds, {seeds} seeds", float(spreads), (0.93, 0.97)),
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=1000, help="simulations a figure")
    times = parser.parse_args().times
    found: list[Figure] = []
    for part in (
        lambda: binary(50, times),
        lambda: binary(300, times),
        lambda: binary(3000, times),
        lambda: means(300, times),
        lambda: clusters(times),
        lambda: perplexity(times),
        lambda: bleu(max(1, times // 2)),
        lambda: few_shots(3, times),
        lambda: few_shots(5, times),
    ):
        for name, value, (low, high) in part():
            kept = low <= value <= high
            found.append((name, value, (low, high)))
            mark = "" if kept else " outside |"
            print(f"| {name} | {100 * value:.1f} % | {100 * low:.0f} to {100 * high:.0f} % |{mark}", flush=True)
    print(json.dumps({"times": times, "figures": {name: value for name, value, _ in found}}))
    return 0 if all(low <= value <= high for _, value, (low, high) in found) else 1


if __name__ == "__main__":
    sys.exit(main())

"""Do intervals hold the truth, do tests reject what is true, and do they find what there is? By simulation.

``python benchmarks/coverage.py [--times 1000] [--all] [--only WORD]`` holds models whose true difference is known
against each other, by the product's own functions. Each subject is printed with its least and its largest figure over
all settings, as in docs/statistics.md; ``--all`` prints every setting. The last line is JSON. Exit code 1 where a
figure lies outside of what is promised by more than twice the simulation's own error.
"""

from __future__ import annotations

import argparse
import functools
import json
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
from benchmarks import said
from benchmarks import simulated as made
from benchmarks.of_pairs import (
    HOLM,
    MARGIN,
    POWER,
    PROMISED,
    SIZES,
    SLOPE,
    SPREAD,
    TABLE,
    WHOLE,
    Settings,
    accuracies,
    clusters,
    corpora,
    counts,
    covers,
    grades,
    one_text,
    perplexities,
    rare_classes,
    tasks,
)
from benchmarks.simulated import METRICS, Random, names, scores
from gpteval.experiments.cells import Cell
from gpteval.experiments.curves import Grid, make_curve
from gpteval.stats.evidence import of_answers
from gpteval.stats.interval import Estimate, estimate
from gpteval.stats.significance import holm
from gpteval.stats.simultaneous import adjusted

FOUND = "rows found that differ"


@dataclass(frozen=True)
class Subject:
    name: str
    settings: Callable[[], Settings]
    times: float = 1.0  # of those asked for


def single_shares() -> Settings:
    for n in (*SIZES, 3000):
        for level in (0.5, 0.9, 0.97, 0.99, 0.9995):

            def once(random: Random, n: int = n, level: float = level) -> Mapping[str, bool]:
                return covers(_share(int(random.binomial(n, level)), n), level)

            yield f"n = {n}, level {level}", once


@cache
def _share(right: int, n: int) -> Estimate:
    return estimate(METRICS["acc"], scores(np.arange(n) < right))


def single_scores() -> Settings:
    for n in SIZES:
        for level in (0.5, 0.9, 0.97, 0.99):
            for partial in (0.0, 0.5):

                def once(
                    random: Random, n: int = n, level: float = level, partial: float = partial
                ) -> Mapping[str, bool]:
                    size = np.where(random.random(n) < partial, random.beta(2, 2, n), 1.0)
                    values = 1 - size * (random.random(n) > level)
                    truth = 1 - (1 - level) * (1 - partial / 2)
                    return covers(estimate(METRICS["f1"], scores(values)), truth)

                yield f"F1, n = {n}, {level:.0%} right, {partial:.0%} of errors in part", once
    for name in ("mcc", "macro_f1"):
        for n in SIZES:
            for rare in (0.03, 0.2, 0.5):
                for right in ((0.8, 0.8), (0.98, 0.95), (0.95, 0.6)):

                    def class_once(
                        random: Random, name: str = name, n: int = n, rare: float = rare, right: tuple = right
                    ) -> Mapping[str, bool]:
                        found = estimate(METRICS[name], made.classes(random, n, rare, right)[0])
                        return covers(found, made.true_classes(name, rare, right))

                    yield f"{name}, n = {n}, a class of {rare:.0%}, right {right}", class_once
    for name in ("bleu", "chrf"):
        for n in (5, 10, 20, 50, 150):

            def corpus_once(random: Random, name: str = name, n: int = n) -> Mapping[str, bool]:
                found = estimate(METRICS[name], made.translations(random, n, name)[0])
                return covers(found, made.true_translations(name)[0])

            yield f"{name}, n = {n}", corpus_once
    for n in (5, 10, 20, 50, 100, 300):
        for heavy in (False, True):

            def text_once(random: Random, n: int = n, heavy: bool = heavy) -> Mapping[str, bool]:
                found = estimate(METRICS["token_perplexity"], made.texts(random, n, heavy=heavy)[0])
                return covers(found, float(np.exp(3 * (np.exp(0.3**2 / 2) if heavy else 1.0))))

            yield f"perplexity, n = {n}, {'heavy' if heavy else 'light'} tails", text_once
    for count in (5, 8, 20, 50, 3):  # of 3 nothing is said
        for alike in (0.05, 0.3):
            for level in (0.7, 0.95):

                def cluster_once(
                    random: Random, count: int = count, alike: float = alike, level: float = level
                ) -> Mapping[str, bool]:
                    right, units = made.belonging(random, count, alike, level)
                    found = estimate(METRICS["acc"], scores(right), clusters=units)
                    return covers(found, level)

                yield f"{count} passages, correlation {alike}, level {level}", cluster_once


def tables() -> Settings:
    """All pairs of models on several tasks: none differ, or the last ones do."""
    for models, count in ((4, 10), (10, 20)):
        for n in (20, 100, 300):
            for better in (0, models // 2):

                def once(
                    random: Random, models: int = models, count: int = count, n: int = n, better: int = better
                ) -> Mapping[str, bool]:
                    return _table(random, models, count, n, better)

                rows = count * models * (models - 1) // 2
                yield f"{rows} rows, n = {n}, {better} of {models} models better", once


def _table(random: Random, models: int, count: int, n: int, better: int) -> Mapping[str, bool]:
    rows, truths = [], []
    levels = np.where(np.arange(models) < models - better, 0.6, 0.9)
    for task in range(count):
        hard = random.random(n)
        own = np.where(random.random((models, n)) < 0.5, hard, random.random((models, n)))
        right = (own < levels[:, None]).astype(float)
        units = names(n, f"t{task}-")
        for a in range(models):
            for b in range(a):
                rows.append(of_answers(f"t{task}", right[a], right[b], units))
                truths.append(levels[a] - levels[b])
    found, truth = adjusted(rows, int(random.integers(2**31))), np.array(truths)
    named = np.array(found.p) < 0.05
    ends = [row.interval(1 - found.alpha, p * found.alpha / 0.05) for row, p in zip(rows, found.p, strict=True)]
    holds = all(low - 1e-9 <= t <= high + 1e-9 for (low, high), t in zip(ends, truths, strict=True))
    said = {TABLE: bool((named & (truth == 0)).any()), WHOLE: holds}
    if better:
        by_holm = np.array(holm([row.p for row in rows])) < 0.05
        said |= {FOUND: named[truth != 0].mean(), HOLM: by_holm[truth != 0].mean()}
    return said


def margins() -> Settings:
    """What lies exactly on a margin of one point."""
    for n in SIZES:
        for other in (0.0, 0.01, 0.05, 0.2):  # share of items that either may win

            def once(random: Random, n: int = n, other: float = other) -> Mapping[str, bool]:
                luck = random.random(n)
                a, b = np.ones(n), np.ones(n)
                a[luck < 0.01 + other / 2], b[luck > 1 - other / 2] = 0, 0
                return {MARGIN: counts(a, b).interval(0.95)[0] > -0.01}

            yield f"n = {n}, {0.01 + other:.0%} disagree", once


def power() -> Settings:
    """The MDE of one row."""
    for n in (300, 1000):
        effect = 2.80 * np.sqrt(0.4 / n)

        def once(random: Random, n: int = n, effect: float = effect) -> Mapping[str, bool]:
            return {POWER: counts(*made.disagreeing(random, n, 0.4, effect / 0.4)).p < 0.05}

        yield f"one row, n = {n}, 40% disagree", once


def few_shots() -> Settings:
    """80 items, 0 to 4 examples: a known rise of 5 points a doubling, seeds that differ by 8 points."""
    rise, spread, numbers, n = 0.05, 0.08, (0, 1, 2, 4), 80
    for seeds in (3, 5):

        def once(random: Random, seeds: int = seeds) -> Mapping[str, bool]:
            ability, effects = random.normal(0, 0.08, n), random.normal(0, spread, seeds)
            cells = []
            for k in numbers:
                for seed in range(seeds if k else 1):
                    p = 0.35 + rise * np.log2(1 + k) + ability + effects[seed] * (k > 0)
                    stats = scores((random.random(n) < np.clip(p, 0, 1)).astype(float))
                    whole = np.zeros(n, dtype=bool)
                    what = ("m", "gpt2", 1, "t", "default", "qa", METRICS["acc"], k)
                    cells.append(Cell(*what, names(n), names(n), stats, seed, "", whole, None))
            curve = make_curve(Grid(cells, draws=400))
            slope, seen = curve.slope, curve.points[-1].spread
            assert slope is not None
            return {SLOPE: slope.ci_low <= rise <= slope.ci_high, SPREAD: seen.ci_low <= spread <= seen.ci_high}

        yield f"{seeds} seeds", once


def sentences_on_generations() -> Settings:
    for noise in (0.0, 0.017, 0.032):
        for gain in (0.0, 0.06):
            for models in (1, 2, 3, 5):
                yield (
                    f"{models} models a side, trainings differ by {noise:.1%}, generations by {gain:.0%}",
                    functools.partial(said.generations, models=models, noise=noise, gain=gain),
                )


def sentences_of_place() -> Settings:
    for step in (0.01, 0.02, 0.04, 0.08):
        yield f"six models {step:.0%} apart", functools.partial(said.ladder, step=step)


def sentences_of_few_shots() -> Settings:
    for shape in said.CURVES:
        for seeds in (1, 2, 3, 5):
            yield f"{shape}, {seeds} seeds", functools.partial(said.curve, shape=shape, seeds=seeds)


def growing_limits() -> Settings:
    for share in (0.05, 0.2, 0.4):
        yield f"limits of 100 to 1,000, {share:.0%} disagree", functools.partial(said.growing, share=share)
        for times in (0, 2):
            what = f"until decided, {share:.0%} disagree, {times} times the planned difference"
            yield what, functools.partial(said.until_decided, share=share, effect=share / 8, times=times)
        yield f"planned, {share:.0%} disagree", functools.partial(said.planned, share=share, effect=share / 8)


SUBJECTS = (
    Subject("accuracies of two models", accuracies, 2),
    Subject("F1 and ROUGE of two models", grades),
    Subject("means over tasks of two models", tasks),
    Subject("passages, two models", clusters),
    Subject("perplexities of two models", perplexities),
    Subject("perplexities of one text, in blocks", one_text),
    Subject("BLEU and chrF of two models", corpora),
    Subject("MCC and macro-F1 of two models", rare_classes, 0.5),
    Subject("one model's accuracy", single_shares, 2),
    Subject("one model's other scores", single_scores, 0.5),
    Subject("tables", tables, 0.5),
    Subject("margins", margins, 2),
    Subject("power", power, 2),
    Subject("few-shot curves", few_shots),
    Subject("sentences on generations", sentences_on_generations, 0.5),
    Subject("sentences of place", sentences_of_place, 0.5),
    Subject("sentences of few-shot curves", sentences_of_few_shots),
    Subject("growing limits and plans", growing_limits, 2),
)
Seen = tuple[str, str, dict[str, float]]  # subject, setting, figures by kind


def simulate(asked: tuple[int, int, int]) -> Seen:
    """One setting of one subject: (its place among the subjects, its own place, how often)."""
    number, place, times = asked
    subject = SUBJECTS[number]
    setting, once = list(subject.settings())[place]
    found: dict[str, list[float]] = {}
    for seed in range(max(1, int(times * subject.times))):
        for kind, true in once(np.random.default_rng((number, place, seed))).items():
            found.setdefault(kind, []).append(float(true))
    return subject.name, setting, {kind: float(np.mean(values)) for kind, values in found.items()}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=1000, help="simulations a setting; some subjects take a share")
    parser.add_argument("--all", action="store_true", help="print every setting")
    parser.add_argument("--only", default="", help="subjects with this word in their name")
    parser.add_argument("--workers", type=int, default=2)
    asked = parser.parse_args()
    work = [
        (number, place, asked.times)
        for number, subject in enumerate(SUBJECTS)
        if asked.only in subject.name
        for place in range(len(list(subject.settings())))
    ]
    seen: list[Seen] = []
    with ProcessPoolExecutor(asked.workers) as pool:
        for subject, setting, figures in pool.map(simulate, work, chunksize=4):
            seen.append((subject, setting, figures))
            if asked.all:
                said = "; ".join(f"{kind}: {100 * value:.1f} %" for kind, value in figures.items())
                print(f"{subject}, {setting}: {said}", flush=True)
    return told(seen, asked.times)


def told(seen: list[Seen], times: int) -> int:
    """The table of docs/statistics.md, what is broken, and the JSON."""
    kept, document = True, {}
    print("| subject | what | settings | least | most | promised |\n| --- | --- | --- | --- | --- | --- |")
    shares = {subject.name: subject.times for subject in SUBJECTS}
    for subject in dict.fromkeys(subject for subject, _, _ in seen):
        kinds = dict.fromkeys(kind for of, _, figures in seen if of == subject for kind in figures)
        for kind in kinds:
            found = {s: figures[kind] for of, s, figures in seen if of == subject and kind in figures}
            low, high = PROMISED.get(kind, (0.0, 1.0))
            error = {
                s: 2 * np.sqrt(max(value * (1 - value), 0.01) / (times * shares[subject])) for s, value in found.items()
            }
            broken = {s: value for s, value in found.items() if not low - error[s] <= value <= high + error[s]}
            kept = kept and not broken
            span = "-" if kind not in PROMISED else f"{100 * low:g} % or more" if low else f"{100 * high:g} % or less"
            least, most = min(found.values()), max(found.values())
            print(f"| {subject} | {kind} | {len(found)} | {100 * least:.1f} % | {100 * most:.1f} % | {span} |")
            for setting, value in broken.items():
                print(f"BROKEN: {subject}, {setting}: {kind}: {100 * value:.1f} %")
            document[f"{subject}: {kind}"] = [least, most]
    print(json.dumps({"times": times, "figures": document}))
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())

"""Are the sentences true that gpteval prints? By simulation, for ``benchmarks/coverage.py``.

Each function is one simulation: models whose truth is known, the product's own sentence on them, and whether it claims
what is not so. Beside it stands how often something is claimed at all.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cache

import numpy as np

from benchmarks.simulated import METRICS, Floats, Random, names, scores
from gpteval.comparison.answers import FACTS, Answers
from gpteval.comparison.compare import Comparison, compared
from gpteval.comparison.place import Placement, paired
from gpteval.comparison.power import items_to_show
from gpteval.experiments.cells import Cell
from gpteval.experiments.curves import Curve, Grid, make_curve
from gpteval.run.decide import FIRST, GROWTH
from gpteval.stats.anytime import Betting
from gpteval.stats.significance import mcnemar

UNTRUE, CLAIMED = "sentence is not true", "sentence claims a difference (power)"
TASKS, ITEMS = 3, 300


def answered(random: Random, abilities: Mapping[str, tuple[str, float]]) -> list[Answers]:
    """Models' rights and wrongs on tasks whose items are easy or hard for all of them, from generation and level."""
    found = []
    facts = dict.fromkeys(FACTS)
    for task in range(TASKS):
        ids, hard = names(ITEMS, f"t{task}-"), random.random(ITEMS)
        for model, (generation, level) in abilities.items():
            own = np.where(random.random(ITEMS) < 0.5, hard, random.random(ITEMS))
            found.append(
                Answers(
                    *(model, generation, 100, f"t{task}", "default", "qa", METRICS["acc"], 0, ids, ids),
                    scores((own < level).astype(float)),
                    *(0.0, ids, np.zeros(ITEMS, dtype=bool)),
                    facts,
                )
            )
    return found


def generations(random: Random, models: int, noise: float, gain: float) -> Mapping[str, bool]:
    """Two generations of so many models, whose trainings differ by ``noise``; the newer is better by ``gain``."""
    abilities = {}
    for generation, centre in (("gpt2", 0.6), ("gpt3", 0.6 + gain)):
        for number in range(models):
            abilities[f"{generation}-{number}"] = (generation, centre + noise * random.normal())
    said = _compared(random, answered(random, abilities))
    truths, claims = [], []
    for row in said.generations:
        if row.pair is None:
            continue
        sides = [np.mean([abilities[name][1] for name in side]) for side in (row.news, row.olds)]
        truth = gain if row.over_models else sides[0] - sides[1]
        claims.append(row.pair.significant)
        truths.append(not row.pair.significant or row.pair.figure.effect * truth > 0)
    return {UNTRUE: not all(truths), CLAIMED: claims[0]}


def _compared(random: Random, answers: Sequence[Answers], baseline: str | None = None) -> Comparison:
    return compared(answers, baseline, seed=int(random.integers(2**31)), draws=20)


def ladder(random: Random, step: float) -> Mapping[str, bool]:
    """Six known models, each ``step`` better than the one before, and one's own in their middle."""
    levels = {f"known-{number}": 0.6 + step * (number - 2.5) for number in range(6)}
    answers = answered(random, {name: ("gpt2", level) for name, level in (levels | {"mine": 0.6}).items()})
    rows = {name: [{"generation": "gpt2", "n_params": 100}] for name in levels}
    rivals = paired(_compared(random, answers, "mine"), levels, rows)
    found = Placement("mine", tuple(rivals))
    below, above = found.neighbours()
    untrue = any(rival.side * (0.6 - levels[rival.name]) < 0 for rival in rivals)
    return {UNTRUE: untrue, CLAIMED: below is not None or above is not None}


CURVES = {"flat": (0.5, 0.5, 0.5, 0.5), "rising": (0.4, 0.45, 0.5, 0.55), "levelling": (0.4, 0.5, 0.5, 0.5)}
SHOTS = (0, 1, 2, 4)


def curve(random: Random, shape: str, seeds: int) -> Mapping[str, bool]:
    """80 items, seeds that differ by 5 points."""
    n, spread = 80, 0.05
    ability, effects = random.normal(0, 0.08, n), random.normal(0, spread, (seeds, len(SHOTS)))
    cells = []
    for place, (k, level) in enumerate(zip(SHOTS, CURVES[shape], strict=True)):
        for seed in range(seeds if k else 1):
            p = level + ability + (effects[seed, place] if k else 0)
            stats = scores((random.random(n) < np.clip(p, 0, 1)).astype(float))
            what = ("m", "gpt2", 1, "t", "default", "qa", METRICS["acc"], k)
            cells.append(Cell(*what, names(n), names(n), stats, seed, "", np.zeros(n, dtype=bool), None))
    found = make_curve(Grid(cells, draws=400))
    return {UNTRUE: _untrue(found, CURVES[shape]), CLAIMED: found.gain is not None and found.better(found.gain)}


def _untrue(found: Curve, truth: Sequence[float]) -> bool:
    """Whether it gains or loses what it does not, is hurt where it is not, or more is to be had than at most."""
    assert found.gain is not None
    true = dict(zip(SHOTS, truth, strict=True))
    wrong = (found.better(found.gain) and not truth[-1] > truth[0]) or found.worse(found.gain)
    wrong = wrong or any(true[k] >= true[0] for k in found.hurts or ())
    if found.beyond is None or found.enough is None:
        return wrong
    return wrong or any(true[k] - true[found.enough] > found.beyond + 1e-9 for k in SHOTS if k > found.enough)


items_planned = cache(items_to_show)
FALSE, STOPPED = "two alike are called different at any look", "items until decided, of those planned"
PLANNED = "difference is found that was planned for"


def growing(random: Random, share: float) -> Mapping[str, float]:
    """Two models that are alike, looked at after every 100 of 1,000 items: McNemar's test, and the anytime form."""
    wins, losses = _differing(random, 1000, share, 0.0)
    looks = range(99, 1000, 100)
    pairs = [(int(wins[n]), int(losses[n]), n + 1) for n in looks]
    return {
        "McNemar's test at growing limits (for comparison)": any(mcnemar(a, b) < 0.05 for a, b, _ in pairs),
        FALSE: any(_bets(a, b, n).log_wealth(0.0) >= math.log(20) for a, b, n in pairs),
    }


def until_decided(random: Random, share: float, effect: float, times: float) -> Mapping[str, float]:
    """The looks of ``run --until-decided``, where the true difference is ``times`` the planned one."""
    enough = items_planned(effect, share)
    assert enough is not None
    wins, losses = _differing(random, 2 * enough, share, times * effect)
    take = FIRST
    while True:
        n = min(take, 2 * enough)
        if _bets(int(wins[n - 1]), int(losses[n - 1]), n).log_wealth(0.0) >= math.log(20):
            return {FALSE: True} if not times else {UNTRUE: wins[n - 1] < losses[n - 1], STOPPED: n / enough}
        if n == 2 * enough:
            return {FALSE: False} if not times else {UNTRUE: False, STOPPED: n / enough}
        take = math.ceil(take * GROWTH)


def planned(random: Random, share: float, effect: float) -> Mapping[str, bool]:
    """The test of the items that ``gpteval plan`` names."""
    n = items_planned(effect, share)
    assert n is not None
    wins, losses = _differing(random, n, share, effect)
    return {PLANNED: mcnemar(int(wins[-1]), int(losses[-1])) < 0.05}


def _differing(random: Random, n: int, share: float, effect: float) -> tuple[Floats, Floats]:
    """How many of the first items only the one and only the other model has right, [n] each."""
    luck = random.random(n)
    wins = luck < (share + effect) / 2
    return np.cumsum(wins), np.cumsum((luck < share) & ~wins)


def _bets(a: int, b: int, n: int) -> Betting:
    return Betting(np.array([-1.0, 0.0, 1.0]), [b, n - a - b, a])

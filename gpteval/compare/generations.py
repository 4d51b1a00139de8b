"""What did a generation bring? Families' means, best against best, and models of the same size."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from itertools import pairwise

import numpy as np

from gpteval.compare.desk import Desk
from gpteval.compare.evidence import Evidence
from gpteval.compare.rows import Generations, judged

NAMES = {"gpt1": "GPT-1", "gpt2": "GPT-2", "gpt3": "GPT-3 style", "gpt4": "GPT-4 class"}
ALIKE = 1.25  # largest ratio of parameters at which two models are of the same size
MEANS, BEST, MATCHED = "family means", "best against best", "matched size"


Form = tuple[Generations, Evidence | None]


def forms(desk: Desk, margin: float = 0.0) -> tuple[Generations, ...]:
    """Each generation against the one before, and the last against the first; adjusted as one table."""
    members: dict[str, list[str]] = defaultdict(list)
    sizes: dict[str, int | None] = {}
    for models in desk.of.values():
        for name, one in models.items():
            if one.generation in NAMES and one.centre and name not in members[one.generation]:
                members[one.generation].append(name)
                sizes[name] = one.n_params
    present = [generation for generation in NAMES if members[generation]]
    ends = [(present[0], present[-1])] if len(present) > 2 else []
    said = [
        row
        for older, newer in [*pairwise(present), *ends]
        for row in _three(desk, older, newer, sorted(members[older]), sorted(members[newer]), sizes)
    ]
    table = [(row.pair, evidence) for row, evidence in said if row.pair is not None and evidence is not None]
    pairs = iter(judged(table, seed=desk.seed, margin=margin))
    return tuple(row if row.pair is None else replace(row, pair=next(pairs)) for row, _ in said)


def _three(
    desk: Desk, older: str, newer: str, olds: list[str], news: list[str], sizes: dict[str, int | None]
) -> list[Form]:
    names = NAMES[older], NAMES[newer]
    rows = [_row(desk, names, MEANS, news, olds)]
    best = [_best(desk, side, [*olds, *news]) for side in (news, olds)]
    rows.append(_row(desk, names, BEST, [best[0]], [best[1]]))
    matched = [
        (new, old)
        for new in news
        for old in olds
        if (a := sizes[new]) and (b := sizes[old]) and max(a, b) <= ALIKE * min(a, b)
    ]
    if not matched:
        who = f"no {names[1]} and {names[0]} models of the same size (within {ALIKE - 1:.0%}) were run"
        return [*rows, (Generations(*names, MATCHED, who, 0, None), None)]
    return [*rows, _row(desk, names, MATCHED, [new for new, _ in matched], [old for _, old in matched])]


def _row(desk: Desk, names: tuple[str, str], form: str, news: list[str], olds: list[str]) -> Form:
    tasks = len({task for task, _ in desk.centred_units([*news, *olds])})
    found = desk.mean(news, olds, None)
    who = f"{', '.join(dict.fromkeys(news))} against {', '.join(dict.fromkeys(olds))}"
    if not found:
        return Generations(*names, form, f"{who}: no task of the accuracy type that all of them ran", 0, None), None
    ((pair, evidence),) = found
    return Generations(*names, form, who, tasks, replace(pair, model_a=names[1], model_b=names[0])), evidence


def _best(desk: Desk, side: list[str], everybody: list[str]) -> str:
    """The model with the highest mean centred score over the units that everybody ran (else over its own)."""
    shared = [models for models in desk.of.values() if all(name in models for name in everybody)]

    def score(name: str) -> float:
        found = []
        for models in shared or desk.of.values():
            one = models.get(name)
            if one is not None and one.centre is not None:
                chance, width = one.centre
                found.append((float(one.metric.value(one.stats.sum(axis=0))) - chance) / width)
        return float(np.mean(found)) if found else -np.inf

    return max(sorted(side), key=score)

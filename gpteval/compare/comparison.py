"""Comparing runs: every pair of models on every task they share, over all tasks, and generation by generation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

from gpteval.compare.answers import Answers, read_answers
from gpteval.compare.desk import Desk
from gpteval.compare.generations import forms
from gpteval.compare.resample import DRAWS
from gpteval.compare.rows import Generations, Pair, judged
from gpteval.core.errors import UnknownNameError, UsageError
from gpteval.core.runs import load_runs
from gpteval.core.text import natural

if TYPE_CHECKING:
    import pandas

ORDER = ("gpt1", "gpt2", "gpt3", "gpt4", "other")


@dataclass(frozen=True)
class Comparison:
    """``pairs``: a row a task and pair of models. ``families`` (where there are several) and ``overall``: means of
    chance-centred scores, from 0 (guessing) to 1 (perfect). ``generations``: what each brings over the one before.
    ``models``: in their order.
    """

    models: tuple[str, ...]
    pairs: tuple[Pair, ...]
    families: tuple[Pair, ...]
    overall: tuple[Pair, ...]
    generations: tuple[Generations, ...]
    remarks: tuple[str, ...] = ()

    def to_frame(self) -> pandas.DataFrame:
        """All rows of ``pairs``, ``families`` and ``overall`` as a table, the figure's fields as columns."""
        import pandas as pd

        from gpteval.compare.rows import as_dict

        rows = []
        for scope in ("pairs", "families", "overall"):
            for pair in getattr(self, scope):
                row = as_dict(pair)
                rows.append({"scope": scope} | row.pop("figure") | {k: v for k, v in row.items() if k != "room"})
        return pd.DataFrame(rows)


def compare(
    runs: str | Path | Sequence[str | Path],
    *,
    baseline: str | None = None,
    metric: str | None = None,
    common_items: bool = False,
    force: bool = False,
    margin: float = 0.0,
    seed: int = 0,
    draws: int = DRAWS,
) -> Comparison:
    """Compare the models of one or more runs as pairs over the items that both answered.

    ``baseline``: every other model against this one, else all pairs. ``metric``: this one instead of each task's
    primary metric. ``common_items``: over the items that no model of a pair had to cut. ``margin``: in points (of a
    ratio, percent); models that are surely no further apart are called alike. A row's own figures do not depend on the
    order of runs or models, nor on what else is compared. Raises UsageError for results that differ in their
    prompts or data unless ``force``, UnknownNameError for a model that is not there, StoreError for damaged files.
    """
    answers = load(runs, metric)
    models = _in_order(answers)
    if baseline is not None and baseline not in models:
        raise UnknownNameError("model", baseline, models, "these runs have others")
    desk = Desk(answers, common_items, force, seed, draws)
    asked = [(b, a) if a == baseline else (a, b) for b, a in combinations(models, 2) if baseline in (None, a, b)]
    several = desk.families if len(desk.families) > 1 else []
    tables = (
        [row for unit in desk.units for row in desk.rows(unit, asked)],
        [row for a, b in asked for family in several for row in desk.mean([a], [b], family)],
        [row for a, b in asked for row in desk.mean([a], [b], None)],
    )
    pairs, families, overall = (judged(table, seed=seed, margin=margin) for table in tables)
    generations = forms(desk, margin)
    return Comparison(models, pairs, families, overall, generations, tuple(desk.remarks))


def load(runs: str | Path | Sequence[str | Path], metric: str | None) -> list[Answers]:
    """All answers of the runs by their primary metric or ``metric``; of what two runs have, the later counts.

    A benchmark stands for its parts.
    """
    paths = [Path(runs)] if isinstance(runs, str | Path) else [Path(run) for run in runs]
    found: dict[tuple[str, str, int], Answers] = {}
    for path in paths:
        loaded = load_runs([path])
        asked = [row for row in loaded.rows if (row.get("primary") if metric is None else row["metric"] == metric)]
        rows = [row for row in asked if not row.get("part_of")]
        files = {(m, *unit): file for unit, of_models in loaded.samples.items() for m, file in of_models.items()}
        for one in read_answers(path, rows, loaded.manifests[0], files):
            found[one.model, one.task, one.shots] = one
    if not found:
        named = f"no results by {metric!r}" if metric else "no results to compare"
        raise UsageError(f"these runs have {named}", "'gpteval tasks' lists each task's metrics")
    return list(found.values())


def _in_order(answers: Sequence[Answers]) -> tuple[str, ...]:
    """Models by generation, size and name."""
    facts = {one.model: one for one in answers}

    def key(name: str) -> tuple[object, ...]:
        one = facts[name]
        place = ORDER.index(one.generation) if one.generation in ORDER else len(ORDER)
        return place, one.n_params or 0, natural(name)

    return tuple(sorted(facts, key=key))

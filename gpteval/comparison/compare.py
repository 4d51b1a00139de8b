"""Comparing runs: every pair of models on every task they share, over all tasks, and generation by generation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import combinations
from typing import TYPE_CHECKING

from gpteval.comparison.alignment import aligned
from gpteval.comparison.answers import Answers, read_answers
from gpteval.comparison.by_generation import statements, with_figures
from gpteval.comparison.means import Counted, mean
from gpteval.comparison.pairing import PairedAnswers
from gpteval.comparison.results import Answered, Generations, Pair, judged
from gpteval.core.errors import UnknownNameError, UsageError
from gpteval.core.generations import GENERATIONS, generation_of
from gpteval.core.text import natural
from gpteval.metrics.named import metric_registry
from gpteval.stats.anytime import by_holm
from gpteval.stats.resample import DRAWS
from gpteval.store.runs import RunNames, Runs, read_runs

if TYPE_CHECKING:
    import pandas

ANYTIME = "valid at any look while items come in, for items in random order; e is the e-value, p its inverse (Holm)"


_SHOWN = (
    "scope",
    "model_a",
    "model_b",
    "task",
    "shots",
    "value_a",
    "value_b",
    "effect",
    "ci_low",
    "ci_high",
    "p_adjusted",
)


@dataclass(frozen=True)
class Comparison:
    """``pairs``: a row a task and pair of models. ``families`` (where there are several) and ``overall``: means of
    chance-centred scores, from 0 (guessing) to 1 (perfect). ``generations``: what each brings over the one before.
    ``models``: in their order. ``counted``: which tasks these means are over, and which stand apart.
    """

    models: tuple[str, ...]
    pairs: tuple[Pair, ...]
    families: tuple[Pair, ...]
    overall: tuple[Pair, ...]
    generations: tuple[Generations, ...]
    counted: Counted
    remarks: tuple[str, ...] = ()

    def _repr_html_(self) -> str:
        """In a notebook: each row with its effect, interval and p-value."""
        frame = self.to_frame()
        return str(frame[[name for name in _SHOWN if name in frame]].to_html(index=False))

    def to_frame(self) -> pandas.DataFrame:
        """All rows of ``pairs``, ``families`` and ``overall`` as a table, the figure's fields as columns."""
        import pandas as pd

        from gpteval.comparison.results import as_dict

        rows = []
        for scope in ("pairs", "families", "overall"):
            for pair in getattr(self, scope):
                row = as_dict(pair)
                rows.append(
                    {"scope": scope} | row.pop("figure") | {k: v for k, v in row.items() if k not in ("uncut", "room")}
                )
        return pd.DataFrame(rows)


def compare(
    runs: Runs | RunNames,
    *,
    baseline: str | None = None,
    metric: str | None = None,
    common_items: bool = False,
    force: bool = False,
    margin: float = 0.0,
    sides: Mapping[str, Sequence[str]] | None = None,
    anytime: bool = False,
    seed: int = 0,
    draws: int = DRAWS,
) -> Comparison:
    """Compare the models of one or more runs as pairs, over the items that both answered.

    ``baseline``: compares every other model with this one, instead of all pairs.
    ``metric``: takes the place of each task's primary metric.
    ``common_items``: leaves out the items whose prompt was cut for one model of a pair.
    ``margin``: in points (of a ratio, percent); two models whose whole interval lies within it are called alike.
    ``sides``: named groups of models, such as trainings of one recipe, in the place of the generations; each is
    compared with the one before.
    ``anytime``: uses tests that stay valid however often one looks while a run grows (pairs only). Runs that stopped
    as soon as they were decided are always compared so.

    A row's own figures do not depend on the order of runs or models, nor on what else is compared. Raises UsageError
    for results that differ in their prompts or data (unless ``force``) and for a single side, UnknownNameError for a
    model that the runs do not have, StoreError for damaged files.
    """
    remarks: list[str] = []
    answers = load(runs, metric, remarks)
    grown = any(one.facts.get("until_decided") for one in answers)
    options = {"common_items": common_items, "force": force, "anytime": anytime or grown}
    found = compared(answers, baseline, margin, sides, **options, seed=seed, draws=draws)
    return replace(found, remarks=(*dict.fromkeys(remarks), *found.remarks))


def compared(
    answers: Sequence[Answers],
    baseline: str | None = None,
    margin: float = 0.0,
    sides: Mapping[str, Sequence[str]] | None = None,
    *,
    common_items: bool = False,
    force: bool = False,
    anytime: bool = False,
    seed: int = 0,
    draws: int = DRAWS,
) -> Comparison:
    """What ``compare`` says of answers that are loaded."""
    if anytime and sides:
        raise UsageError(
            "sides are compared once, at the end: --anytime is for pairs of models", "leave one of the two out"
        )
    models = _in_order(answers)
    if baseline is not None and baseline not in models:
        raise UnknownNameError("model", baseline, models, "these runs have others")
    paired = PairedAnswers(answers, common_items, force, seed, draws, anytime=anytime)
    asked = [(b, a) if a == baseline else (a, b) for b, a in combinations(models, 2) if baseline in (None, a, b)]
    rows = [row for unit in paired.units for row in paired.rows(unit, asked)]
    if anytime:
        pairs = judged(rows, seed=seed, margin=margin, adjust=by_holm)
        paired.remarks.append(ANYTIME)
        return Comparison(models, pairs, (), (), (), Counted.of(paired), tuple(paired.remarks))
    averaged = {one.family for of in paired.of.values() for one in of.values() if one.centre}
    several = [family for family in paired.families if family in averaged] if len(averaged) > 1 else []
    by_family = [row for a, b in asked for family in several if (row := mean(paired, [a], [b], family=family))]
    overall = [row for a, b in asked if (row := mean(paired, [a], [b]))]
    of_sides = statements(paired, _sides(sides, models))
    between = [
        row for one in of_sides for a in one.news for b in one.olds if baseline and (row := mean(paired, [a], [b]))
    ]
    known: Answered = {}
    judge = partial(judged, seed=seed, margin=margin, known=known)
    pairs = judge(rows)
    # One table: the best of each side is chosen of pairs that are in it, so that its p-value allows for the choice.
    named = [one for one in of_sides if not one.row.over_models]
    means = judge([*overall, *(one.judgement for one in named if one.judgement), *between])
    of_kinds = [one for one in of_sides if one.row.over_models]  # another question, and few of them
    over_models = judge([one.judgement for one in of_kinds if one.judgement])
    generations = with_figures(of_sides, means[len(overall) :], over_models)
    families = judge(by_family)
    return Comparison(
        *(models, pairs, families, means[: len(overall)], generations),
        counted=Counted.of(paired),
        remarks=tuple(paired.remarks),
    )


def _sides(asked: Mapping[str, Sequence[str]] | None, models: Sequence[str]) -> Mapping[str, Sequence[str]]:
    """Raises UsageError for one side alone or a model on two, UnknownNameError for a model that is not there."""
    named = [name for names in (asked or {}).values() for name in names]
    for name in named:
        if name not in models:
            raise UnknownNameError("model", name, models, "these runs have others")
        if named.count(name) > 1:
            raise UsageError(f"{name} stands on two sides", "name each model once")
    if asked and (len(asked) < 2 or not all(asked.values())):
        raise UsageError("a comparison of sides needs two or more of them", "such as --side old=a,b,c --side new=d,e,f")
    return asked or {}


def load(runs: Runs | RunNames, metric: str | None, remarks: list[str] | None = None) -> list[Answers]:
    """All answers of the runs by their primary metric or ``metric``; of what two runs have, the later counts.

    A benchmark stands for its parts. ``remarks`` is told what is left out.
    """
    of_one(metric)
    data = read_runs(runs)
    found: dict[tuple[str, str, int], Answers] = {}
    for path, loaded in zip(data.folders, data.each, strict=True):
        asked = [row for row in loaded.rows if (row.get("primary") if metric is None else row["metric"] == metric)]
        rows = [row for row in asked if not row.get("part_of")]
        files = {(m, *unit): file for unit, of_models in loaded.samples.items() for m, file in of_models.items()}
        for one in read_answers(path, rows, loaded.manifests[0], files, [] if remarks is None else remarks):
            found[one.model, one.task, one.shots] = one
    if not found:
        named = f"no results by {metric!r}" if metric else "no results to compare"
        raise UsageError(f"these runs have {named}", "'gpteval tasks' lists each task's metrics")
    return aligned(list(found.values()))


def of_one(metric: str | None) -> None:
    """Raise UsageError for a metric by which models are not compared."""
    known = metric_registry()
    if metric is not None and metric in known and not known[metric].in_pairs:
        raise UsageError(
            f"{metric} tells of one model: of a difference of two by it, chance is a part that no interval allows for",
            "compare by brier or log_loss, which are least where probabilities are true; "
            f"'gpteval table RUN --metric {metric}' has what each model has",
        )


def _in_order(answers: Sequence[Answers]) -> tuple[str, ...]:
    """Models by generation, size and name."""
    facts = {one.model: one for one in answers}

    def key(name: str) -> tuple[object, ...]:
        one = facts[name]
        place = GENERATIONS.index(generation_of(one.generation))
        return place, one.n_params or 0, natural(name)

    return tuple(sorted(facts, key=key))

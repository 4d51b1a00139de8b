"""Where a model stands between the known generations: pairs where both ran, published numbers where only it did."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any

from gpteval.comparison.compare import Comparison, compare
from gpteval.comparison.results import Pair
from gpteval.core.errors import UnknownNameError, UsageError
from gpteval.core.show import listed, with_shots
from gpteval.metrics.named import metric_registry
from gpteval.reference.counterpart import beside
from gpteval.reference.known import KnownModel, known_models
from gpteval.stats.interval import normal_error
from gpteval.stats.significance import ALPHA, holm
from gpteval.store.documents import ResultRow
from gpteval.store.runs import Runs, facts_of, read_runs
from gpteval.store.same import same_weights
from gpteval.tasks.registry import task_registry
from gpteval.tasks.task import DEFAULT

ENOUGH = 0.5  # share of the tasks that published numbers must cover for a model to be stood beside


@dataclass(frozen=True)
class OnTask:
    """The model against a known one on a task. ``p``: two-sided, adjusted over all meetings of its kind.

    ``source``: of a published number; "" where both ran and were compared as pairs. ``stderr``: of the difference.
    ``full``: a perfect answer's value, where the metric has one.
    """

    task: str
    shots: int
    metric: str
    higher_is_better: bool
    own: float
    other: float
    p: float
    source: str = ""
    stderr: float = math.nan
    full: float | None = None

    @property
    def lead(self) -> float:
        """How far the model is ahead, below 0 behind: a share of the metric's scale, else of the logarithm."""
        sign = 1 if self.higher_is_better else -1
        if self.full is not None:
            return sign * (self.own - self.other) / self.full
        return sign * math.log(self.own / self.other) if min(self.own, self.other) > 0 else sign * -math.inf

    @property
    def label(self) -> str:
        return with_shots(self.task, self.shots)

    @property
    def side(self) -> int:
        """1 where the model is ahead, -1 where it is behind, 0 where the two are equal."""
        more = (self.own > self.other) - (self.own < self.other)
        return more if self.higher_is_better else -more

    @property
    def sure(self) -> bool:
        """Whether the difference is more than noise."""
        return self.p < ALPHA


@dataclass(frozen=True)
class Neighbour:
    """A known model and all meetings with it. ``overall``: the paired mean of chance-centred scores, the known
    model's minus the placed one's, where both ran; None where only published numbers stand on the other side.
    ``p``: of the mean over tasks, two-sided, adjusted over all rivals of its kind; NaN where tasks stand alone.
    """

    name: str
    generation: str
    n_params: int | None
    meetings: tuple[OnTask, ...]
    overall: Pair | None = None
    p: float = math.nan

    @property
    def indirect(self) -> bool:
        return any(meeting.source for meeting in self.meetings)

    @property
    def ahead(self) -> int:
        """Tasks on which the placed model is ahead."""
        return sum(meeting.side > 0 for meeting in self.meetings)

    @property
    def behind(self) -> int:
        return sum(meeting.side < 0 for meeting in self.meetings)

    @property
    def lead(self) -> float:
        """The placed model's, a mean over tasks."""
        return fmean(meeting.lead for meeting in self.meetings)

    @property
    def side(self) -> int:
        """1 where the tests bear that the placed model is ahead, -1 that it is behind, 0 where they bear neither.

        By the mean over tasks; where there is none, by the tasks on which a difference is sure, if they agree.
        """
        if not math.isnan(self.p):
            lead = self.lead if self.overall is None else -self.overall.figure.effect
            return (1 if lead > 0 else -1) if self.p < ALPHA else 0
        sides = {meeting.side for meeting in self.meetings if meeting.sure}
        return sides.pop() if len(sides) == 1 else 0


@dataclass(frozen=True)
class Placement:
    """``rivals``: those who ran before those who were published, each by generation and size. ``notes``: what is odd
    about the model.
    """

    model: str
    rivals: tuple[Neighbour, ...]
    notes: tuple[str, ...] = ()

    def neighbours(self) -> tuple[Neighbour | None, Neighbour | None]:
        """Of the rivals that it is surely ahead of the nearest, and of those that it is surely behind."""
        below = [rival for rival in self.rivals if rival.side > 0]
        above = [rival for rival in self.rivals if rival.side < 0]
        return min(below, key=lambda r: r.lead, default=None), max(above, key=lambda r: r.lead, default=None)

    @property
    def sentence(self) -> str:
        """Where the model stands, as far as the tests bear it, in one sentence."""
        below, above = self.neighbours()
        counts = [sum(rival.side == side for rival in self.rivals) for side in (1, -1)]
        more = [f" and {count - 1} more" if count > 1 else "" for count in counts]
        if below and above:
            said = f"stands between {below.name} and {above.name}: ahead of the one{more[0]}, behind the other{more[1]}"
        elif below:
            said = f"is ahead of {below.name}{more[0]}, and surely behind none"
        elif above:
            said = f"is behind {above.name}{more[1]}, and surely ahead of none"
        else:
            return f"{self.model} cannot be told from {_listed([_with_distance(rival) for rival in self.rivals])}."
        level = [_with_distance(rival) for rival in self.rivals if not rival.side]
        return f"{self.model} {said}" + (f"; {_listed(level)} cannot be told from it." if level else ".")


def _with_distance(rival: Neighbour) -> str:
    """The name, and how far apart the two may be at most."""
    if rival.overall is None or math.isnan(rival.p):
        return rival.name
    return f"{rival.name} (at most {math.ceil(10 * rival.overall.apart) / 10:.1f} points apart)"


def _listed(names: Sequence[str], most: int = 4) -> str:
    """Names for a sentence."""
    return listed(names) if len(names) <= most else f"{len(names)} models"


def place(runs: Sequence[Path], catalogue: Collection[str], model: str | None = None) -> tuple[Placement, ...]:
    """Place the runs' own models, or ``model``: all other models of the runs stand beside each, and those that have
    published numbers which can be compared on half of the tasks.

    A run's own models are those that ``catalogue``, names in small letters, has not; of a training the last checkpoint.
    Raises UsageError where there is none or nothing to stand beside, UnknownNameError for a model that did not run.
    """
    data = read_runs(runs)
    loaded = data.merged
    of_model: dict[str, list[ResultRow]] = {}
    for row in loaded.rows:
        of_model.setdefault(row["model"], []).append(row)
    if model is not None and model not in of_model:
        raise UnknownNameError("model", model, of_model, "these runs have others")
    own = [model] if model else _own({name: rows[0] for name, rows in of_model.items()}, catalogue)
    if not own:
        raise UsageError("all models of these runs are known ones", "say which one to place with --model")
    facts = facts_of(loaded)
    placed = (_placed(data, name, of_model, own) for name in own)
    return tuple(replace(one, notes=tuple(same_weights(facts, [one.model]))) for one in placed)


def _own(first: Mapping[str, ResultRow], catalogue: Collection[str]) -> list[str]:
    """Of models with a row each, those that the catalogue does not know; of a training the last."""
    last: dict[str, str] = {}
    for name, row in first.items():
        if name.partition("@")[0].lower() in catalogue:
            continue
        training = str(row.get("model_family") or "") if row.get("step") is not None else ""
        key = f"training {training}" if training else f"model {name}"
        if key not in last or row["step"] > first[last[key]]["step"]:
            last[key] = name
    return list(last.values())


def _placed(runs: Runs, own: str, of_model: Mapping[str, Sequence[ResultRow]], left_out: Sequence[str]) -> Placement:
    rows = [r for r in of_model[own] if r.get("primary") and not r.get("part_of") and r.get("value") is not None]
    if not rows:
        raise UsageError(f"{own} has no results", "see its failures in results.json")
    family = of_model[own][0].get("model_family")
    others = [
        n for n in of_model if n not in left_out and not (family and of_model[n][0].get("model_family") == family)
    ]
    rivals = paired(compare(runs, baseline=own), others, of_model) if len(of_model) > 1 else []
    rivals += _published(rows, of_model)
    if not rivals:
        raise UsageError(
            f"nothing stands beside {own}: no other model ran, and no published number can be compared",
            "run known models on the same tasks, such as --models nano or --models gpt2",
        )
    return Placement(own, tuple(rivals))


def paired(
    comparison: Comparison, others: Collection[str], of_model: Mapping[str, Sequence[ResultRow]]
) -> list[Neighbour]:
    """Those of ``others`` that a comparison with the placed model as its baseline has; ``of_model``: their facts."""
    overall = {pair.model_a: pair for pair in comparison.overall}
    rivals = []
    for name in comparison.models:
        meetings = [_meeting(pair) for pair in comparison.pairs if pair.model_a == name] if name in others else []
        if meetings:
            mean, row = overall.get(name), of_model[name][0]
            p = math.nan if mean is None else mean.p_adjusted
            rivals.append(Neighbour(name, row["generation"], row.get("n_params"), tuple(meetings), mean, p))
    return rivals


def _meeting(pair: Pair) -> OnTask:
    figure = pair.figure
    return OnTask(
        *(pair.task, pair.shots, pair.metric, pair.higher_is_better),
        own=figure.value_b,
        other=figure.value_a,
        p=pair.p_adjusted,
        stderr=figure.stderr,
        full=pair.full,
    )


def _published(rows: Sequence[ResultRow], ran: Collection[str]) -> list[Neighbour]:
    """Models by their published numbers, but those that ran themselves.

    A number and ours are taken as independent, each with the error of ours: the items of both are the same, so that
    the true error of their difference is smaller.
    """
    tasks = task_registry()
    here = {name.lower() for name in ran}
    found: list[tuple[KnownModel, list[OnTask]]] = []
    for known in known_models():
        if any(name.lower() in here or name.rpartition("/")[2].lower() in here for name in known.names):
            continue
        meetings = []
        for row in rows:
            if row.get("template", DEFAULT) != DEFAULT:
                continue
            split = getattr(tasks[row["task"]].source, "split", "test") if row["task"] in tasks else "test"
            asked = {"split": split, "limit": None, "profile": row["profile"]}
            one = beside(known.names, row["task"], row["metric"], row["shots"], **asked)
            if one is not None and one["comparable"]:
                meetings.append(_read(row, one))
        if len(meetings) >= max(1, ENOUGH * len(rows)):
            found.append((known, meetings))
    adjusted = iter(holm([meeting.p for _, meetings in found for meeting in meetings]))
    means = holm([_mean_p(meetings) for _, meetings in found])
    return [
        Neighbour(
            known.name,
            known.generation,
            known.n_params,
            tuple(replace(meeting, p=next(adjusted)) for meeting in meetings),
            p=p,
        )
        for (known, meetings), p in zip(found, means, strict=True)
    ]


def _mean_p(meetings: Sequence[OnTask]) -> float:
    """Of the mean lead over tasks, whose errors are independent; those of one task's results add up fully."""
    by_task: dict[str, float] = {}
    for meeting in meetings:
        if not meeting.stderr:
            return 1.0
        width = meeting.full or meeting.own
        by_task[meeting.task] = by_task.get(meeting.task, 0.0) + meeting.stderr / width
    z = sum(meeting.lead for meeting in meetings) / math.hypot(*by_task.values())
    return math.erfc(abs(z) / math.sqrt(2))


def _read(row: ResultRow, published: Mapping[str, Any]) -> OnTask:
    other, own = float(published["value"]), float(row["value"])
    error = (normal_error(row) or 0.0) * math.sqrt(2)  # either number has one
    p = math.erfc(abs(own - other) / error / math.sqrt(2)) if error else 1.0
    metric = metric_registry()[row["metric"]]  # what is published, gpteval has
    source = f"{published['source']}, {published['locator']}"
    return OnTask(
        row["task"], row["shots"], row["metric"], metric.higher_is_better, own, other, p, source, error, metric.scale
    )

"""Conditions on a comparison, for the CI of somebody who trains models."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from gpteval.comparison.answers import Answers
from gpteval.comparison.compare import Comparison
from gpteval.comparison.results import Pair
from gpteval.core.errors import UnknownNameError, UsageError
from gpteval.core.text import visible
from gpteval.stats.interval import Estimate, estimate

BY = ("value", "interval")
FORM = "a gate is [MODEL:]TASK[@SHOTS]>=VALUE, for example 'sst2>=0.9', 'mine:piqa@5>=0.6', or <= for a perplexity"
_GATE = re.compile(r"\s*(.*?)\s*([<>]=)\s*(-?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*")


@dataclass(frozen=True)
class Check:
    """A condition, held against a model on a task. ``words``: why it does not hold, or holds by its value only."""

    condition: str
    where: str
    holds: bool
    words: str = ""


_Place = tuple[str, str, int | None]  # model, task, number of examples; None: any


def checked_gates(
    gates: Sequence[str], answers: Sequence[Answers], failures: Sequence[Mapping[str, str]], by: str = "value"
) -> list[Check]:
    """Each gate, held against each model, task and number of examples that it names.

    A gate without a model asks it of every model of the runs; one that failed on the task, or has no such result, fails
    the gate. ``by``: the value itself, or the end of its interval. Raises UsageError for a text that is not a gate,
    UnknownNameError for one of a model or task that these runs do not have.
    """
    if by not in BY:
        raise UnknownNameError("way to hold a gate", by, BY)
    causes = {(one["model"], one["task"]): one["error"] for one in failures}
    ran = [(one.model, one.task, one.shots) for one in answers]
    named = _names([*ran, *((model, task, None) for model, task in causes)])
    by_place = {(one.model, one.task, one.shots): one for one in answers}
    checks = []
    for gate in gates:
        found = _GATE.fullmatch(gate)
        if found is None:
            raise UsageError(f"{gate!r} is not a gate", FORM)
        name, sign, bound = found[1], found[2], float(found[3])
        if name not in named:
            raise UnknownNameError("model or task of these runs", name, named, FORM)
        for model, task, shots in named[name]:
            met = [one for place, one in by_place.items() if place[:2] == (model, task) and shots in (None, place[2])]
            if not met:
                where = task if shots is None else f"{task} ({shots}-shot)"
                why = causes.get((model, task), "it was not run")
                checks.append(Check(gate, f"{model} on {where}", False, f"{model} on {where} has no result: {why}"))
            checks += [_held(gate, one, sign, bound, by) for one in met]
    return checks


def _names(places: Sequence[_Place]) -> dict[str, list[_Place]]:
    """All that a gate may name, and for which models, tasks and numbers of examples it then stands."""
    models = dict.fromkeys(model for model, _, _ in places)
    named: dict[str, dict[_Place, None]] = defaultdict(dict)
    for model, task, shots in places:
        numbers: list[tuple[str, int | None]] = [("", None)]
        numbers += [(f"@{shots}", shots)] if shots is not None else []
        for suffix, number in numbers:
            named[f"{model}:{task}{suffix}"][model, task, number] = None
            named[f"{task}{suffix}"] |= {(other, task, number): None for other in models}
    return {name: list(found) for name, found in named.items()}


def _held(gate: str, one: Answers, sign: str, bound: float, by: str) -> Check:
    found = estimate(one.metric, one.stats, clusters=one.units)
    at_least = sign == ">="

    def meets(value: float) -> bool:  # NaN does not
        return value >= bound if at_least else value <= bound

    by_value, surely = meets(found.value), meets(found.ci_low if at_least else found.ci_high)
    where = _where(one.model, one.task, one.shots)
    if not (surely if by == "interval" else by_value):
        what = f"{found.value:.4g}" if by == "value" else f"{found.value:.4g}, {_reach(found)},"
        return Check(gate, where, False, f"{where}: {what} is not {sign} {bound:g}")
    if surely:
        return Check(gate, where, True)
    by_interval = f"{_reach(found)} is not: --gate-by interval asks it"
    return Check(gate, where, True, f"{where}: {found.value:.4g} is {sign} {bound:g}, {by_interval}")


def _where(model: str, task: str, shots: int) -> str:
    return f"{model} on {task} ({shots}-shot)"


def _reach(found: Estimate) -> str:
    if math.isnan(found.ci_low):
        return f"without an interval ({found.why})"
    return f"its interval {found.ci_low:.4g} to {found.ci_high:.4g}"


def no_worse(comparison: Comparison, answers: Sequence[Answers], model: str, margin: float) -> list[Check]:
    """Whether each other model is shown to be no worse than ``model`` by more than ``margin`` points of its metric.

    Non-inferiority: the lower end of the row's own 95 % interval of (other minus ``model``) must lie above -margin; in
    the metric's good direction, and for a ratio in percent. The comparison must have ``model`` as its baseline. What
    ``model`` ran and another did not is not shown either.
    """
    condition = f"no worse than {model} by more than {margin:g}"
    others = [name for name in comparison.models if name != model]
    wanted = {(name, *one.unit) for one in answers if one.model == model for name in others}
    missing = wanted - {(pair.model_a, pair.task, pair.shots) for pair in comparison.pairs}
    checks = [
        Check(condition, where, False, f"{where} has nothing to hold against {model}")
        for where in sorted(_where(*place) for place in missing)
    ]
    for pair in comparison.pairs:
        holds = _worst(pair) > -margin
        where = _where(pair.model_a, pair.task, pair.shots)
        checks.append(Check(condition, where, holds, "" if holds else _worse(pair, margin)))
    return checks


def junit(checks: Sequence[Check]) -> str:
    """The checks as a document in JUnit's form, a test case each."""
    failed = sum(not check.holds for check in checks)
    suite = Element("testsuite", name="gpteval compare", tests=str(len(checks)), failures=str(failed), errors="0")
    for check in checks:
        case = SubElement(suite, "testcase", classname=visible(check.condition), name=visible(check.where))
        if not check.holds:
            SubElement(case, "failure", message=visible(check.words))
        elif check.words:
            SubElement(case, "system-out").text = f"holds by its value only: {visible(check.words)}"
    indent(suite)
    return f'<?xml version="1.0" encoding="utf-8"?>\n{tostring(suite, encoding="unicode")}\n'


def _worst(pair: Pair) -> float:
    """How far A may lie behind B, below 0, in the pair's unit; NaN where that cannot be told."""
    low, high = pair.figure.ci_low, pair.figure.ci_high
    if pair.by_ratio:
        return 100 * (low - 1 if pair.higher_is_better else 1 - high)
    return pair.in_unit(low if pair.higher_is_better else -high)


def _worse(pair: Pair, margin: float) -> str:
    figure, worst = pair.figure, _worst(pair)
    where = _where(pair.model_a, pair.task, pair.shots)
    if math.isnan(worst):
        return f"{where} cannot be held against {pair.model_b}: {figure.why}"
    unit = f" {pair.unit}" if pair.unit else ""
    seen = pair.in_unit(figure.effect) * (1 if pair.higher_is_better else -1)
    room, half = seen + margin, seen - worst
    needed = "no number of items shows a difference that was seen beyond the margin"
    if room > 0:
        needed = f"about {math.ceil(figure.n * (half / room) ** 2):,} items would show it if the difference stayed"
    return f"{where} may be worse than {pair.model_b} by {-worst:.2f}{unit}, more than {margin:g}; {needed}"

"""Curves in words, and as a line of bars."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from gpteval.core.show import listed, number
from gpteval.experiments.curves import Curve
from gpteval.experiments.sensitivity import Ranking
from gpteval.stats.interval import Estimate

BARS = "▁▂▃▄▅▆▇█"


def sparkline(values: Sequence[float], low: float, high: float) -> str:
    """A bar a value, from ``low`` to ``high``; a dot for what is not finite."""
    width = high - low
    places = [(value - low) / width if width > 0 else 0.5 for value in values]
    return "".join(
        BARS[min(len(BARS) - 1, max(0, int(place * len(BARS))))] if math.isfinite(place) else "·" for place in places
    )


def sentences(curves: Sequence[Curve], ranked: Sequence[Ranking]) -> list[str]:
    """What the examples did, a sentence or a few for each task; of several templates, the first."""
    said = []
    for task in dict.fromkeys(curve.task for curve in curves):
        of_task = [curve for curve in curves if curve.task == task]
        first = [curve for curve in of_task if curve.template == of_task[0].template and curve.gain is not None]
        for span in dict.fromkeys(map(_span, first)):  # a model may lack a number of examples that others have
            alike = [curve for curve in first if _span(curve) == span and not curve.one_set]
            if alike:
                said += _gains(alike, *span)
                said += _labels(alike, span[1])
        if alone := [curve for curve in first if curve.one_set]:
            said.append(_one_set(alone))
        asked = [one for one in ranked if one.task == task and one.shots == _most(of_task)]
        said += [_ranks(one) for one in asked if math.isfinite(one.tau + one.ci_low)]
    return said


def _span(curve: Curve) -> tuple[int, int]:
    """The fewest and the most examples."""
    return curve.points[0].shots, curve.points[-1].shots


def _gains(curves: Sequence[Curve], fewest: int, most: int) -> list[str]:
    where = f" from {fewest} to {most} examples on {curves[0].label}"
    parts: list[str] = []
    nothing: list[str] = []
    for curve in curves:
        gain = curve.gain
        assert gain is not None
        if curve.better(gain) or curve.worse(gain):
            amount, interval = _points(curve, gain)
            verb = "gains" if curve.better(gain) else "loses"
            parts.append(f"{curve.model} {verb} {amount}{'' if parts else where} ({interval})")
        else:
            nothing.append(curve.model)
    if nothing:
        verb = "gains" if len(nothing) == 1 else "gain"
        parts.append(f"{listed(nothing)} {verb} nothing measurable{'' if parts else where}")
    said = ["; ".join(parts) + "."]
    for curve in curves:
        if curve.enough is not None and curve.beyond is not None and curve.gain and curve.better(curve.gain):
            said.append(f"{curve.model} on {curve.label}: {most_beyond(curve)}.")
        if curve.hurts:
            numbers = listed([str(k) for k in curve.hurts])
            said.append(f"Examples hurt {curve.model} on {curve.label}: with {numbers} it is worse than without any.")
    return said


def _one_set(curves: Sequence[Curve]) -> str:
    """Scores without a verdict."""
    parts = []
    for curve in curves:
        first, last = curve.points[0], curve.points[-1]
        values = [f"{_score(curve, point.score.value)} with {point.shots}" for point in (first, last)]
        parts.append(f"{curve.model} has {values[0]} and {values[1]}")
    return (
        f"On {curves[0].label}, {'; '.join(parts)}. That is a single set of examples: another may say otherwise, and "
        "--seeds 3 or more would tell."
    )


def _score(curve: Curve, value: float) -> str:
    """Shares in percent; of what has no perfect value as many digits as tell something."""
    if curve.full is None:
        return number(value)
    return f"{100 * value:.1f}" if curve.full == 1.0 else f"{value:.2f}"


def _labels(curves: Sequence[Curve], most: int) -> list[str]:
    """Whether the examples' answers count, for models that examples help."""
    reading, others = [], []
    for curve in curves:
        labels = curve.points[-1].labels
        if labels is None or curve.gain is None or not curve.better(curve.gain):
            continue
        if curve.better(labels):
            amount, interval = _points(curve, labels)
            reading.append(f"{curve.model} is worse by {amount} ({interval}): it reads the answers")
        else:
            others.append(curve.model)
    parts = reading
    if others:
        parts.append(f"{listed(others)} {'is' if len(others) == 1 else 'are'} not measurably worse")
    if not parts:
        return []
    return [f"With random labels in {most} examples on {curves[0].label}, {'; '.join(parts)}."]


def _ranks(one: Ranking) -> str:
    kept = "survives" if one.ci_low > 0 else "does not safely survive"
    return (
        f"The ranking of {one.models} models on {one.task} with {one.shots} examples {kept} a change of template "
        f"(Kendall's tau {one.tau:.2f}, {one.ci_low:.2f} to {one.ci_high:.2f})."
    )


def _most_more(curve: Curve) -> str:
    """``beyond`` in words, rounded up."""
    assert curve.beyond is not None
    factor, digits = (100.0, 1) if curve.full == 1.0 else (1.0, 2 if curve.full is not None else 3)
    value = math.ceil(factor * curve.beyond * 10**digits) / 10**digits
    return f"{value:.{digits}f} {'points' if curve.full is not None else curve.metric}"


def most_beyond(curve: Curve) -> str:
    """A remark on how many examples are enough; "" where none are."""
    if curve.enough is None or curve.beyond is None:
        return ""
    return f"beyond {curve.enough} at most {_most_more(curve)} more"


def _most(curves: Iterable[Curve]) -> int:
    return max(point.shots for curve in curves for point in curve.points)


def _points(curve: Curve, measure: Estimate) -> tuple[str, str]:
    """An amount without its sign, and its interval."""
    factor = 100.0 if curve.full == 1.0 else 1.0
    low, high = sorted(abs(factor * bound) for bound in (measure.ci_low, measure.ci_high))
    if curve.full is None:
        return f"{number(abs(measure.value))} {curve.metric}", f"{number(low)} to {number(high)}"
    digits = 0 if factor == 100.0 and abs(factor * measure.value) >= 10 else 1
    unit = "points" if curve.full is not None else curve.metric
    return f"{abs(factor * measure.value):.{digits}f} {unit}", f"{low:.{digits}f} to {high:.{digits}f}"

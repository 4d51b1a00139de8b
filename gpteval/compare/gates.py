"""Conditions on a comparison, for the CI of somebody who trains models."""

from __future__ import annotations

import re
from collections.abc import Sequence

from gpteval.compare.answers import Answers
from gpteval.compare.comparison import Comparison
from gpteval.core.errors import UnknownNameError, UsageError

_GATE = re.compile(r"\s*([A-Za-z0-9_.-]+?)(?:@(\d+))?\s*(>=|<=)\s*(-?\d+(?:\.\d+)?)\s*")


def failed_gates(gates: Sequence[str], answers: Sequence[Answers]) -> list[str]:
    """Which of ``TASK>=VALUE`` (or ``TASK@SHOTS>=VALUE``, ``<=``) do not hold for some model, a line each.

    Raises UsageError for a gate that says nothing, or names a task that was not run.
    """
    said = []
    for gate in gates:
        found = _GATE.fullmatch(gate)
        if found is None:
            raise UsageError(f"the gate {gate!r} is none", "for example --gate 'sst2>=0.9' or --gate 'piqa@5>=0.6'")
        task, shots, sign, text = found.groups()
        met = [one for one in answers if one.task == task and shots in (None, str(one.shots))]
        if not met:
            raise UnknownNameError("task of these runs", task, [one.task for one in answers])
        for one in met:
            value = float(one.metric.value(one.stats.sum(axis=0)))
            bound = float(text)
            if not (value >= bound if sign == ">=" else value <= bound):
                said.append(f"{one.model} on {one.task} ({one.shots}-shot): {value:.4g} is not {sign} {bound:g}")
    return said


def inferior(comparison: Comparison, model: str, margin: float) -> list[str]:
    """Where a model may be worse than ``model`` by more than ``margin`` points of its metric, a line each.

    Non-inferiority: the lower bound of the 95 % interval of (other minus ``model``) must lie above -margin; in the
    metric's good direction, and for a ratio in percent. The comparison must have ``model`` as its baseline.
    """
    said = []
    for pair in comparison.pairs:
        figure = pair.figure
        if pair.model_b != model:
            continue
        if pair.by_ratio:
            worst = 100 * (figure.ci_low - 1 if pair.higher_is_better else 1 - figure.ci_high)
            unit = "%"
        else:
            factor = 100 if pair.full == 1.0 else 1
            worst = factor * (figure.ci_low if pair.higher_is_better else -figure.ci_high)
            unit = "points"
        if not worst > -margin:
            said.append(
                f"{pair.model_a} on {pair.task} ({pair.shots}-shot) may be worse than {model} "
                f"by {-worst:.2f} {unit}, more than {margin:g}"
            )
    return said

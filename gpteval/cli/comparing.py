"""``gpteval compare``: prints a comparison, and what of its conditions does not hold."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from gpteval.cli.console import print_lines, say
from gpteval.cli.options import names
from gpteval.core.errors import UnknownNameError, UsageError


def compare_command(
    runs: Sequence[Path],
    baseline: str | None,
    metric: str | None,
    common_items: bool,
    force: bool,
    kind: str,
    gates: Sequence[str],
    gate_by: str,
    no_worse_than: str | None,
    margin: float,
    sides: Sequence[str],
    anytime: bool,
    seed: int,
) -> int:
    """The exit code: 1 when a gate or the condition of non-inferiority fails."""
    from gpteval.comparison.compare import compare, load
    from gpteval.comparison.formats import FORMATS, render
    from gpteval.comparison.gates import checked_gates, inferior
    from gpteval.store.runs import read_runs

    if kind not in FORMATS:
        raise UnknownNameError("format", kind, FORMATS)
    if no_worse_than is not None:
        if baseline not in (None, no_worse_than):
            raise UsageError("--no-worse-than and --baseline name different models", "leave --baseline out")
        baseline = no_worse_than
    options = {"metric": metric, "common_items": common_items, "force": force, "margin": margin, "seed": seed}
    options["anytime"] = anytime
    data = read_runs(runs)
    comparison = compare(data, baseline=baseline, sides=_sides(sides), **options)  # type: ignore[arg-type]
    answers = load(data, metric) if gates or no_worse_than is not None else []
    failed: list[str] = []
    doubtful: list[str] = []
    if gates:
        failed, doubtful = checked_gates(gates, answers, data.merged.failures, gate_by)
    if no_worse_than is not None:
        failed += inferior(comparison, answers, no_worse_than, margin)
    text = render(comparison, kind)
    say(text) if kind in ("text", "json") else print_lines(text)
    for line in doubtful:
        say(f"holds by its value only: {line}", sys.stderr)
    for line in failed:
        say(f"FAILED: {line}", sys.stderr)
    return 1 if failed else 0


def _sides(asked: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Raises UsageError for what is no side, or a name that is given twice."""
    found: dict[str, tuple[str, ...]] = {}
    for text in asked:
        name, sign, models = text.partition("=")
        if not sign or not name.strip() or not names(models) or name.strip() in found:
            raise UsageError(f"{text!r} is not a side", "name each once: --side old=a,b,c --side new=d,e,f")
        found[name.strip()] = names(models)
    return found

"""``gpteval compare``: prints a comparison, and what of its conditions does not hold."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gpteval.cli.console import document_only, print_lines, say, width_of
from gpteval.cli.interrupts import resumable
from gpteval.cli.option_groups import Server, Weights
from gpteval.cli.options import Json, names
from gpteval.cli.voice import tell
from gpteval.core.atomic import write_whole
from gpteval.core.errors import OutputError, UnknownNameError, UsageError
from gpteval.core.kinds import PREFER
from gpteval.core.own import refuse_others

if TYPE_CHECKING:
    from gpteval.backends.opening import Opening
    from gpteval.store.runs import Runs


def compare(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="folders of runs; later ones win")],
    baseline: Annotated[str | None, typer.Option(help="compare every other model with this one; default: all")] = None,
    metric: Annotated[
        str | None,
        typer.Option(help="this metric instead of each task's primary one; prefer:MODEL: of two texts, which it likes"),
    ] = None,
    common_items: Annotated[
        bool, typer.Option("--common-items", help="over the items that neither model had to cut for its window")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="also where prompts or data differ")] = False,
    format: Annotated[str, typer.Option(help="text, md, csv, latex or json")] = "text",
    gate: Annotated[
        list[str] | None,
        typer.Option(
            help="exit 1 unless '[MODEL:]TASK[@SHOTS]>=VALUE' (or <=) of this or every model; may be repeated"
        ),
    ] = None,
    gate_by: Annotated[
        str, typer.Option(help="what a gate holds: 'value', as seen, or 'interval', its 95 % end on the bad side")
    ] = "value",
    no_worse_than: Annotated[
        str | None,
        typer.Option(help="exit 1 unless every difference's 95 % interval shows no model worse than this one"),
    ] = None,
    margin: Annotated[
        float, typer.Option(min=0.0, help="points (of a ratio, percent) that do not matter: fine to lose, else alike")
    ] = 0.0,
    side: Annotated[
        list[str] | None,
        typer.Option(help="'NAME=MODEL,MODEL,...', such as trainings of one recipe: held against each other, in order"),
    ] = None,
    anytime: Annotated[
        bool, typer.Option("--anytime", help="intervals and e-values that may be looked at while a run still grows")
    ] = False,
    kl: Annotated[
        bool, typer.Option("--kl", help="how far apart at each token of the texts; needs run --top-logprobs")
    ] = False,
    every: Annotated[bool, typer.Option("--all", help="every row of the text, with its test")] = False,
    junit: Annotated[
        Path | None, typer.Option(help="also write what was asked by --gate and --no-worse-than to this XML file")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="for resamples and permutations")] = 0,
    limit: Annotated[int | None, typer.Option(min=1, help="with prefer:MODEL: so many items of a task")] = None,
    as_json: Json = False,
    *,
    weights: Weights,
    server: Server,
) -> None:
    """Say how models differ on the same items, and how surely.

    Pairs of models and of generations, with tests and intervals that allow for all that is looked at.
    """
    from gpteval.cli.compare_console import compared_text
    from gpteval.comparison.compare import compare as compared
    from gpteval.comparison.compare import load
    from gpteval.comparison.formats import FORMATS, render
    from gpteval.comparison.gates import checked_gates, no_worse
    from gpteval.comparison.gates import junit as junit_of
    from gpteval.comparison.telling import hints
    from gpteval.store.runs import read_runs

    kind = "json" if as_json else format
    if kind not in FORMATS:
        raise UnknownNameError("format", kind, FORMATS)
    if no_worse_than is not None:
        if baseline not in (None, no_worse_than):
            raise UsageError("--no-worse-than and --baseline name different models", "leave --baseline out")
        baseline = no_worse_than
    if junit is not None and not (gate or no_worse_than):
        raise UsageError("--junit writes what --gate and --no-worse-than ask", "name one of these, too")
    refuse_others([junit] if junit else [], "name another file with --junit")
    data = read_runs(runs)
    if kl:
        alone = not (metric or gate or no_worse_than or side or anytime or margin or common_items or force)
        _tell_divergences(data, baseline, kind, alone=alone)
        raise typer.Exit(0)
    if metric is not None and metric.startswith(PREFER):
        alone = not (gate or no_worse_than or side or anytime or margin or common_items or force)
        if not alone or kind not in ("text", "json"):
            raise UsageError(f"{PREFER}MODEL is a comparison by itself", "with --baseline, --limit and --json alone")
        judge = metric.removeprefix(PREFER)
        _tell_preferences(data, judge, baseline, limit, _opening(weights, server), as_json=kind == "json")
        raise typer.Exit(0)
    if limit is not None:
        raise UsageError(
            "--limit is for prefer:MODEL", "what is compared is all that a run has; run --limit takes less"
        )
    comparison = compared(
        data,
        baseline=baseline,
        metric=metric,
        common_items=common_items,
        force=force,
        margin=margin,
        sides=_sides(side or ()),
        anytime=anytime,
        seed=seed,
    )
    if metric is None and not anytime:
        comparison = replace(comparison, remarks=(*comparison.remarks, *hints(data)))
    answers = load(data, metric) if gate or no_worse_than is not None else []
    checks = checked_gates(gate, answers, data.merged.failures, gate_by) if gate else []
    if no_worse_than is not None:
        checks += no_worse(comparison, answers, no_worse_than, margin)
    short = kind == "text" and not every
    text = compared_text(comparison, width_of(sys.stdout)) if short else render(comparison, kind)
    say(text) if kind in ("text", "json") else print_lines(text)
    for check in checks:
        if check.holds and check.words:
            say(f"holds by its value only: {check.words}", sys.stderr)
    failed = [check.words for check in checks if not check.holds]
    for words in failed:
        say(f"FAILED: {words}", sys.stderr)
    if junit is not None:
        _write(junit, junit_of(checks))
    raise typer.Exit(1 if failed else 0)


def _tell_divergences(runs: Runs, baseline: str | None, kind: str, *, alone: bool) -> None:
    """Print how far models are apart at each token. Raises UsageError beside other ways to compare."""
    from gpteval.cli.divergence_console import show_divergences
    from gpteval.comparison.divergence import divergences

    if not alone or kind not in ("text", "json"):
        raise UsageError("--kl is a comparison by itself, as text or json", "with --baseline and --json alone")
    show_divergences(divergences(runs, baseline=baseline), kind == "json")


def _opening(weights: Weights, server: Server) -> Opening:
    """With what the judge is opened. Raises UsageError."""
    from gpteval.backends.opening import Computing, Opening
    from gpteval.backends.prices import Budget

    api = server.options("")
    waiting = partial(tell, event="waiting")
    return Opening(Computing(weights.load()), api, budget=Budget(api.max_cost), waiting=waiting)


def _tell_preferences(
    runs: Runs, judge: str, baseline: str | None, limit: int | None, opening: Opening, *, as_json: bool
) -> None:
    """Ask a judge, and print what it prefers."""
    from gpteval.cli.preference_console import progress, show_preferences
    from gpteval.experiments.judging import preferences

    told = progress(judge)
    warn = partial(tell, event="warning")
    with resumable(), document_only(as_json):
        found = preferences(runs, judge, opening, baseline=baseline, limit=limit, told=told, warn=warn)
    show_preferences(found, as_json)


def _write(path: Path, text: str) -> None:
    """Raises OutputError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, text.encode("utf-8", "replace").decode("utf-8"))
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}", "name another file with --junit") from error


def _sides(asked: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Raises UsageError for what is no side, or a name that is given twice."""
    found: dict[str, tuple[str, ...]] = {}
    for text in asked:
        name, sign, models = text.partition("=")
        if not sign or not name.strip() or not names(models) or name.strip() in found:
            raise UsageError(f"{text!r} is not a side", "name each once: --side old=a,b,c --side new=d,e,f")
        found[name.strip()] = names(models)
    return found

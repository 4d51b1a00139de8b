"""``gpteval tasks --run``: which tasks of a run tell its models apart, on the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from textwrap import fill

from gpteval.cli.console import say
from gpteval.comparison.telling import TaskTelling, Telling, how_to_see, telling
from gpteval.core.errors import UnknownNameError
from gpteval.core.show import with_shots
from gpteval.core.strict import strict_json
from gpteval.report.leaderboard import show
from gpteval.store.runs import read_runs

WIDTH = 110  # characters of a paragraph's line
COLUMNS = (
    "Signal: largest minus smallest score (shares in percent). Noise: a score's standard error over items, or how "
    "checkpoints of a training scatter, where that is more. At chance: models that are not above guessing. Pairs told: "
    "of models, by the paired test (Holm). A second line is a metric that tells more: bpb, bits per byte of the right "
    "answer (any text of its kind may get likelier, wrong answers too), or prob, its share of the choices' probability."
)


def show_telling(folders: Sequence[Path], name: str | None, as_json: bool) -> None:
    """Print a table, and what follows. Raises UnknownNameError for a task or family that the runs do not have."""
    from gpteval.cli.rich_tables import add_row, show_table, table_of

    runs = read_runs([str(folder) for folder in folders])
    found = telling(runs, tasks=[name] if name else [])
    if not found:
        known = dict.fromkeys(row["task"] for row in runs.merged.rows)
        raise UnknownNameError("task", name or "", known, f"these runs have {', '.join(known)}")
    if as_json:
        say(strict_json([_document(one) for one in found], 1))
        return
    table = table_of("task", "metric", "signal", "noise", "S/N", "at chance", "pairs told")
    for one in found:
        for metric in (one.primary, one.better):
            if metric is not None:
                label = with_shots(one.task, one.shots) if metric.primary else ""
                add_row(table, label, *_cells(metric))
    show_table(table)
    say("\n" + fill(COLUMNS, WIDTH))
    for one in found:
        if one.better is not None or not one.primary.told:
            say(f"- {with_shots(one.task, one.shots)}: {one.verdict}")
    better = next((one.better.metric for one in found if one.better is not None), "")
    if better:
        say(f"\nSee it: {how_to_see(runs, better)}")


def _cells(one: Telling) -> tuple[str, ...]:
    noise = max(one.noise, one.by_step or 0.0)
    guessing = "–" if one.at_chance is None else f"{one.at_chance} of {one.models}"
    return (
        f"{one.metric} (log)" if one.by_ratio else one.metric,
        *(show(one.signal, one.metric), "–" if noise != noise else show(noise, one.metric)),
        "–" if one.ratio != one.ratio else f"{one.ratio:.1f}",
        *(guessing, f"{one.told} of {one.pairs}"),
    )


def _document(one: TaskTelling) -> dict[str, object]:
    metrics = [asdict(metric) | {"ratio": metric.ratio} for metric in one.metrics]
    better = None if one.better is None else one.better.metric
    own = {"task": one.task, "shots": one.shots, "family": one.family}
    return own | {"better": better, "verdict": one.verdict, "metrics": metrics}

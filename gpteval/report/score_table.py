"""A table of scores for a paper or a terminal: models by tasks, intervals, the best of a task, remarks below."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from gpteval.core.errors import UnknownNameError, UsageError
from gpteval.core.show import listed
from gpteval.report.leaderboard import NOT_RUN, Column, Leaderboard, ScoreCell, is_fraction, leaderboard, show
from gpteval.store.runs import Loaded, Runs, of_models

INTERVALS = ("half", "range", "none")
FACTS = (
    *("model", "generation", "n_params", "task", "shots", "metric", "higher_is_better", "value", "ci_low", "ci_high"),
    *("stderr", "n", "chance", "best", "notes"),
)


@dataclass(frozen=True)
class ScoreText:
    """A cell. ``interval``: "±5.1" or "[65.8, 87.9]"; "" where there is none. ``notes``: numbers of footnotes."""

    text: str = "–"
    interval: str = ""
    best: bool = False
    notes: tuple[int, ...] = ()


@dataclass(frozen=True)
class TaskHead:
    """A task's name with its examples, its metric with its unit, and which way is better."""

    label: str
    metric: str
    higher: bool


@dataclass(frozen=True)
class ScoreTable:
    """``scores``: a row a model, a column a task. ``groups``: where a generation ends, as numbers of models.
    ``facts``: a score each, as results.json has it; names in ``FACTS``.
    """

    tasks: tuple[TaskHead, ...]
    models: tuple[str, ...]
    scores: tuple[tuple[ScoreText, ...], ...]
    groups: tuple[int, ...]
    notes: tuple[str, ...]
    caption: str
    facts: tuple[Mapping[str, Any], ...]


def score_table(
    runs: Runs,
    *,
    tasks: Sequence[str] = (),
    models: Sequence[str] = (),
    shots: Sequence[int] = (),
    metric: str = "",
    interval: str = "half",
) -> ScoreTable:
    """The scores of runs, of each task by its primary metric, or by ``metric`` where the task has it.

    ``tasks``: names or families, ``models``: names, ``shots``: numbers of examples; all of them where none is named.
    ``interval``: half of the 95 % interval behind a ±, its range, or none. Raises UnknownNameError, and UsageError
    where nothing is left.
    """
    if interval not in INTERVALS:
        raise UnknownNameError("interval", interval, INTERVALS, f"one of {', '.join(INTERVALS)}")
    loaded = _by_metric((of_models(runs, models) if models else runs).merged, metric)
    board = leaderboard(loaded)
    columns = _chosen(board.columns, tasks, shots)
    notes: dict[str, int] = {}
    places = [board.columns.index(column) for column in columns]
    scores = tuple(
        tuple(_score(model.cells[at], board.columns[at], interval, notes) for at in places) for model in board.models
    )
    sizes = [len(models) for _, models in board.groups]
    return ScoreTable(
        tasks=tuple(
            TaskHead(c.label, f"{c.metric} %" if is_fraction(c.metric) else c.metric, c.higher) for c in columns
        ),
        models=tuple(f"{model.name} [log]" if model.elsewhere else model.name for model in board.models),
        scores=scores,
        groups=tuple(sum(sizes[: n + 1]) for n in range(len(sizes))),
        notes=tuple(notes),
        caption=_caption(board, columns, interval),
        facts=tuple(_facts(board, columns)),
    )


def _by_metric(loaded: Loaded, metric: str) -> Loaded:
    """The rows with that metric in the place of the primary one. Raises UnknownNameError."""
    if not metric:
        return loaded
    known = {row["metric"] for row in loaded.rows}
    if metric not in known:
        raise UnknownNameError("metric", metric, known, f"these runs have {', '.join(sorted(known))}")
    return replace(loaded, rows=tuple({**row, "primary": row["metric"] == metric} for row in loaded.rows))


def _chosen(columns: Sequence[Column], tasks: Sequence[str], shots: Sequence[int]) -> list[Column]:
    """Raises UnknownNameError for a task or family that is not there, UsageError where nothing is left."""
    names = {name for column in columns for name in (column.task, column.base, column.family)}
    for task in tasks:
        if task not in names:
            known = ", ".join(dict.fromkeys(column.task for column in columns))
            raise UnknownNameError("task", task, names, f"these runs have {known}")
    found = [c for c in columns if not tasks or {c.task, c.base, c.family} & set(tasks)]
    found = [c for c in found if not shots or c.shots in shots]
    if not found:
        known = ", ".join(map(str, sorted({column.shots for column in columns}))) or "no results"
        raise UsageError("no score is left of what was chosen", f"numbers of examples that there are: {known}")
    return found


def _score(cell: ScoreCell, column: Column, interval: str, notes: dict[str, int]) -> ScoreText:
    """``notes``: the footnotes so far, with their numbers from 1; those of the cell join them."""
    remarks = cell.marks if cell.row is not None else () if cell.why == NOT_RUN else (cell.why.partition("\n")[0],)
    numbers = tuple(notes.setdefault(remark, len(notes) + 1) for remark in remarks)
    if cell.row is None:
        return ScoreText(notes=numbers)
    return ScoreText(cell.text.replace("-", "−"), _interval(cell.row, column.metric, interval), cell.best, numbers)


def _interval(row: Mapping[str, Any], metric: str, kind: str) -> str:
    low, high = row.get("ci_low"), row.get("ci_high")
    if kind == "none" or low is None or high is None:
        return ""
    if kind == "half":
        return f"±{show((high - low) / 2, metric)}"
    return f"[{show(low, metric)}, {show(high, metric)}]".replace("-", "−")


def _caption(board: Leaderboard, columns: Sequence[Column], interval: str) -> str:
    """What the numbers of these columns are."""
    shown = {column.id for column in columns}
    items = {row.get("n") or 0 for (_, column), row in board.primary.items() if column in shown}
    counts = " to ".join(f"{n:,}" for n in sorted({min(items), max(items)}))
    said = [f"Scores on {counts} items a task"]
    if any(is_fraction(column.metric) for column in columns):
        said.append("shares in percent")
    if interval != "none":
        said.append({"half": "± half of the 95 % interval", "range": "95 % intervals in brackets"}[interval])
    if guessed := [column.label for column in columns if column.at_chance]:
        said.append(f"no score is clearly above guessing on {listed(guessed)}")
    if any(model.elsewhere for model in board.models):
        said.append("[log]: not run here, but read from another harness' log")
    if any(":letters" in column.label for column in columns):
        said.append("of ':letters' the choices stand in the prompt and are answered by letter")
    return "; ".join([*said, "the best of each task in bold"]) + "."


def _facts(board: Leaderboard, columns: Sequence[Column]) -> Iterable[dict[str, Any]]:
    for model in board.models:
        for column in columns:
            cell = model.cells[board.columns.index(column)]
            if cell.row is not None:
                own = {name: cell.row.get(name) for name in FACTS}
                yield own | {"best": cell.best, "notes": list(cell.marks)}

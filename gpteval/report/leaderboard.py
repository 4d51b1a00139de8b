"""The leaderboard: models by generation, a column for each task's primary metric, intervals on shared axes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

from gpteval.comparison.answers import centre
from gpteval.comparison.telling import is_at_chance
from gpteval.core.generations import GENERATIONS, generation_of
from gpteval.core.show import size, with_shots
from gpteval.core.text import natural
from gpteval.core.types import FAMILIES
from gpteval.logs.log import PREFIX as LOGGED
from gpteval.metrics.named import metric_registry
from gpteval.metrics.stored import metric_of
from gpteval.stats.interval import Z, normal_error
from gpteval.store.runs import Loaded, parts_of
from gpteval.tasks.profiles import GPTEVAL
from gpteval.tasks.task import DEFAULT

FAMILY_NAMES = {
    "lm": "Language modelling",
    "qa": "Question answering",
    "translation": "Translation",
    "summarization": "Summarization",
    "classification": "Classification",
}
NOT_RUN = "not run"
WILD = 20  # largest over smallest value from which a lower-is-better axis is logarithmic


@dataclass(frozen=True)
class Column:
    """A task with a number of examples, and its primary metric. ``base``: the task without its template.
    ``answers_right``: whether the metric says of each answer that it is right or wrong. ``at_chance``: no model is
    above guessing.
    """

    task: str
    shots: int
    family: str
    metric: str
    higher: bool
    chance: float | None
    low: float
    high: float
    log: bool = False
    base: str = ""
    answers_right: bool = False
    at_chance: bool = False

    @property
    def id(self) -> str:
        return f"{self.task}-{self.shots}"

    @property
    def label(self) -> str:
        return with_shots(self.task, self.shots)

    def place(self, value: float | None) -> float | None:
        """Position of ``value`` on the column's axis, in percent of its width."""
        if value is None:
            return None
        low, high = self.low, self.high
        if self.log:
            value, low, high = math.log(max(value, low)), math.log(low), math.log(high)
        return 50.0 if high <= low else 100 * (value - low) / (high - low)


@dataclass(frozen=True)
class ScoreCell:
    """A result as shown. ``why`` is set where there is none."""

    row: Mapping[str, Any] | None = None
    text: str = ""
    interval: str = ""
    best: bool = False
    near: bool = False
    marks: tuple[str, ...] = ()
    why: str = ""
    bar: tuple[float, float, float] | None = None


@dataclass(frozen=True)
class RankedModel:
    """A row of the leaderboard. ``centred``: mean of (score - chance) / (perfect - chance) over ``tasks`` tasks, those
    of the whole board where all its models ran some, else its own. ``elsewhere``: which harness' log has it, where it
    was not run here.
    """

    name: str
    generation: str
    n_params: int | None
    centred: float | None
    tasks: int
    cells: tuple[ScoreCell, ...] = ()
    elsewhere: str = ""

    @property
    def is_nano(self) -> bool:
        return "-nano" in self.name

    @property
    def size(self) -> str:
        return size(self.n_params) or "unknown"


@dataclass(frozen=True)
class Leaderboard:
    """``groups``: generations with their models. ``primary``: rows by (model, column id). ``shared``: the columns that
    centred scores are means over, those that every model with such a score has.
    """

    columns: tuple[Column, ...]
    groups: tuple[tuple[str, tuple[RankedModel, ...]], ...]
    primary: Mapping[tuple[str, str], Mapping[str, Any]] = field(default_factory=dict)
    shared: tuple[Column, ...] = ()

    @property
    def models(self) -> list[RankedModel]:
        return [model for _, models in self.groups for model in models]

    @property
    def remarks(self) -> list[str]:
        """What the daggers in the cells stand for, single or double; a remark on several tasks once."""
        where: dict[tuple[str, str], list[str]] = {}
        for model in self.models:
            for column, cell in zip(self.columns, model.cells, strict=True):
                for mark in cell.marks or ((cell.why,) if cell.why not in ("", NOT_RUN) else ()):
                    where.setdefault((model.name, mark), []).append(column.label)
        return [f"{model}, {', '.join(labels)}: {mark}" for (model, mark), labels in where.items()]

    def families(self) -> list[tuple[str, list[Column]]]:
        """Families in the project's order, then a user's own, each with its columns."""
        names = dict.fromkeys(c.family for c in self.columns)
        return [(family, [c for c in self.columns if c.family == family]) for family in names]


def is_fraction(metric: str) -> bool:
    """Whether a metric is a share in 0..1, shown in percent."""
    known = metric_registry()
    return metric in known and known[metric].scale == 1.0


def show(value: float | None, metric: str) -> str:
    """A value for people: shares in percent with one decimal, others with three digits."""
    if value is None:
        return "n/a"
    if is_fraction(metric):
        return f"{round(100 * value, 1) + 0.0:.1f}"  # what rounds to zero has no sign
    if abs(value) >= 10_000:
        return f"{value:.2e}"
    digits = 1 if abs(value) >= 10 else 3 if abs(value) < 2 else 2
    return f"{round(value, digits) + 0.0:.{digits}f}"


def show_interval(row: Mapping[str, Any]) -> str:
    """The 95 % interval as text; empty where there is none."""
    if row.get("ci_low") is None or row.get("ci_high") is None:
        return ""
    return f"{show(row['ci_low'], row['metric'])} to {show(row['ci_high'], row['metric'])}"


def margin(stderr: float) -> float:
    """Half of the 95 % interval of a normal estimate."""
    return Z * stderr


def centred(row: Mapping[str, Any]) -> tuple[float, float | None] | None:
    """(value - chance) / (perfect - chance) with its standard error, for metrics of the accuracy type (``centre``)."""
    metric, value, error = metric_of(row), row.get("value"), normal_error(row)
    found = None if metric is None else centre(metric, row.get("chance"))
    if found is None or value is None:
        return None
    chance, width = found
    return (value - chance) / width, None if error is None else error / width


def mean_of_tasks(scores: Mapping[Column, float]) -> float:
    """A task counts once, whatever numbers of examples and templates it ran under."""
    by_task: dict[str, list[float]] = {}
    for column, score in scores.items():
        by_task.setdefault(column.base, []).append(score)
    return fmean(map(fmean, by_task.values()))


def leaderboard(loaded: Loaded, remarks: Mapping[tuple[str, str], str] | None = None) -> Leaderboard:
    """The table of a page. Columns stand in the order of families, models by generation and size.

    A benchmark stands for its parts, which have no columns. ``remarks``: on cells, by model and column.
    """
    parts = parts_of(loaded.rows)
    whole = [r for r in loaded.rows if r.get("primary") and (r["task"], r["shots"]) not in parts]
    primary = {(r["model"], f"{r['task']}-{r['shots']}"): r for r in whole}
    columns = tuple(sorted(_columns(primary.values()), key=_family_order))
    facts = {r["model"]: r for r in loaded.rows}
    centred_of = {name: _centred_columns(name, columns, primary) for name in facts}
    shared = tuple(c for c in columns if all(c in found for found in centred_of.values() if found))
    groups = []
    for generation in GENERATIONS:
        names = [n for n, r in facts.items() if generation_of(r.get("generation")) == generation]
        models = [_model(name, facts[name], columns, primary, loaded, shared, remarks or {}) for name in names]
        if models:
            groups.append((generation, tuple(sorted(models, key=lambda m: (m.n_params or 0, natural(m.name))))))
    return Leaderboard(columns, tuple(groups), primary, shared if any(centred_of.values()) else ())


def _family_order(column: Column) -> tuple[int, str, str, int]:
    known = list(FAMILIES)
    place = known.index(column.family) if column.family in known else len(known)
    return place, column.family, column.task, column.shots


def _columns(rows: Any) -> list[Column]:
    by_id: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        by_id.setdefault(f"{row['task']}-{row['shots']}", []).append(row)
    columns = []
    for group in by_id.values():
        first = group[0]
        seen = [r[k] for r in group for k in ("value", "ci_low", "ci_high") if r.get(k) is not None]
        chances = [r["chance"] for r in group if r.get("chance") is not None]
        seen += chances
        low, high = min(seen, default=0.0), max(seen, default=1.0)
        columns.append(
            Column(
                task=first["task"],
                shots=first["shots"],
                family=first["family"],
                metric=first["metric"],
                higher=first["higher_is_better"],
                chance=chances[0] if chances else None,
                low=low,
                high=high,
                log=not first["higher_is_better"] and low > 0 and high / low > WILD,
                answers_right=(metric := metric_of(first)) is not None and metric.kind == "binary",
                at_chance=all(map(is_at_chance, group)),
                base=first["task"].removesuffix(f":{first.get('template') or DEFAULT}"),
            )
        )
    return columns


def _model(
    name: str,
    facts: Mapping[str, Any],
    columns: Sequence[Column],
    primary: Mapping[tuple[str, str], Mapping[str, Any]],
    loaded: Loaded,
    shared: Sequence[Column],
    remarks: Mapping[tuple[str, str], str],
) -> RankedModel:
    rows = [primary.get((name, c.id)) for c in columns]
    found = _centred_columns(name, columns, primary)
    found = {c: found[c] for c in shared} if shared and found else found
    cells = tuple(
        _cell(name, c, row, primary, loaded, remarks.get((name, c.id))) for c, row in zip(columns, rows, strict=True)
    )
    mean = mean_of_tasks(found) if found else None
    profile = str(facts.get("profile") or "")
    return RankedModel(
        *(name, generation_of(facts.get("generation")), facts.get("n_params"), mean),
        tasks=len({c.base for c in found}),
        cells=cells,
        elsewhere=profile.removeprefix(LOGGED) if profile.startswith(LOGGED) else "",
    )


def _centred_columns(
    name: str, columns: Sequence[Column], primary: Mapping[tuple[str, str], Mapping[str, Any]]
) -> dict[Column, float]:
    """A model's centred scores, where it has them."""
    rows = ((column, primary.get((name, column.id))) for column in columns)
    return {column: s[0] for column, row in rows if row is not None and (s := centred(row)) is not None}


def _cell(
    name: str,
    column: Column,
    row: Mapping[str, Any] | None,
    primary: Mapping[tuple[str, str], Mapping[str, Any]],
    loaded: Loaded,
    remark: str | None,
) -> ScoreCell:
    if row is None or row.get("value") is None:
        failed = [f["error"] for f in loaded.failures if f["model"] == name and f["task"] == column.task]
        return ScoreCell(why=failed[-1] if failed else NOT_RUN if row is None else "the value is not finite")
    rivals = [r for (_, where), r in primary.items() if where == column.id and r.get("value") is not None]
    best = (max if column.higher else min)(rivals, key=lambda r: r["value"])
    contest = any(r["value"] != best["value"] for r in rivals)
    marks = []
    if row.get("coverage", 1) < 1:
        marks.append(f"coverage {row['coverage']:.1%}")
    most = max(r.get("n") or 0 for r in rivals)
    if (row.get("n") or 0) < most and row.get("coverage", 1) == 1:
        marks.append(f"{row.get('n') or 0:,} items, where others have {most:,}")
    if row.get("truncated"):
        marks.append(f"{row['truncated']} of {row['n']} prompts shortened to the window")
    if row.get("profile", GPTEVAL) != GPTEVAL and not str(row["profile"]).startswith(LOGGED):  # a note says that
        marks.append(f"profile {row['profile']}")
    marks += row.get("notes", [])
    marks += [remark] if remark else []
    places = [column.place(row.get(k)) for k in ("ci_low", "value", "ci_high")]
    return ScoreCell(
        row=row,
        text=show(row["value"], column.metric),
        interval=show_interval(row),
        best=contest and row["value"] == best["value"],
        near=row["value"] != best["value"] and _overlap(row, best),
        marks=tuple(marks),
        bar=(places[0], places[1], places[2]) if None not in places else None,  # type: ignore[arg-type]
    )


def _overlap(a: Mapping[str, Any], b: Mapping[str, Any]) -> bool:
    if None in (a.get("ci_low"), a.get("ci_high"), b.get("ci_low"), b.get("ci_high")):
        return False
    return bool(a["ci_low"] <= b["ci_high"] and b["ci_low"] <= a["ci_high"])

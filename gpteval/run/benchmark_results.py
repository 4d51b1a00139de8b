"""The results of groups, made of their tasks' samples: one number with an interval that comes from all items."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from gpteval.core.errors import StoreError
from gpteval.core.outcomes import Result
from gpteval.core.plugins import Registry
from gpteval.core.types import digest
from gpteval.metrics.base import Metric
from gpteval.metrics.benchmarks import MeanOfTasks
from gpteval.metrics.named import metric_registry
from gpteval.stats.interval import estimate
from gpteval.store.documents import ResultRow, sample_file
from gpteval.store.folder import ResultTable, RunFolder, list_samples
from gpteval.tasks.groups import GROUPS, Group
from gpteval.tasks.registry import task_suites
from gpteval.tasks.task import Task

NEEDED = {field.name for field in fields(Result) if field.default is MISSING} | {"signature", "fingerprint"}


@dataclass(frozen=True)
class Members:
    """What a group is made of: its tasks' rows by the metric that counts, in the tasks' order."""

    group: Group
    metric: Metric
    rows: tuple[ResultRow, ...]


def groups_with(registry: Registry[Task], tasks: Sequence[Task]) -> dict[str, list[str]]:
    """The groups that one of ``tasks`` belongs to, each with the names of all its tasks."""
    asked = {task.name for task in tasks}
    members = {name: [task.name for task in task_suites(registry).get(name, ())] for name in GROUPS}
    return {name: names for name, names in members.items() if asked & set(names)}


def add_groups(
    model: str,
    groups: Mapping[str, Sequence[str]],
    *,
    folder: RunFolder,
    table: ResultTable,
    manifest: dict[str, Any],
    published: Callable[[str, str, int], Mapping[str, Any] | None],
    warn: Callable[[str], None],
) -> list[Result]:
    """Write what the model's tasks are worth together, for each group of which it has them all.

    ``published``: what was published on a group, by a metric, with so many examples.
    """
    results = []
    for members in complete_groups(groups, [row for row in table.rows if row["model"] == model]):
        try:
            result, samples = group_result(folder.path, members)
        except StoreError as error:
            warn(f"{model} has no result for {members.group.name}: {error.message}")
            continue
        result = replace(result, published=published(result.task, result.metric, result.shots))
        folder.write(list_samples(manifest, model, result.task, result.shots), samples)
        table.add([result])
        if members.group.of_parts:
            table.mark_parts(result, [row["task"] for row in members.rows])
        facts = [manifest["tasks"].get(row["task"]) or {} for row in members.rows]
        manifest["tasks"][result.task] = {
            "family": result.family,
            "source": f"{len(facts)} tasks",
            "revision": digest([fact.get("revision") for fact in facts]),
            "version": max(fact.get("version") or 1 for fact in facts),
            "description": members.group.description,
            "items": result.n,
        }
        results.append(result)
    return results


def complete_groups(groups: Mapping[str, Sequence[str]], rows: Sequence[ResultRow]) -> Iterator[Members]:
    """The groups of which ``rows``, those of one model, have every task, for each number of examples.

    ``groups``: each with the names of its tasks. Stale rows, and those of a version with other fields, do not count.
    """
    rows = [row for row in rows if row.keys() >= NEEDED and not row.get("stale")]
    known = {(r["task"], r["shots"], r["metric"]): r for r in rows}
    primary = {(r["task"], r["shots"]): r["metric"] for r in rows if r["primary"]}
    for name, tasks in groups.items():
        group = GROUPS[name]
        for shots in sorted({r["shots"] for r in rows}):
            metric, wanted = _scored_by(group, [(task, primary.get((task, shots))) for task in tasks])
            found = [known.get((task, shots, of_task)) for task, of_task in wanted]
            of_tasks = tuple(row for row in found if row is not None and row["value"] is not None)
            if metric is not None and len(of_tasks) == len(found):
                yield Members(group, metric, of_tasks)


def _scored_by(group: Group, tasks: Sequence[tuple[str, str | None]]) -> tuple[Metric | None, list[tuple[str, str]]]:
    """The group's metric, and which metric of each task it is made of; None where the tasks share none."""
    if not group.of_parts:
        mean = metric_registry()[group.metric]
        assert isinstance(mean, MeanOfTasks)
        return mean, [(task, part.metric.name) for task, part in mean.parts.items()]
    names = {name for _, name in tasks}
    shared = names.pop()
    if names or shared is None:
        return None, []
    known = metric_registry()
    return (known.get(shared, None)), [(task, shared) for task, _ in tasks]


def group_result(folder: Path, members: Members) -> tuple[Result, bytes]:
    """The group's result and its samples, a Parquet file. Raises StoreError where a task's samples cannot be read."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    metric, rows = members.metric, members.rows
    items = pa.concat_tables([_items(folder, metric, row) for row in rows])
    stats = [json.loads(text).get(metric.name) for text in items["stats"].to_pylist()]
    named = zip(items["item_id"].to_pylist(), items["cluster"].to_pylist(), strict=True)
    units = [cluster or item for item, cluster in named]
    scored = [(s, unit) for s, unit in zip(stats, units, strict=True) if s]
    interval = estimate(metric, np.array([s for s, _ in scored]), clusters=[unit for _, unit in scored])
    n = sum(row["n"] for row in rows)
    signatures = [row["signature"] for row in rows]
    how = "all their items count alike" if members.group.of_parts else "the mean of their scores"
    alike = ("model", "generation", "n_params", "shots", "protocol", "profile", "fingerprint")
    result = Result(
        **{field: rows[0][field] for field in alike},
        model_family=rows[0].get("model_family", ""),
        step=rows[0].get("step"),
        task=members.group.name,
        family=members.group.family,
        metric=metric.name,
        primary=True,
        higher_is_better=metric.higher_is_better,
        **interval.fields(),
        n=n,
        coverage=sum(row["coverage"] * row["n"] for row in rows) / n,
        truncated=sum(row["truncated"] for row in rows),
        chance=_chance(rows) if members.group.of_parts else None,
        seconds=sum(row["seconds"] for row in rows),
        wall_seconds=_wall(rows),
        tokens=sum(row["tokens"] for row in rows),
        signature=digest(signatures) if any(signatures) else "",
        notes=(f"{len(rows)} tasks together: {how}",),
    )
    buffer = io.BytesIO()
    pq.write_table(items, buffer, compression="zstd")
    return result, buffer.getvalue()


def _wall(rows: Sequence[ResultRow]) -> float | None:
    """Of parts that were asked one after the other; None where one does not say."""
    found = [seconds for row in rows if (seconds := row.get("wall_seconds")) is not None]
    return sum(found) if len(found) == len(rows) else None


def _items(folder: Path, metric: Metric, row: ResultRow) -> Any:
    """The samples of one of the tasks as they are in the group, an Arrow table."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = folder / sample_file(row["model"], row["task"], row["shots"])
    try:
        table = pq.read_table(path)
        old = {name: table[name].to_pylist() for name in ("item_id", "cluster", "stats", "values")}
        new = {name: [cell and f"{row['task']}/{cell}" for cell in old[name]] for name in ("item_id", "cluster")}
        for name, change in (("stats", partial(_placed, metric, row["task"])), ("values", lambda value: value)):
            cells = [json.loads(text).get(row["metric"]) for text in old[name]]
            new[name] = [json.dumps({} if cell is None else {metric.name: change(cell)}) for cell in cells]
    except Exception as error:  # of a garbled file the libraries raise many kinds
        raise StoreError(f"{path.name} cannot be read: {error}", f"run {row['task']} again") from error
    for name, cells in new.items():
        table = table.set_column(table.column_names.index(name), name, pa.array(cells, pa.string()))
    return table


def _placed(metric: Metric, task: str, stats: list[float]) -> list[float]:
    """What an item's statistics in its task are in the group."""
    return metric.in_its_place(task, stats) if isinstance(metric, MeanOfTasks) else stats


def _chance(rows: Sequence[ResultRow]) -> float | None:
    """What guessing gives over all items."""
    if any(row["chance"] is None for row in rows):
        return None
    return float(np.average([row["chance"] for row in rows], weights=[row["n"] for row in rows]))

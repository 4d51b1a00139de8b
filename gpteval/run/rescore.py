"""Further metrics for a run that is there, out of its samples: no model is loaded, and nothing is asked again.

What a new run with ``--metrics`` would have written is written, to the byte.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gpteval.core.errors import UsageError
from gpteval.core.show import with_shots
from gpteval.core.strict import strict_json
from gpteval.core.types import Choice
from gpteval.logs.readers import reader_of
from gpteval.metrics.base import Metric
from gpteval.metrics.choice import AnyGreedy, GreedyAccuracy
from gpteval.metrics.from_samples import not_in, request_of, statistics_of
from gpteval.metrics.named import metric_registry
from gpteval.models.catalogue import model_registry
from gpteval.reference.counterpart import beside
from gpteval.run.finish import STRETCH
from gpteval.run.identity import definition
from gpteval.run.records import other_number
from gpteval.stats.interval import estimate
from gpteval.store.documents import read_document, read_samples
from gpteval.store.folder import RunFolder
from gpteval.store.samples import samples_schema
from gpteval.store.tally import fewer_scored
from gpteval.tasks.registry import task_registry
from gpteval.tasks.task import DEFAULT, Task

_Row = dict[str, Any]
LOCAL = "local"  # the location of a model that is no model of the Hub, as manifests have it
_NOT_STORED = (GreedyAccuracy, AnyGreedy)  # whether an answer is what greedy decoding gives
_WITHOUT = "no interval: "  # so a note begins


def rescore(
    run: Path,
    names: Sequence[str],
    tell: Callable[[str], None] = lambda line: None,
    task_dirs: Sequence[Path] = (),
) -> int:
    """Add the metrics of these names to every result of a run that they can score; how many results that makes.

    ``tell`` is told what they cannot score, and why. Raises UnknownNameError for a name that is none, UsageError where
    samples do not hold what one needs, OutputError while the run goes on.
    """
    metrics = [metric_registry()[name] for name in names]
    for metric in metrics:
        if Choice not in metric.requests or isinstance(metric, _NOT_STORED):
            raise UsageError(
                f"{metric.name} cannot be made of samples", f"those of choices can: run it with --metrics {metric.name}"
            )
    if not (run / "results.json").is_file():
        logged = run.exists() and reader_of(run) is not None
        raise UsageError(
            f"{run} is not the folder of a run: it has no results.json",
            f"it is a log: gpteval import {run} --out runs/NAME, then rescore that"
            if logged
            else "give the folder of a gpteval run",
        )
    tasks = dict(task_registry(tuple(task_dirs)))
    folder = RunFolder(run)
    try:
        document, manifest = read_document(run / "results.json"), read_document(run / "manifest.json")
        made = 0
        for listed in manifest.get("samples") or []:
            unit = _Unit.of(run, listed, document["results"], tasks, manifest)
            added = [row for metric in metrics if (row := unit.with_metric(metric, tell)) is not None]
            if added:
                with folder.writing(f"samples/{Path(listed['file']).name}") as handle:
                    _write(handle, unit.samples)
                document["results"] = _placed(document["results"], unit, added)
                made += len(added)
        if made:
            folder.write_json("results.json", document)
        return made
    finally:
        folder.close()


@dataclass(frozen=True)
class _Unit:
    """A model on a task with a number of examples: its samples, and its results so far."""

    samples: list[_Row]
    rows: list[_Row]
    task: Task | None
    manifest: Mapping[str, Any]

    @classmethod
    def of(
        cls,
        run: Path,
        listed: Mapping[str, Any],
        rows: Sequence[_Row],
        tasks: Mapping[str, Task],
        manifest: Mapping[str, Any],
    ) -> _Unit:
        place = (listed["model"], listed["task"], listed.get("shots", 0))
        own = [row for row in rows if (row["model"], row["task"], row.get("shots", 0)) == place]
        task = str(listed["task"]).partition(":")[0]
        return cls(read_samples(run / "samples" / Path(listed["file"]).name), own, tasks.get(task), manifest)

    def with_metric(self, metric: Metric, tell: Callable[[str], None]) -> _Row | None:
        """The metric's result, once the samples have it; None where it is there already, or cannot be."""
        if not self.rows or any(row["metric"] == metric.name for row in self.rows):
            return None
        requests = [request_of(sample) for sample in self.samples if sample.get("choices")]
        where = f"{self.rows[0]['model']} on {with_shots(self.rows[0]['task'], self.rows[0].get('shots', 0))}"
        greedy = any(row["metric"] == AnyGreedy.name for row in self.rows)
        if why := not_in(self.samples, metric, AnyGreedy.name if greedy else ""):
            if requests:
                tell(f"{metric.name} is left out of {where}: {why}")
            return None
        stats = [statistics_of(sample, metric) for sample in self.samples]
        for sample, found in zip(self.samples, stats, strict=True):
            if found is not None:
                sample["stats"][metric.name] = list(found)
                sample["values"][metric.name] = float(metric.value(np.asarray(found, dtype=float)))
        return self._result(metric, requests, [found for found in stats if found is not None])

    def _result(self, metric: Metric, requests: Sequence[Choice], stats: Sequence[tuple[float, ...]]) -> _Row:
        """As a new run has it: what all metrics of a unit share is taken from its primary one."""
        primary = next((row for row in self.rows if row.get("primary")), self.rows[0])
        scored = [sample for sample in self.samples if metric.name in sample["stats"]]
        clusters = [sample.get("cluster") or "" for sample in scored] if any(s.get("cluster") for s in scored) else None
        found = estimate(metric, np.array(stats, dtype=float), clusters=clusters)
        guessed = metric.chance(requests)
        without = [f"{_WITHOUT}{found.why}"] if found.why else []
        known = metric_registry()
        own = set(known[primary["metric"]].notes(requests)) if primary["metric"] in known else set()
        notes = [note for note in primary.get("notes") or [] if note not in own and not note.startswith(_WITHOUT)]
        answered = round(primary["coverage"] * primary["n"])
        judged = definition(metric, _declared_chance(primary, requests, self.task), guessed)
        return primary | {
            "metric": metric.name,
            "primary": False,
            "higher_is_better": metric.higher_is_better,
            **found.fields(),
            "chance": guessed,
            "signature": "|".join(filter(None, [metric.signature(requests), primary.get("signature")])),
            "published": self._published(metric, known.get(primary["metric"])),
            "judged": f"{judged}-{str(primary.get('judged', '')).partition('-')[2]}",
            "notes": [*notes, *metric.notes(requests), *fewer_scored(len(stats), answered), *without],
        }

    def _published(self, metric: Metric, primary: Metric | None) -> Mapping[str, Any] | None:
        """As a new run finds it: of models of the Hub, under the task's own template."""
        row = self.rows[0]
        about = (self.manifest.get("models") or {}).get(row["model"]) or {}
        location, (name, _, revision) = about.get("location") or LOCAL, row["model"].partition("@")
        own = row.get("template", DEFAULT) == DEFAULT and self.task is not None and location != LOCAL
        if not own or primary is None or not other_number(metric, primary):
            return None
        known, config = model_registry(), self.manifest.get("config") or {}
        return beside(
            {row["model"], location, *(known[name].aliases if name in known else ())},
            row["task"],
            metric.name,
            row["shots"],
            split=getattr(self.task.source, "split", "test") if self.task else "",
            limit=config.get("limit"),
            revision=revision or None,
            profile=row["profile"],
        )


def _declared_chance(primary: Mapping[str, Any], requests: Sequence[Choice], task: Task | None) -> float | None:
    """What the task itself says that guessing reaches. Of a task that is not known here, its result says it where that
    is not what its metric says.
    """
    if task is not None:
        return task.chance
    known, said = metric_registry(), primary.get("chance")
    guessed = known[primary["metric"]].chance(requests) if primary["metric"] in known else None
    return None if said == guessed else said


def _write(handle: Any, samples: Sequence[_Row]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = samples_schema()
    with pq.ParquetWriter(handle, schema, compression="zstd") as writer:
        for some in _stretches(samples):
            rows = [
                sample | {"values": strict_json(sample["values"]), "stats": json.dumps(sample["stats"])}
                for sample in some
            ]
            writer.write_table(pa.Table.from_pylist(rows, schema=schema))


def _stretches(samples: Sequence[_Row]) -> Iterator[Sequence[_Row]]:
    for begin in range(0, len(samples), STRETCH):
        yield samples[begin : begin + STRETCH]


def _placed(rows: Sequence[_Row], unit: _Unit, added: Sequence[_Row]) -> list[_Row]:
    """Behind the unit's other results."""
    last = max(n for n, row in enumerate(rows) if any(row is own for own in unit.rows))
    return [*rows[: last + 1], *added, *rows[last + 1 :]]

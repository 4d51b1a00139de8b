"""From a log's items to results: gpteval's statistics of another harness' numbers, marked as not run here."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

import numpy as np

from gpteval.core.errors import NotAvailable, StoreError
from gpteval.core.generations import generation_of
from gpteval.core.outcomes import Failed, Record, Result
from gpteval.core.types import Choice, Prompt, Request
from gpteval.logs.log import PREFIX, BadItem, Log, LogItem, LogModel, LogTask, LogTotal
from gpteval.metrics.base import MeanMetric, Metric
from gpteval.metrics.named import metric_registry
from gpteval.metrics.stored import StoredMetric
from gpteval.models.catalogue import model_registry
from gpteval.store.documents import sample_file
from gpteval.store.folder import RunFolder
from gpteval.store.samples import samples_writer
from gpteval.store.tally import Tally, fewer_scored

STRETCH = 4096  # items that are written at a time
MAX_BAD = 0.01  # share of items that may be unreadable
SHOWN = 3
NEAR = 1e-6  # share of a number that rounding may bring
_NOT_HERE = "not run here: read from a log of {}"


class LogUnit:
    """A model on a task: its samples file, and what its items come to."""

    def __init__(self, task: LogTask, log: Log, folder: RunFolder, stack: ExitStack) -> None:
        self.task, self.log = task, log
        file = sample_file(task.model.name, task.name, task.shots)
        self._write = stack.enter_context(samples_writer(stack.enter_context(folder.writing(file))))
        self.metrics: list[Metric] = []
        self.tally = Tally((), clustered=False)
        self._waiting: list[Record] = []
        self._seen: dict[str, int] = {}
        self._bad: list[str] = []
        self._left_out: dict[str, None] = {}
        self._otherwise: Counter[str] = Counter()  # by metric, items of which gpteval's own number is another
        self._shares = 0.0  # sum of 1 / K of items with choices
        self._first: Request | None = None

    def add(self, item: LogItem | BadItem) -> None:
        if isinstance(item, BadItem):
            self._is_bad(item.where, item.why)
            return
        if self._first is None:
            self._first = item.request
            self.metrics = [_metric(name, item.task.higher) for name in item.scores]
            self.tally = Tally(self.metrics, clustered=False)
        known = {metric.name: metric for metric in self.metrics}
        self._left_out |= dict.fromkeys((*item.left_out, *(name for name in item.scores if name not in known)))
        strange = next((n for n, stats in item.scores.items() if n in known and not _fits(known[n], stats)), None)
        if strange is not None:
            self._is_bad(
                f"item {self.tally.items + len(self._waiting) + 1}", f"{strange} is {item.scores[strange][0]:g}"
            )
            return
        if isinstance(item.request, Choice):
            self._shares += 1 / len(item.request.continuations)
        self._waiting.append(self._record(item))
        if len(self._waiting) >= STRETCH:
            self.flush()

    def _is_bad(self, where: str, why: str) -> None:
        self._bad.append(f"{where}: {why.splitlines()[0]}" if len(self._bad) < SHOWN else "")

    def _record(self, item: LogItem) -> Record:
        prompt = Prompt("", item.request)
        content = prompt.hash
        count = self._seen[content] = self._seen.get(content, 0) + 1
        prompt = Prompt(content if count == 1 else f"{content}-{count}", item.request)
        stats = {metric.name: item.scores[metric.name] for metric in self.metrics if metric.name in item.scores}
        self._otherwise.update(m.name for m in self.metrics if m.name in stats and _counts_otherwise(m, item))
        values = {name: _value(metric, stats[name]) for metric in self.metrics if (name := metric.name) in stats}
        return Record(prompt.item_id, prompt, item.outcome, values, stats)

    def flush(self) -> None:
        if self._waiting:
            self._write(self._waiting)
            self.tally.add(self._waiting)
            self._waiting = []

    def results(self) -> list[Result]:
        """Raises StoreError where too much cannot be read."""
        read, bad = self.tally.items, len(self._bad)
        if bad > MAX_BAD * (read + bad):
            shown = "; ".join(filter(None, self._bad))
            raise StoreError(
                f"{bad} of {read + bad} items of {self.task.name} cannot be read: {shown}", "is the log whole?"
            )
        if not read or not self.metrics or self._first is None:
            return []
        found = [self._result(number, metric) for number, metric in enumerate(self.metrics)]
        return [row for row in found if row is not None]

    def _result(self, number: int, metric: Metric) -> Result | None:
        task, request = self.task, self._first
        assert request is not None
        interval = self.tally.interval(metric)
        if math.isnan(interval.value):
            return None
        chance = metric.chance([request])
        if chance is not None and isinstance(request, Choice) and metric.kind == "binary":
            chance = self._shares / self.tally.items
        failed = self.tally.failed
        return Result(
            **_common(task, self.log),
            metric=metric.name,
            primary=number == 0,
            higher_is_better=metric.higher_is_better,
            **interval.fields(),
            n=self.tally.items,
            coverage=(self.tally.items - failed) / self.tally.items,
            truncated=0,
            chance=chance,
            signature="|".join(filter(None, [self._signature(metric, request), self._counted_otherwise(metric)])),
            notes=tuple(self._notes(metric, interval.value)),
        )

    @staticmethod
    def _signature(metric: Metric, request: Request) -> str:
        return metric.signature([request]) if metric.name in metric_registry() else ""

    def _counted_otherwise(self, metric: Metric) -> str:
        count = self._otherwise[metric.name]
        return f"as the log counts it: gpteval's own {metric.name} is another on {count} items" if count else ""

    def _notes(self, metric: Metric, value: float) -> Iterable[str]:
        yield _NOT_HERE.format(self.log.harness)
        if self.task.of and self.task.of != self.tally.items:
            yield f"{self.tally.items} of {self.task.of} items"
        if self._bad:
            yield f"{len(self._bad)} items of the log cannot be read: {'; '.join(filter(None, self._bad))}"
        if doubled := sum(count - 1 for count in self._seen.values()):
            yield f"{doubled} items ask what another one asks"
        if self._left_out:
            yield f"left out, as not every item has a number of them: {', '.join(self._left_out)}"
        if otherwise := self._counted_otherwise(metric):
            yield otherwise
        yield from fewer_scored(self.tally.scored(metric), self.tally.items - self.tally.failed)
        said = self.task.said.get(metric.name)
        if said is not None and abs(said - value) > NEAR * max(1.0, abs(said)):
            yield f"the log itself says {said:g}, its items say {value:g}"


def without_items(total: LogTotal, log: Log) -> Iterable[Result]:
    """The log's own numbers, which no test can be made of."""
    for number, (name, value) in enumerate(total.task.said.items()):
        metric = _metric(name, total.task.higher)
        yield Result(
            **_common(total.task, log),
            metric=name,
            primary=number == 0,
            higher_is_better=metric.higher_is_better,
            value=value,
            ci_low=None,
            ci_high=None,
            stderr=None,
            n=total.n,
            coverage=1.0,
            truncated=0,
            chance=None,
            notes=(_NOT_HERE.format(log.harness), "the log has no items: no interval, and no pair with another model"),
        )


def _common(task: LogTask, log: Log) -> dict[str, Any]:
    """What all results of a task share."""
    return {
        "model": task.model.name,
        "generation": _generation(task.model),
        "n_params": task.model.n_params,
        "task": task.name,
        "family": task.family,
        "shots": task.shots,
        "protocol": {0: "zero_shot", 1: "one_shot"}.get(task.shots, "few_shot"),
        "profile": f"{PREFIX}{log.harness}",
        "seconds": 0.0,
        "tokens": 0,
        "fingerprint": _fingerprint(task.model),
    }


def _generation(model: LogModel) -> str:
    known = model_registry()
    name = model.location or model.name
    return known[name].generation if name in known else generation_of(None)


def _fingerprint(model: LogModel) -> str:
    told = f"{model.location or model.name}@{model.revision}"
    return f"log:{hashlib.blake2b(told.encode('utf-8', 'replace'), digest_size=8).hexdigest()}"


def about_model(model: LogModel, log: Log) -> Mapping[str, Any]:
    """As a manifest tells of a model."""
    return {
        "location": model.location or "log",
        "revision": model.revision,
        "fingerprint": _fingerprint(model),
        "generation": _generation(model),
        "n_params": model.n_params,
        "family": "",
        "step": None,
        "dtype": model.dtype,
        "device": "",
        "notes": [_NOT_HERE.format(log.harness)],
    }


def _metric(name: str, higher: Mapping[str, bool]) -> Metric:
    known = metric_registry()
    if name in known:
        return known[name]
    return StoredMetric(name, "mean", higher.get(name, True), None, 0.0, by_ratio=False, floor=None)


def _counts_otherwise(metric: Metric, item: LogItem) -> bool:
    """Whether gpteval's metric of that name gives another number for the same answer."""
    own = metric.name in metric_registry() and isinstance(metric, MeanMetric)
    if not own or isinstance(item.outcome, Failed) or not isinstance(item.request, metric.requests):
        return False
    try:
        return abs(metric.stats(item.request, item.outcome)[0] - item.scores[metric.name][0]) > NEAR
    except NotAvailable:  # the log does not tell what it needs
        return False


def _fits(metric: Metric, stats: Sequence[float]) -> bool:
    """Whether an item's number is one that the metric can have: 0 or 1 of right and wrong, else within its scale."""
    if not isinstance(metric, MeanMetric) or metric.scale is None:
        return True
    return stats[0] in (0.0, 1.0) if metric.kind == "binary" else metric.bottom <= stats[0] <= metric.scale


def _value(metric: Metric, stats: Sequence[float]) -> float:
    if isinstance(metric, MeanMetric):
        return float(stats[0])
    return float(metric.value(np.asarray(stats, dtype=float)))

"""From outcomes to records, from records to results and sample files."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpteval.backends.interface import TextCodec
from gpteval.core.errors import PLUGIN_ERRORS, GptevalError, NotAvailable, PluginError, TaskError
from gpteval.core.outcomes import Failed, Outcome, Record, Result
from gpteval.core.plugins import place_in_code, reason
from gpteval.core.types import Choice, Generate, Prompt, Request
from gpteval.metrics.base import Metric
from gpteval.prompts.build import TaskData
from gpteval.run.identity import definition, golds
from gpteval.stats.interval import Estimate, estimate
from gpteval.stats.jackknife import TEXTS
from gpteval.store.samples import is_truncated

PROTOCOLS = {0: "zero_shot", 1: "one_shot"}


def task_metrics(data: TaskData, prompts: Sequence[Prompt]) -> list[Metric]:
    """The task's metrics, the primary first. Raises UnknownNameError, or TaskError for a missing neutral context."""
    metrics = [data.task.metric_named(name) for name in data.task.all_metrics]
    kinds = {type(prompt.request) for prompt in prompts}
    for metric in metrics:
        if wrong := kinds - set(metric.requests):
            raise TaskError(
                f"task {data.task.name}: {metric.name} cannot score {wrong.pop().__name__} requests",
                f"it scores {' and '.join(kind.__name__ for kind in metric.requests)}; name another metric",
            )
        if metric.needs_neutral and any(
            not isinstance(p.request, Choice) or p.request.neutral is None for p in prompts
        ):
            raise TaskError(
                f"task {data.task.name}: {metric.name} needs a neutral context in every Choice",
                'give one, for example neutral="Answer:"',
            )
    return [metric.for_texts([prompt.request for prompt in prompts]) for metric in metrics]


def judged_by(codec: TextCodec, request: Request) -> Request:
    """The request as a model of this tokenizer can answer it.

    A tokenizer that loses text (GPT-1 lower-cases, and parts "O'Brien" into "o ' brien") could never write the
    references: they go through it once, as the model's text did.
    """
    if not codec.lossy or not isinstance(request, Generate):
        return request
    return replace(request, references=[codec.round_trip(reference) for reference in request.references])


def make_records(
    prompts: Sequence[Prompt],
    outcomes: Sequence[Outcome],
    metrics: Sequence[Metric],
    judged: Callable[[Request], Request] = lambda request: request,
) -> list[Record]:
    """A record an item, with each metric's statistics.

    ``judged`` gives the request that an outcome is compared with.
    """
    records = []
    for prompt, outcome in zip(prompts, outcomes, strict=True):
        stats: dict[str, tuple[float, ...]] = {}
        request = judged(prompt.request)
        for number, metric in enumerate(metrics):
            try:
                found = _stats_of(metric, prompt.item_id, request, outcome)
            except NotAvailable:  # a server does not tell what it needs; of others it may
                if number == 0:
                    raise
                found = None
            if found is not None:
                stats[metric.name] = found
        values = {m.name: float(m.value(np.asarray(stats[m.name], dtype=float))) for m in metrics if m.name in stats}
        blocks = next((told for metric in metrics if (told := metric.blocks(request, outcome))), ())
        records.append(Record(prompt.item_id, prompt, outcome, values, stats, blocks))
    return records


def _stats_of(metric: Metric, item: str, request: Request, outcome: Outcome) -> tuple[float, ...] | None:
    """A metric's statistics of an item; None where it has none. Raises PluginError where its code fails."""
    try:
        return metric.failed(request) if isinstance(outcome, Failed) else metric.stats(request, outcome)
    except GptevalError:
        raise
    except PLUGIN_ERRORS as error:
        raise PluginError(
            f"the metric {metric.name} fails on item {item}: {reason(error)}", f"mend it in {place_in_code(error)}"
        ) from error


class Tally:
    """What records come to, as far as results need it: their statistics and some counts, not the records."""

    def __init__(self, metrics: Sequence[Metric], *, clustered: bool) -> None:
        self.metrics, self.clustered = metrics, clustered
        self.items = self.truncated = self.failed = 0
        self.first_error = ""
        self._stats: dict[str, list[NDArray[np.float64]]] = {metric.name: [] for metric in metrics}
        self._clusters: dict[str, list[str]] = {metric.name: [] for metric in metrics}
        self._blocks: list[tuple[tuple[float, ...], ...]] = []  # of the first few texts

    def add(self, records: Sequence[Record]) -> None:
        self.items += len(records)
        self.truncated += sum(is_truncated(record.outcome) for record in records)
        failed = [r.outcome for r in records if isinstance(r.outcome, Failed) and not r.outcome.answered]
        self.failed += len(failed)
        self.first_error = self.first_error or next((outcome.error for outcome in failed), "")
        if len(self._blocks) < TEXTS:
            self._blocks += [record.blocks for record in records if record.blocks][:TEXTS]
        for metric in self.metrics:
            scored = [record for record in records if metric.name in record.stats]
            if scored:
                self._stats[metric.name].append(np.array([r.stats[metric.name] for r in scored], dtype=float))
                self._clusters[metric.name] += [r.prompt.cluster for r in scored] if self.clustered else []

    def check(self) -> None:
        """Raise GptevalError when every single item failed."""
        if self.failed == self.items:
            raise GptevalError(f"all {self.items} items failed, the first with: {self.first_error}")

    def scored(self, metric: Metric) -> int:
        """How many items it has a score of."""
        return sum(map(len, self._stats[metric.name]))

    def interval(self, metric: Metric) -> Estimate:
        """The metric's value and its interval."""
        stats = self._stats[metric.name]
        if 0 < len(self._blocks) < TEXTS and type(metric).blocks is not Metric.blocks:
            texts = [number for number, blocks in enumerate(self._blocks) for _ in blocks]
            found = estimate(metric, np.concatenate(self._blocks), texts=texts)
            return replace(found, n=len(self._blocks))
        clusters = self._clusters[metric.name] if self.clustered else None
        return estimate(metric, np.concatenate(stats) if stats else np.array([]), clusters=clusters)


def make_results(
    tally: Tally,
    requests: Sequence[Request],
    *,
    common: Mapping[str, Any],
    data: TaskData,
    notes: Sequence[str],
    published: Callable[[str], Mapping[str, Any] | None] = lambda metric: None,
    rule: str = "",
) -> list[Result]:
    """A result a metric. ``common`` holds the fields that all of them share.

    ``published``: what was published by a metric, asked for the primary one and those that publish another number.
    ``rule``: how the texts were judged besides the metric's own rules; it becomes a part of the signature.
    """
    results = []
    right = golds(requests)
    for number, metric in enumerate(tally.metrics):
        interval = tally.interval(metric)
        without = (f"no interval: {interval.why}",) if interval.why else ()
        guessed = metric.chance(requests)
        chance = data.task.chance if number == 0 and data.task.chance is not None else guessed
        scored = fewer_scored(tally.scored(metric), tally.items - tally.failed)
        results.append(
            Result(
                **common,
                metric=metric.name,
                primary=number == 0,
                higher_is_better=metric.higher_is_better,
                **interval.fields(),
                n=tally.items,
                coverage=(tally.items - tally.failed) / tally.items,
                truncated=tally.truncated,
                chance=chance,
                signature="|".join(filter(None, [metric.signature(requests), rule])),
                published=published(metric.name) if number == 0 or other_number(metric, tally.metrics[0]) else None,
                judged=f"{definition(metric, data.task.chance, guessed)}-{right}",
                notes=(*data.notes, *notes, *metric.notes(requests), *scored, *without),
            )
        )
    return results


def other_number(metric: Metric, primary: Metric) -> bool:
    """Whether sources that have the primary metric's number have another one for this metric: LAMBADA's perplexity
    beside its accuracy.
    """
    return bool(metric.published_as) and not set(metric.published_as) & set(primary.published_as)


def fewer_scored(scored: int, answered: int) -> list[str]:
    """What to say where a metric has no score of some items that were answered."""
    return [f"{scored} of {answered} answers have this score: what it needs is not told of the others"] * (
        scored < answered
    )


def protocol(shots: int) -> str:
    """The field's word for so many examples."""
    return PROTOCOLS.get(shots, "few_shot")

"""From outcomes to records, from records to results and sample files."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from gpteval.backends.interface import TextCodec
from gpteval.core.errors import PLUGIN_ERRORS, GptevalError, NotAvailable, PluginError, TaskError
from gpteval.core.outcomes import Failed, Outcome, Record, Repeated, Result
from gpteval.core.plugins import place_in_code, reason
from gpteval.core.types import Choice, Generate, Prompt, Request, digest
from gpteval.metrics.base import Metric
from gpteval.metrics.repeated import of_repeats
from gpteval.prompts.build import TaskData
from gpteval.run.identity import definition, golds
from gpteval.store.tally import Tally, fewer_scored
from gpteval.tasks.answer_rule import AnswerRule

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


def judged_by(codec: TextCodec, request: Request, rule: AnswerRule | None = None) -> Request:
    """The request as a model of this tokenizer can answer it, with the answers that the task's rule takes.

    A tokenizer that loses text (GPT-1 lower-cases, and parts "O'Brien" into "o ' brien") could never write the
    references: they go through it once, as the model's text did.
    """
    request = rule.of_request(request) if rule else request
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
        answers = _each(metrics[0], prompt.item_id, request, outcome)
        values = {m.name: float(m.value(np.asarray(stats[m.name], dtype=float))) for m in metrics if m.name in stats}
        blocks = next((told for metric in metrics if (told := metric.blocks(request, outcome))), ())
        records.append(Record(prompt.item_id, prompt, outcome, values, stats, blocks, answers))
    return records


def _each(metric: Metric, item: str, request: Request, outcome: Outcome) -> tuple[float, ...]:
    """The metric's value of each of several answers."""
    if not isinstance(outcome, Repeated):
        return ()
    found = [_stats_of(metric, item, request, one) for one in outcome.outcomes]
    return tuple(math.nan if one is None else float(metric.value(np.asarray(one, dtype=float))) for one in found)


def _stats_of(metric: Metric, item: str, request: Request, outcome: Outcome) -> tuple[float, ...] | None:
    """A metric's statistics of an item, of several answers their mean; None where it has none. Raises PluginError where
    its code fails.
    """
    if isinstance(outcome, Repeated) and not of_repeats(metric):
        each = [_stats_of(metric, item, request, one) for one in outcome.outcomes]
        known = [one for one in each if one is not None]
        return tuple(math.fsum(column) / len(known) for column in zip(*known, strict=True)) if known else None
    try:
        return metric.failed(request) if isinstance(outcome, Failed) else metric.stats(request, outcome)
    except GptevalError:
        raise
    except PLUGIN_ERRORS as error:
        raise PluginError(
            f"the metric {metric.name} fails on item {item}: {reason(error)}", f"mend it in {place_in_code(error)}"
        ) from error


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
    rule_of_answers = data.task.answer_rule
    spreads = tally.spreads()
    right = golds(requests) if rule_of_answers is None else digest(golds(requests), rule_of_answers.signature)
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
                notes=(
                    *data.notes,
                    *notes,
                    *(spreads if number == 0 else ()),
                    *metric.notes(requests),
                    *scored,
                    *without,
                ),
            )
        )
    return results


def other_number(metric: Metric, primary: Metric) -> bool:
    """Whether sources that have the primary metric's number have another one for this metric: LAMBADA's perplexity
    beside its accuracy.
    """
    return bool(metric.published_as) and not set(metric.published_as) & set(primary.published_as)


def protocol(shots: int) -> str:
    """The field's word for so many examples."""
    return PROTOCOLS.get(shots, "few_shot")

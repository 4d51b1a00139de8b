"""Declaring a task: data source, prompt function, metrics."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import Any

from gpteval.core.errors import GptevalError, PluginError, TaskError, UnknownNameError
from gpteval.core.types import FAMILIES, Choice, Family, Item, Request
from gpteval.data.sources import Source
from gpteval.metrics.base import HOW_TO_SCORE, Metric
from gpteval.metrics.choice import AnyGreedy
from gpteval.metrics.evaluated import as_metric
from gpteval.metrics.named import metric_registry
from gpteval.tasks.answer_rule import AnswerRule, Taking
from gpteval.tasks.profiles import GPTEVAL, PROFILES, Variant

PromptFunction = Callable[[Item], Request]
Prepare = Callable[[Sequence[Mapping[str, Any]]], Iterable[Mapping[str, Any]]]
_NAME = r"[A-Za-z0-9][A-Za-z0-9_.-]*"
DEFAULT = "default"  # the name of a task's own prompt among its templates


@dataclass(frozen=True)
class Task:
    """A benchmark: where its rows come from, the request each row makes, and how answers are scored.

    ``metric`` names the primary metric, ``metrics`` further ones; ``own_metrics`` are those of them that are the task's
    own, which the decorator takes as objects. ``extra_metrics`` are those that a run asks for besides.
    ``shots`` is the default number of examples, drawn from split ``shots_from`` (None: from the evaluated split itself,
    never the item), and where ``shots_group`` names a column, from the rows that agree with the item in it (its
    subject, its rule). An example never shows the item's own prompt and answer, unless ``shots_may_repeat``:
    where finding the answer again is the task. ``prepare`` turns the source's rows into items' rows where the
    two differ (lines into pages). ``chance`` is the primary metric's value for guessing, where the metric cannot
    compute it.
    ``cluster`` names a column whose equal values make items depend on each other (questions of one passage,
    sentences of one document): intervals and tests then resample clusters.
    Raise ``version`` when a change alters results.

    ``shots_inside``: of prompts that are given whole, how many examples stand in them; no others can.

    ``templates`` are other prompts for the same rows, by name, among them ``default``, the task's own; they are
    declared with :meth:`template`. ``template_name`` is the one that is in force.

    ``profiles`` are the protocols that the task follows as it stands; others are declared with :meth:`as_in`.
    ``profile`` is the one that is in force. ``evaluates_validation``: whether the peer has no test split for it, so
    that its examples may come from the evaluated rows; by default the split's name decides. ``shown``:
    how an example shows a request with its answer, if not one after the other. ``answer``: how the answer is taken out
    of a text that a model wrote, and out of the references (``tasks.answer_rule``).
    """

    name: str
    family: Family
    source: Source
    prompt: PromptFunction
    metric: str
    metrics: tuple[str, ...] = ()
    shots: int = 0
    shots_from: str | None = None
    shots_group: str | None = None
    shots_may_repeat: bool = False
    shots_inside: int | None = None
    separator: str = "\n\n"
    preamble: str = ""
    prepare: Prepare | None = None
    chance: float | None = None
    cluster: str | None = None
    licence: str = ""
    suites: tuple[str, ...] = ()
    version: int = 1
    description: str = ""
    template_name: str = DEFAULT
    profiles: tuple[str, ...] = ()
    profile: str = GPTEVAL
    evaluates_validation: bool | None = None
    shown: Callable[[Request], str] | None = None
    answer: Taking | None = None
    own_metrics: tuple[Metric, ...] = field(default=(), compare=False, repr=False)
    extra_metrics: tuple[str, ...] = field(default=(), compare=False, repr=False)
    templates: dict[str, PromptFunction] = field(init=False, repr=False, compare=False)
    variants: dict[str, Variant] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not re.fullmatch(_NAME, self.name):
            raise TaskError(f"task name {self.name!r} may hold only letters, digits, '_', '-' and '.'")
        if self.family not in FAMILIES:
            raise TaskError(f"task {self.name}: unknown family {self.family!r}; one of {', '.join(FAMILIES)}")
        if self.shots < 0:
            raise TaskError(f"task {self.name}: shots is {self.shots}; it cannot be negative")
        _ = self.answer_rule
        for metric in self.own_metrics:
            if metric.name in metric_registry():
                raise TaskError(
                    f"task {self.name}: gpteval has a metric {metric.name} itself", "give the task's own another name"
                )
        object.__setattr__(self, "templates", {self.template_name: self.prompt})
        object.__setattr__(self, "variants", {name: Variant(self.prompt, {}) for name in self.profiles})

    def template(self, name: str) -> Callable[[PromptFunction], PromptFunction]:
        """Decorator: the function is another prompt of this task, ``name`` its name."""
        if not re.fullmatch(_NAME, name) or name in ("all", *self.templates):
            raise TaskError(
                f"task {self.name}: a template cannot be named {name!r}",
                f"letters, digits, '_', '-' and '.'; not all, {', '.join(self.templates)}",
            )

        def declare(prompt: PromptFunction) -> PromptFunction:
            self.templates[name] = prompt
            return prompt

        return declare

    def with_template(self, name: str) -> Task:
        """The task with another of its prompts in force. Raises UnknownNameError."""
        if name not in self.templates:
            has = f"it has {', '.join(self.templates)}"
            raise UnknownNameError(f"template of {self.name}", name, self.templates, has)
        return self._with(prompt=self.templates[name], template_name=name)

    def with_prompt(self, name: str, prompt: PromptFunction, **changes: Any) -> Task:
        """The task with one more prompt, ``name``, which is in force; ``changes`` are fields that differ with it."""
        task = self._with(prompt=prompt, template_name=name, **changes)
        object.__setattr__(task, "templates", {**self.templates, name: prompt})
        return task

    def with_source(self, source: Source) -> Task:
        """The task with its rows from elsewhere."""
        return self._with(source=source)

    def _with(self, **changes: Any) -> Task:
        task = replace(self, **changes)
        for declared in ("templates", "variants"):
            object.__setattr__(task, declared, getattr(self, declared))
        return task

    def as_in(self, profile: str, **changes: Any) -> Callable[[PromptFunction], PromptFunction]:
        """Decorator: the function is the task's prompt under a profile; ``changes`` are fields that differ there."""
        if profile not in PROFILES or profile in self.variants:
            raise TaskError(f"task {self.name}: no further profile {profile!r}", f"one of {', '.join(PROFILES)}")

        def declare(prompt: PromptFunction) -> PromptFunction:
            self.variants[profile] = Variant(prompt, changes)
            return prompt

        return declare

    def under(self, profile: str) -> Task | None:
        """The task as a profile has it; None where it is not known how."""
        if profile == GPTEVAL:
            return self
        variant = self.variants.get(profile)
        if variant is None or self.template_name != DEFAULT:
            return None
        return replace(self, prompt=variant.prompt, profile=profile, **variant.changes)

    def asks_as(self, profile: str, shots: int) -> bool:
        """Whether the task's own prompt is that of a profile, with so many examples."""
        variant = self.variants.get(profile)
        if variant is None or variant.prompt is not self.prompt:
            return False
        return not variant.changes or (shots == 0 and set(variant.changes) == {"shown"})  # how an example is shown

    @property
    def answer_rule(self) -> AnswerRule | None:
        """Raises TaskError for what is no rule."""
        return None if self.answer is None else AnswerRule(self.answer)

    @property
    def label(self) -> str:
        """What results are kept under: the name, and behind a colon the template where it is another one."""
        return self.name if self.template_name == DEFAULT else f"{self.name}:{self.template_name}"

    @property
    def declared_metrics(self) -> tuple[str, ...]:
        """The primary metric first."""
        return tuple(dict.fromkeys((self.metric, *self.metrics)))

    @property
    def all_metrics(self) -> tuple[str, ...]:
        """The primary metric first, then those that the task declares, then those that a run asks for besides."""
        return tuple(dict.fromkeys((*self.declared_metrics, *self.extra_metrics)))

    def with_extra(self, names: Iterable[str], request: Request) -> Task:
        """The task with further metrics, those that can score requests like this one. Raises UnknownNameError."""
        asked = [as_metric(name) for name in names]
        found = [metric_registry()[one] if isinstance(one, str) else one for one in asked]
        all_right = AnyGreedy.name in self.declared_metrics or (
            isinstance(request, Choice) and len(request.continuations) == 1
        )
        fitting = [
            one
            for one in found
            if type(request) in one.requests and not one.needs_neutral and not (one.needs_wrong and all_right)
        ]
        own = (one for one in fitting if one.name not in metric_registry() and one.name not in self.all_metrics)
        extra = tuple(one.name for one in fitting)
        return self._with(own_metrics=(*self.own_metrics, *own), extra_metrics=extra)

    def metric_named(self, name: str) -> Metric:
        """The task's own metric, or gpteval's of this name. Raises UnknownNameError."""
        return next((metric for metric in self.own_metrics if metric.name == name), None) or metric_registry()[name]

    def by_choice(self) -> Task:
        """The task with the metrics that look at the chosen answer alone."""
        known = {*metric_registry(), *(metric.name for metric in self.own_metrics)}

        def seen(names: Iterable[str]) -> tuple[str, ...]:
            found = ((name in known and self.metric_named(name).of_choice) or name for name in names)
            return tuple(dict.fromkeys(found))

        metric, *others = seen(self.declared_metrics)
        return self._with(metric=metric, metrics=tuple(others), extra_metrics=seen(self.extra_metrics))


# While a plugin file is read: the faults of its tasks, with their lines.
_gathering: ContextVar[list[tuple[int, GptevalError]] | None] = ContextVar("gathering", default=None)


@contextmanager
def gathered(faults: list[tuple[int, GptevalError]]) -> Iterator[None]:
    """Put what is wrong with a task into ``faults``, in the place of raising it."""
    before = _gathering.set(faults)
    try:
        yield
    finally:
        _gathering.reset(before)


class _NoTask:
    """In the place of a task that could not be made, whose prompts are for nobody."""

    def template(self, *_: Any, **__: Any) -> Callable[[PromptFunction], PromptFunction]:
        return lambda prompt: prompt

    as_in = template


def task(
    *,
    family: Family,
    source: Source,
    metric: str | Metric,
    metrics: Iterable[str | Metric] = (),
    name: str | None = None,
    shots: int = 0,
    shots_from: str | None = None,
    shots_group: str | None = None,
    shots_may_repeat: bool = False,
    separator: str = "\n\n",
    preamble: str = "",
    prepare: Prepare | None = None,
    chance: float | None = None,
    cluster: str | None = None,
    licence: str = "",
    suites: Iterable[str] = (),
    profiles: Iterable[str] = (),
    answer: Taking | None = None,
    version: int = 1,
) -> Callable[[PromptFunction], Task]:
    """Turn a prompt function into a :class:`Task` named after it (or ``name``).

    The loader finds the task as a module-level name, or in a module-level list of tasks.
    The function's docstring is the task's description. A metric is a name,
    ``evaluate:NAME`` for a module of that library, or an object where it is the task's own.
    """
    asked = [_metric_of(one) for one in (metric, *metrics)]
    own = tuple(one for one in asked if isinstance(one, Metric))
    names = [one.name if isinstance(one, Metric) else one for one in asked]

    def decorate(prompt: PromptFunction) -> Task:
        try:
            return make(prompt)
        except GptevalError as error:
            gathering = _gathering.get()
            if gathering is None:
                raise
            gathering.append((prompt.__code__.co_firstlineno, error))
            return _NoTask()  # type: ignore[return-value]  # it only takes the decorators that follow

    def make(prompt: PromptFunction) -> Task:
        return Task(
            name=name or prompt.__name__,
            family=family,
            source=source,
            prompt=prompt,
            metric=names[0],
            metrics=tuple(names[1:]),
            own_metrics=own,
            shots=shots,
            shots_from=shots_from,
            shots_group=shots_group,
            shots_may_repeat=shots_may_repeat,
            separator=separator,
            preamble=preamble,
            prepare=prepare,
            chance=chance,
            cluster=cluster,
            licence=licence,
            suites=tuple(suites),
            profiles=tuple(profiles),
            answer=answer,
            version=version,
            description=" ".join((prompt.__doc__ or "").split()),
        )

    return decorate


def _metric_of(given: object) -> str | Metric:
    """A metric as a task file names or makes it; of a class, an object. Raises PluginError for what is none."""
    if isinstance(given, str):
        return as_metric(given)
    made = given() if isinstance(given, type) and issubclass(given, Metric) else given
    if not isinstance(made, Metric):
        raise PluginError(f"{given!r} is no metric", HOW_TO_SCORE)
    if not isinstance(getattr(made, "name", None), str):
        raise PluginError(f"the metric {type(made).__name__} has no name", HOW_TO_SCORE)
    return made

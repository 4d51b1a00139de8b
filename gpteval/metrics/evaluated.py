"""Any module of the ``evaluate`` library as a metric: ``evaluate:NAME`` or ``evaluate:NAME:KEY`` in a task file."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from numbers import Real
from pathlib import Path
from typing import Any

from gpteval.core.errors import PLUGIN_ERRORS, TaskError
from gpteval.core.outcomes import Generated, Outcome
from gpteval.core.types import Generate, Request
from gpteval.metrics.base import MeanMetric

PREFIX = "evaluate:"
# Modules of which less is better.
LOWER = ("wer", "cer", "ter", "character", "mse", "mae", "mape", "smape", "mase", "perplexity")
_OWN = Path(__file__).parent / "hf"


class EvaluateMetric(MeanMetric):
    """What a module gives for each generated text alone, as a mean over items.

    ``NAME`` is a module of the Hub, a folder, or one of gpteval's own (``gpteval_bleu``, ``gpteval_rouge``,
    ``gpteval_squad``); ``KEY`` which of its values, where it gives several. A metric of whole corpora, such as BLEU, is
    another number as a mean of single texts, and a note says so. Higher is better, but for the modules of ``LOWER``, or
    where ``higher_is_better`` says otherwise. An item that failed has no score.
    """

    scale = None
    requests = (Generate,)

    def __init__(self, name: str, *, higher_is_better: bool | None = None) -> None:
        self._module_name, colon, self._key = name.removeprefix(PREFIX).partition(":")
        module = Path(self._module_name).name
        if not module:
            raise TaskError(f"{name!r} names no module of evaluate", f"for example {PREFIX}wer")
        self.name = f"{PREFIX}{module}{colon}{self._key}"  # results hold no path of a machine
        self.higher_is_better = module not in LOWER if higher_is_better is None else higher_is_better

    @cached_property
    def _module(self) -> Any:
        import evaluate

        own = _OWN / self._module_name
        try:
            return evaluate.load(str(own) if own.is_dir() else self._module_name, keep_in_memory=True)
        except PLUGIN_ERRORS as error:  # of the Hub, of the module's own imports
            raise TaskError(
                f"the module {self._module_name} of evaluate cannot be loaded: {' '.join(str(error).split())[:200]}",
                "check its name and the network, or name a folder that holds it",
            ) from error

    @cached_property
    def _takes_several(self) -> bool:
        """Whether the module takes a list of references for a text; others, such as wer, take one."""
        import datasets

        forms = self._module.features if isinstance(self._module.features, list) else [self._module.features]
        return any(not isinstance(form["references"], datasets.Value) for form in forms)

    def score(self, request: Request, outcome: Outcome) -> float:
        """Against all references at once, or against the one that it fits best where the module takes one."""
        assert isinstance(request, Generate)
        assert isinstance(outcome, Generated)
        asked: list[Any] = [list(request.references)] if self._takes_several else list(request.references)
        values = [self._value(outcome.text.strip(), one) for one in asked]
        return max(values) if self.higher_is_better else min(values)

    def _value(self, text: str, references: Any) -> float:
        found = self._module.compute(predictions=[text], references=[references]) or {}
        single = {
            key: value[0] if isinstance(value, list) and len(value) == 1 else value for key, value in found.items()
        }
        numbers = {key: float(value) for key, value in single.items() if isinstance(value, Real)}
        if self._key not in numbers and (self._key or len(numbers) != 1):
            given = ", ".join(numbers) or "no number"
            raise TaskError(
                f"the module {self._module_name} gives {given}, not {self._key or 'one value'}",
                f"name one: {PREFIX}{self._module_name}:{next(iter(numbers), 'KEY')}",
            )
        return numbers[self._key] if self._key else next(iter(numbers.values()))

    def failed(self, request: Request) -> tuple[float, ...] | None:
        return None

    def notes(self, requests: Sequence[Request]) -> tuple[str, ...]:
        better = "higher" if self.higher_is_better else "lower"
        return (f"{self.name} is the mean of what the module gives for each text alone; {better} is taken as better",)

    def signature(self, requests: Sequence[Request]) -> str:
        from importlib.metadata import version

        return f"evaluate-{version('evaluate')}|{Path(self._module_name).name}"


def as_metric(metric: str) -> str | EvaluateMetric:
    """A metric of a task file: its name, or the module of ``evaluate`` that it names."""
    return EvaluateMetric(metric) if metric.startswith(PREFIX) else metric

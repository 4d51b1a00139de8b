"""gpteval compares GPT generations: the same items through every model, with error bars.

The names below are the public Python API; they are imported on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gpteval.comparison.compare import compare
    from gpteval.core.errors import GptevalError
    from gpteval.core.types import Choice, Generate, Item, Rolling
    from gpteval.data.sources import file, generated, hub, sacrebleu_set
    from gpteval.experiments.fewshot import fewshot
    from gpteval.experiments.judging import preferences
    from gpteval.metrics.base import MeanMetric, Metric
    from gpteval.report.frames import figure, known_models, known_tasks, page, samples, table
    from gpteval.run.bars import Bars
    from gpteval.run.evaluate import evaluate
    from gpteval.tasks.task import Task, task

__version__: str

_HOMES = {
    "Bars": "gpteval.run.bars",
    "Choice": "gpteval.core.types",
    "Generate": "gpteval.core.types",
    "GptevalError": "gpteval.core.errors",
    "Item": "gpteval.core.types",
    "MeanMetric": "gpteval.metrics.base",
    "Metric": "gpteval.metrics.base",
    "Rolling": "gpteval.core.types",
    "Task": "gpteval.tasks.task",
    "compare": "gpteval.comparison.compare",
    "evaluate": "gpteval.run.evaluate",
    "fewshot": "gpteval.experiments.fewshot",
    "figure": "gpteval.report.frames",
    "file": "gpteval.data.sources",
    "generated": "gpteval.data.sources",
    "hub": "gpteval.data.sources",
    "known_models": "gpteval.report.frames",
    "known_tasks": "gpteval.report.frames",
    "page": "gpteval.report.frames",
    "preferences": "gpteval.experiments.judging",
    "sacrebleu_set": "gpteval.data.sources",
    "samples": "gpteval.report.frames",
    "table": "gpteval.report.frames",
    "task": "gpteval.tasks.task",
}

__all__ = [
    "Bars",
    "Choice",
    "Generate",
    "GptevalError",
    "Item",
    "MeanMetric",
    "Metric",
    "Rolling",
    "Task",
    "__version__",
    "compare",
    "evaluate",
    "fewshot",
    "figure",
    "file",
    "generated",
    "hub",
    "known_models",
    "known_tasks",
    "page",
    "preferences",
    "sacrebleu_set",
    "samples",
    "table",
    "task",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        found = globals()[name] = _version()  # asked for once
        return found
    if name not in _HOMES:
        raise AttributeError(f"module 'gpteval' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("gpteval")
    except PackageNotFoundError:  # a checkout that was never installed
        return "0+unknown"

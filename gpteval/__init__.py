"""gpteval compares GPT generations: the same items through every model, with error bars.

The names below are the public Python API; they are imported on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gpteval.compare.comparison import compare
    from gpteval.core.data import file, generated, hub, sacrebleu_set
    from gpteval.core.errors import GptevalError
    from gpteval.core.task import Task, task
    from gpteval.core.types import Choice, Generate, Item, Rolling
    from gpteval.experiments.fewshot import fewshot
    from gpteval.metrics.base import Metric
    from gpteval.run.api import evaluate

__version__: str

_HOMES = {
    "Choice": "gpteval.core.types",
    "Generate": "gpteval.core.types",
    "GptevalError": "gpteval.core.errors",
    "Item": "gpteval.core.types",
    "Metric": "gpteval.metrics.base",
    "Rolling": "gpteval.core.types",
    "Task": "gpteval.core.task",
    "evaluate": "gpteval.run.api",
    "fewshot": "gpteval.experiments.fewshot",
    "file": "gpteval.core.data",
    "generated": "gpteval.core.data",
    "hub": "gpteval.core.data",
    "sacrebleu_set": "gpteval.core.data",
    "task": "gpteval.core.task",
}

__all__ = [
    "Choice",
    "Generate",
    "GptevalError",
    "Item",
    "Metric",
    "Rolling",
    "Task",
    "__version__",
    "compare",
    "evaluate",
    "fewshot",
    "file",
    "generated",
    "hub",
    "sacrebleu_set",
    "task",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return _version()
    if name == "compare":  # a package that can be called
        return import_module("gpteval.compare")
    if name not in _HOMES:
        raise AttributeError(f"module 'gpteval' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("gpteval")
    except PackageNotFoundError:  # a checkout that was never installed
        return "0+unknown"

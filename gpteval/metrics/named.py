"""All metrics by name: the package's own, and those of entry points ``gpteval.metrics``."""

from __future__ import annotations

from functools import cache

from gpteval.core.plugins import Registry
from gpteval.metrics.base import Metric
from gpteval.metrics.benchmarks import GROUP_METRICS
from gpteval.metrics.calibration import CALIBRATION_METRICS
from gpteval.metrics.choice import ACCURACIES, AnyGreedy, GreedyAccuracy, MacroF1, MatthewsCorrelation, TargetPerplexity
from gpteval.metrics.generated import GENERATION_METRICS
from gpteval.metrics.graded import GRADED_METRICS
from gpteval.metrics.lm import TEXT_METRICS
from gpteval.metrics.numeric import NUMBER_METRICS
from gpteval.metrics.repeated import REPEAT_METRICS


@cache
def metric_registry() -> Registry[Metric]:
    """Every metric. Looking an unknown one up raises UnknownNameError with the nearest names."""
    own = [GreedyAccuracy(), AnyGreedy(), TargetPerplexity(), MacroF1(), MatthewsCorrelation()]
    graded = [*GRADED_METRICS, *CALIBRATION_METRICS]
    return Registry(
        "metric",
        [
            *ACCURACIES,
            *own,
            *TEXT_METRICS,
            *GENERATION_METRICS,
            *NUMBER_METRICS,
            *REPEAT_METRICS,
            *graded,
            *GROUP_METRICS,
        ],
    )

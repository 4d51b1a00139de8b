"""Groups: suites of tasks that have one number together, beside their own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gpteval.core.types import Family


@dataclass(frozen=True)
class Group:
    """The tasks of suite ``name`` as one result, named like the suite, with an interval that comes from their items.

    ``metric`` names a mean over the tasks (``gpteval.metrics.benchmarks``). Empty: the tasks are the parts of one
    benchmark, and all their items together are scored by the metric that they share.
    """

    name: str
    family: Family
    description: str
    metric: str = ""

    @property
    def of_parts(self) -> bool:
        """Whether the tasks are parts of one benchmark, which stands for them in means and tables."""
        return not self.metric


GROUPS: Mapping[str, Group] = {
    group.name: group
    for group in (
        Group("mmlu", "qa", "All questions of MMLU's 57 exams (Hendrycks et al. 2021)."),
        Group("arithmetic", "qa", "All problems of GPT-3's ten arithmetic tests (Brown et al. 2020)."),
        Group("unscramble", "qa", "All words of five tests with shuffled letters, GPT-3's rules (Brown et al. 2020)."),
        Group("glue", "classification", "Mean over GLUE's tasks (Wang et al. 2018).", "glue_score"),
        Group("superglue", "classification", "Mean over SuperGLUE's tasks (Wang et al. 2019).", "superglue_score"),
    )
}

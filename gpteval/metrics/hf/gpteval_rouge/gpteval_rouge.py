"""ROUGE F1 with the Porter stemmer and words of any script, 0..1."""

from __future__ import annotations

from collections.abc import Sequence

import datasets
import evaluate

from gpteval.metrics.hf import score_texts

CITATION = "Lin 2004, ROUGE: A Package for Automatic Evaluation of Summaries"


class RougeModule(evaluate.Metric):  # type: ignore[misc]
    """``rouge1``, ``rouge2``, ``rougeL`` and ``rougeLsum``, against the best reference, mean over items."""

    def _info(self) -> evaluate.MetricInfo:
        text = datasets.Value("string")
        return evaluate.MetricInfo(
            description=__doc__,
            citation=CITATION,
            inputs_description="predictions: texts; references: a text, or a list of texts, for each",
            features=[
                datasets.Features({"predictions": text, "references": datasets.List(text)}),
                datasets.Features({"predictions": text, "references": text}),
            ],
        )

    def _compute(self, predictions: Sequence[str], references: Sequence[str | Sequence[str]]) -> dict[str, float]:
        return score_texts(("rouge1", "rouge2", "rougeL", "rougeLsum"), predictions, references)

"""Exact match and word F1 with SQuAD's normalisation, of any script, 0..1."""

from __future__ import annotations

from collections.abc import Sequence

import datasets
import evaluate

from gpteval.metrics.hf import score_texts

CITATION = "Rajpurkar et al. 2016, SQuAD: 100,000+ Questions for Machine Comprehension of Text"


class SquadModule(evaluate.Metric):  # type: ignore[misc]
    """``exact_match`` and ``f1``, against the best reference, mean over items."""

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
        return score_texts(("exact_match", "f1"), predictions, references)

"""BLEU and chrF as sacreBLEU's defaults give them, 0..100."""

from __future__ import annotations

from collections.abc import Sequence

import datasets
import evaluate

from gpteval.metrics.hf import score_texts

CITATION = "Post 2018, A Call for Clarity in Reporting BLEU Scores; Popovic 2015, chrF"


class BleuModule(evaluate.Metric):  # type: ignore[misc]
    """``bleu`` and ``chrf`` of the whole corpus; texts may differ in their number of references."""

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
        return score_texts(("bleu", "chrf"), predictions, references)

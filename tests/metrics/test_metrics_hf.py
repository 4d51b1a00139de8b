"""The modules for the evaluate library, loaded by path without network."""

from __future__ import annotations

import pytest

from gpteval.core.errors import UnknownNameError
from gpteval.metrics.hf import metric_path, score_texts

TEXTS = ["The cat sat.", "Привет, мир!"]
REFERENCES = [["A dog ran.", "the cat sat"], ["Привет мир", "Пока"]]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("gpteval_squad", {"exact_match": 1.0, "f1": 1.0}),
        ("gpteval_rouge", {"rouge1": 1.0, "rouge2": 1.0, "rougeL": 1.0, "rougeLsum": 1.0}),
    ],
)
def test_modules_load_by_path_and_take_the_best_reference(name: str, expected: dict[str, float]) -> None:
    import evaluate

    module = evaluate.load(metric_path(name), keep_in_memory=True)
    assert module.compute(predictions=TEXTS, references=REFERENCES) == pytest.approx(expected)


def test_bleu_equals_sacrebleu_with_one_reference_as_plain_text() -> None:
    import evaluate
    import sacrebleu

    references = [one for _, one in REFERENCES]
    module = evaluate.load(metric_path("gpteval_bleu"), keep_in_memory=True)
    module.add_batch(predictions=TEXTS, references=references)
    found = module.compute()
    assert found["bleu"] == pytest.approx(sacrebleu.corpus_bleu(TEXTS, [references]).score)
    assert found["chrf"] == pytest.approx(sacrebleu.corpus_chrf(TEXTS, [references]).score)


def test_texts_and_references_must_pair_up() -> None:
    with pytest.raises(ValueError, match="shorter"):
        score_texts(["f1"], TEXTS, ["one"])


def test_an_unknown_module_names_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="gpteval_rouge"):
        metric_path("gpteval_rogue")

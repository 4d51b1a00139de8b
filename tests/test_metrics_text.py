"""Texts in any script, one corpus or many resamples of it, and metrics that load nothing early."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

from gpteval.core.types import Generate, Generated
from gpteval.metrics.intervals import bootstrap
from gpteval.metrics.registry import metric_registry
from gpteval.metrics.text import normalise_answer

METRICS = metric_registry()
LANGUAGES = [
    ("The committee will meet again on Monday.", ["The committee meets again on Monday."]),
    ("Le comité se réunira à nouveau lundi.", ["Le comité se réunit de nouveau lundi."]),
    ("Комитет снова соберётся в понедельник.", ["Комитет соберётся снова в понедельник."]),
    ("委员会星期一再次开会。", ["委员会将在星期一再次开会。"]),
    ("", ["Nothing at all."]),
    ("समिति सोमवार को फिर मिलेगी।", ["समिति सोमवार को दोबारा मिलेगी।"]),
]


def score(name: str, text: str, *references: str) -> float:
    return METRICS[name].stats(Generate("p", references), Generated(text, "stop", 1))[0]


@pytest.mark.parametrize("name", ["bleu", "chrf"])
def test_a_resample_has_sacrebleus_score_of_its_items(name: str) -> None:
    import sacrebleu

    corpus_score = {"bleu": sacrebleu.corpus_bleu, "chrf": sacrebleu.corpus_chrf}[name]
    metric = METRICS[name]
    stats = np.array([metric.stats(Generate("p", refs), Generated(text, "stop", 1)) for text, refs in LANGUAGES])
    counts = np.random.default_rng(2).multinomial(len(stats), [1 / len(stats)] * len(stats), size=5)
    for row, value in zip(counts, metric.value(counts.astype(float) @ stats), strict=True):
        picked = [pair for pair, times in zip(LANGUAGES, row, strict=True) for _ in range(times)]
        expected = corpus_score([text for text, _ in picked], [[refs[0] for _, refs in picked]]).score
        assert value == pytest.approx(expected, abs=1e-9)
    assert np.isfinite(bootstrap(metric, stats, seed=0, draws=20)).all()


def test_chrf_takes_the_best_reference_of_each_segment() -> None:
    import sacrebleu

    texts = ["the cat sat", "dogs run"]
    streams = [["the cat sat", "cats sleep"], ["a bird flew", "dogs run"]]
    references = list(zip(*streams, strict=True))
    sums = np.sum(
        [
            METRICS["chrf"].stats(Generate("p", r), Generated(t, "stop", 1))
            for t, r in zip(texts, references, strict=True)
        ],
        axis=0,
    )
    assert METRICS["chrf"].value(sums) == pytest.approx(sacrebleu.corpus_chrf(texts, streams).score)
    assert METRICS["chrf"].value(sums) == pytest.approx(100.0)


def test_accents_written_as_marks_are_the_same_letters() -> None:
    composed, decomposed = "\u00e0 l'\u00e9t\u00e9", "a\u0300 l'e\u0301te\u0301"
    assert normalise_answer(decomposed) == normalise_answer(composed) == "\u00e0 l\u00e9t\u00e9"  # no article "a" in it
    for name in ("exact_match", "f1", "rouge1", "rougeL"):
        assert score(name, decomposed, composed) == pytest.approx(1.0), name


def test_vowel_marks_do_not_cut_words() -> None:
    assert score("rouge1", "हिन्दी भाषा", "हिन्द भाषा") == pytest.approx(0.5)  # one of two words


def test_chinese_sentences_are_told_apart_for_rouge_lsum() -> None:
    assert score("rougeLsum", "狗在跑。我喜欢猫。", "我喜欢猫。狗在跑。") == pytest.approx(1.0)
    assert score("rougeL", "狗在跑。我喜欢猫。", "我喜欢猫。狗在跑。") < 1.0


@pytest.mark.parametrize("name", ["exact_match", "f1", "bleu", "chrf", "rouge1", "rouge2", "rougeL", "rougeLsum"])
def test_an_empty_text_scores_zero_as_a_failed_item_does(name: str) -> None:
    metric, request = METRICS[name], Generate("p", ["some reference"])
    for text in ("", "  \n"):
        stats = metric.stats(request, Generated(text, "eos", 0))
        assert float(metric.value(np.array(stats))) == 0.0
    assert metric.failed(request) == pytest.approx(metric.stats(request, Generated("", "eos", 0)))


def test_listing_metrics_loads_no_metric_library() -> None:
    code = (
        "import json, sys; from gpteval.metrics.registry import metric_registry; metric_registry(); "
        "heavy = {'sacrebleu', 'rouge_score', 'nltk', 'evaluate', 'scipy', 'torch'}; "
        "print(json.dumps(sorted(heavy & set(sys.modules))))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []

"""Texts in any script, one corpus or many resamples of it, and metrics that load nothing early."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from gpteval.core.outcomes import Generated
from gpteval.core.types import Generate
from gpteval.metrics.generated import bleu_tokenizer, first_sentences, normalise_answer
from gpteval.metrics.named import metric_registry
from gpteval.stats.jackknife import pseudo_values
from tests import forks

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
    assert np.isfinite(pseudo_values(metric, stats).values).all()


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
        "import json, sys; from gpteval.metrics.named import metric_registry; metric_registry(); "
        "heavy = {'sacrebleu', 'rouge_score', 'nltk', 'evaluate', 'scipy', 'torch'}; "
        "print(json.dumps(sorted(heavy & set(sys.modules))))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []


LINES = {
    "zh": (
        ["今天下雨了，我们待在家里。", "他打开了那扇红色的门。", "2021年有3个人。"],
        ["今天下雨，我们留在家里。", "他打开了红门。", "2021年有三个人。"],
    ),
    "ja": (
        ["今日は雨が降っています。", "彼は赤いドアを開けた。"],
        ["今日は雨が降りました。", "彼はそのドアを開けた。"],
    ),
    "ko": (["오늘은 비가 옵니다.", "그는 문을 열었다."], ["오늘 비가 왔습니다.", "그는 빨간 문을 열었다."]),
    "en": (["It rains today, Mr. 王.", "He opened the door."], ["It rained today, Mr. 王.", "He opened a door."]),
}


@pytest.mark.parametrize("language", LINES)
def test_bleu_has_sacrebleus_words_for_the_references_language(language: str, tmp_path: Path) -> None:
    texts, references = LINES[language]
    requests = [Generate("x", [reference]) for reference in references]
    metric = metric_registry()["bleu"].for_texts(requests)
    tokenize = {"zh": "zh", "en": "13a"}.get(language) or bleu_tokenizer("".join(references))
    assert tokenize in {"zh": {"zh"}, "en": {"13a"}, "ja": {"ja-mecab", "char"}, "ko": {"ko-mecab", "char"}}[language]
    for name, lines in (("texts", texts), ("references", references)):
        (tmp_path / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    command = [sys.executable, "-m", "sacrebleu", str(tmp_path / "references"), "-i", str(tmp_path / "texts")]
    done = forks.run([*command, "-tok", str(tokenize), "-b", "-w", "6"], check=True)
    stats = [metric.stats(r, Generated(t, "stop", 1)) for r, t in zip(requests, texts, strict=True)]
    assert float(metric.value(np.array(stats).sum(0))) == pytest.approx(float(done.stdout), abs=1e-5)
    assert f"tok:{tokenize}" in metric.signature(requests)
    assert metric.name == "bleu"


@pytest.mark.parametrize(
    ("text", "count", "kept"),
    [
        ("One. Two! Three? Four.", 3, "One. Two! Three?"),
        ("One. Two", 3, "One. Two"),
        ("Mr. A. went", 1, "Mr."),
        ("One\nTwo\nThree", 2, "One\nTwo\nThree"),
        ("一。二！三？四。", 2, "一。二！"),
        ("", 3, ""),
    ],
)
def test_the_first_sentences(text: str, count: int, kept: str) -> None:
    assert first_sentences(text, count) == kept
    rouge = metric_registry()["rouge1"]
    asked, whole = Generate("x", [kept or "y"], sentences=count), Generate("x", [kept or "y"])
    cut = rouge.stats(asked, Generated(text, "stop", 1))
    assert cut == rouge.stats(whole, Generated(kept, "stop", 1)), "the metric sees no more"

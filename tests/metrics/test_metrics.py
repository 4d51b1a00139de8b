"""Metrics against independent sources: sacreBLEU's command line, scikit-learn, rouge-score, hand-made cases."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpteval.core.blocks import block_sizes
from gpteval.core.outcomes import Generated, Rolled, Score, Scored
from gpteval.core.types import Choice, Generate, Rolling
from gpteval.metrics.base import Metric
from gpteval.metrics.choice import prediction
from gpteval.metrics.generated import normalise_answer
from gpteval.metrics.named import metric_registry
from tests import forks

METRICS = metric_registry()


def scored(*logprobs: float, tokens: tuple[int, ...] = (), neutral: tuple[float, ...] = ()) -> Scored:
    counts = tokens or (1,) * len(logprobs)
    scores = tuple(Score(lp, n, False) for lp, n in zip(logprobs, counts, strict=True))
    return Scored(scores, tuple(Score(lp, 1, False) for lp in neutral))


def generated(text: str) -> Generated:
    return Generated(text, "stop", 3)


def corpus(metric: Metric, pairs: list[tuple[str, list[str]]]) -> float:
    stats = [metric.stats(Generate("p", refs), generated(text)) for text, refs in pairs]
    return float(metric.value(np.sum(stats, axis=0)))


class TestChoice:
    def test_each_normalisation_can_choose_differently(self) -> None:
        # nine characters in two tokens; two characters of two bytes each in one token; four plain ones
        request = Choice("q", [" long text", " éé", " four"], gold=0)
        outcome = scored(-9.0, -3.0, -4.2, tokens=(9, 1, 1), neutral=(-20.0, -1.0, -2.0))
        won = {name: METRICS[name].stats(request, outcome)[0] for name in METRICS if name.startswith("acc")}
        assert won["acc"] == 0.0  # -3 is the largest sum
        assert won["acc_token"] == 1.0  # -1 a token
        assert won["acc_char"] == 1.0  # -9/9 against -3/2 and -4.2/4
        assert won["acc_byte"] == 0.0  # -9/9 against -3/4
        assert won["acc_uncond"] == 1.0  # gains 11

    def test_the_leading_space_is_not_measured(self) -> None:
        spaced, bare = Choice("q", [" ab", " abc"], 0), Choice("q", ["ab", "abc"], 0)
        outcome = scored(-2.0, -3.01)
        assert METRICS["acc_char"].stats(spaced, outcome) == METRICS["acc_char"].stats(bare, outcome) == (1.0, 1.0)

    def test_ties_go_to_the_lowest_index(self) -> None:
        request = Choice("q", [" a", " b", " c"], gold=1)
        assert prediction(request, scored(-2.0, -1.0, -1.0)) == 1
        assert METRICS["acc"].stats(request, scored(-1.0, -1.0, -1.0)) == (0.0, 1.0)

    def test_chance_is_the_mean_of_one_over_the_choices(self) -> None:
        requests = [Choice("q", [" a", " b"], 0), Choice("q", [" a", " b", " c", " d"], 0)]
        assert METRICS["acc"].chance(requests) == pytest.approx(0.375)
        assert METRICS["mcc"].chance(requests) == 0.0

    def test_a_failed_item_is_wrong(self) -> None:
        request = Choice("q", [" a", " b"], gold=1)
        assert METRICS["acc"].failed(request) == (0.0, 1.0)
        right = METRICS["mcc"].stats(request, scored(-2.0, -1.0))
        failed = METRICS["macro_f1"].failed(request)
        assert failed is not None
        assert METRICS["macro_f1"].value(np.add(right, failed)) == pytest.approx(2 / 3)  # recall 1/2, precision 1

    def test_lambadas_metrics(self) -> None:
        request = Choice("q", [" word"], 0)
        outcomes = [Scored((Score(-1.0, 2, True),)), Scored((Score(-3.0, 1, False),))]
        greedy = np.sum([METRICS["acc_greedy"].stats(request, o) for o in outcomes], axis=0)
        assert METRICS["acc_greedy"].value(greedy) == 0.5
        perplexity = np.sum([METRICS["target_perplexity"].stats(request, o) for o in outcomes], axis=0)
        assert METRICS["target_perplexity"].value(perplexity) == pytest.approx(math.exp(2.0))


@settings(max_examples=60, deadline=None)
@given(st.data(), st.integers(2, 5))
def test_macro_f1_and_mcc_equal_scikit_learn(data: st.DataObject, classes: int) -> None:
    from sklearn.metrics import f1_score, matthews_corrcoef

    label = st.integers(0, classes - 1)
    pairs = data.draw(st.lists(st.tuples(label, label), min_size=1, max_size=30))
    options = [f" {n}" for n in range(classes)]
    stats = []
    for gold, predicted in pairs:
        logprobs = [-1.0 if n == predicted else -2.0 for n in range(classes)]
        stats.append(METRICS["macro_f1"].stats(Choice("q", options, gold), scored(*logprobs)))
    sums = np.sum(stats, axis=0)
    gold_labels, predicted_labels = zip(*pairs, strict=True)
    expected = f1_score(gold_labels, predicted_labels, average="macro", zero_division=0)
    assert METRICS["macro_f1"].value(sums) == pytest.approx(expected)
    assert METRICS["mcc"].value(sums) == pytest.approx(matthews_corrcoef(gold_labels, predicted_labels), abs=1e-9)


class TestTexts:
    def test_ratios_of_sums_over_the_original_text(self) -> None:
        texts = [Rolling("a b", original="a  béé"), Rolling("xyz")]
        outcomes = [Rolled(-4.0, 2), Rolled(-2.0, 1)]
        sums = np.sum([METRICS["bits_per_byte"].stats(t, o) for t, o in zip(texts, outcomes, strict=True)], axis=0)
        assert METRICS["token_perplexity"].value(sums) == pytest.approx(math.exp(6 / 3))
        assert METRICS["word_perplexity"].value(sums) == pytest.approx(math.exp(6 / 3))
        assert METRICS["byte_perplexity"].value(sums) == pytest.approx(math.exp(6 / 11))  # 8 bytes and 3
        assert METRICS["bits_per_byte"].value(sums) == pytest.approx(6 / 11 / math.log(2))
        assert METRICS["tokens_per_byte"].value(sums) == pytest.approx(3 / 11)

    @pytest.mark.parametrize(
        ("text", "words", "of_the_peer"),
        [
            (" a b \n", 2, 4),
            ("a b", 2, 2),
            ("a b\n", 2, 3),
            ("  \n ", 0, 2),
            ("\u2003é\u00a0中\u200bx\x1fy\n\n", 3, 5),
            ("a", 1, 1),
        ],
    )
    def test_words_are_what_stands_between_white_space(self, text: str, words: int, of_the_peer: int) -> None:
        """The peer counts an empty one beyond white space at an end, too."""
        metric = METRICS["word_perplexity"]
        for blanks, expected in ((False, words), (True, of_the_peer)):
            request = Rolling(text, blanks=blanks)
            stats = metric.stats(request, Rolled(-1.0, 1))
            assert stats[2] == expected
            assert sum(n for n, _ in block_sizes(text, text, blanks=blanks)) == expected
            assert bool([note for note in metric.notes([request]) if "lm-evaluation-harness" in note]) == blanks
        assert math.isnan(metric.value(np.array(metric.stats(Rolling(" "), Rolled(-1.0, 1)))))

    def test_an_overflowing_perplexity_is_infinite_without_a_warning(self) -> None:
        assert METRICS["word_perplexity"].value(np.array([1e6, 1.0, 1.0, 1.0])) == math.inf


TRANSLATIONS = [
    ("The cat sat on the mat, quietly.", "The cat sat quietly on the mat."),
    ("Der Hund läuft über die Straße", "Ein Hund läuft schnell über die Straße."),
    ("", "Nothing was said."),
    ("L'été dernier, j'ai vu « la mer ».", "L'été dernier j'ai vu la mer."),
    ("Привет, мир! Как дела?", "Привет мир, как дела?"),
    ("exactly the same sentence here .", "exactly the same sentence here ."),
]


@pytest.mark.parametrize("name", ["bleu", "chrf"])
def test_bleu_and_chrf_equal_sacrebleus_command_line(name: str, tmp_path: Path) -> None:
    (tmp_path / "hyp").write_text("\n".join(h for h, _ in TRANSLATIONS) + "\n", encoding="utf-8")
    (tmp_path / "ref").write_text("\n".join(r for _, r in TRANSLATIONS) + "\n", encoding="utf-8")
    command = [sys.executable, "-m", "sacrebleu", "ref", "-i", "hyp", "-m", name, "-b", "-w", "6"]
    done = forks.run(command, cwd=tmp_path, check=True)
    assert corpus(METRICS[name], [(h, [r]) for h, r in TRANSLATIONS]) == pytest.approx(float(done.stdout), abs=1e-5)


def test_several_references_equal_sacrebleus_own_corpus_score() -> None:
    import sacrebleu

    pairs = [(h, [r, r.upper() + " !"]) for h, r in TRANSLATIONS]
    streams = [[refs[n] for _, refs in pairs] for n in range(2)]
    hypotheses = [h for h, _ in pairs]
    assert corpus(METRICS["bleu"], pairs) == pytest.approx(sacrebleu.corpus_bleu(hypotheses, streams).score)
    assert corpus(METRICS["chrf"], pairs) == pytest.approx(sacrebleu.corpus_chrf(hypotheses, streams).score)


def test_the_signature_is_sacrebleus() -> None:
    one, several = Generate("p", ["a"]), Generate("p", ["a", "b"])
    assert METRICS["bleu"].signature([one, one]).startswith("nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:")
    assert METRICS["chrf"].signature([several]).startswith("nrefs:2|case:mixed|eff:yes|nc:6|nw:0|space:no|version:")


def test_a_varying_number_of_references_is_signed_so() -> None:
    requests = [Generate("p", ["a"]), Generate("p", ["a", "b"])]
    assert METRICS["bleu"].signature(requests).startswith("nrefs:var|")


def test_a_failed_translation_counts_as_an_empty_one() -> None:
    request = Generate("p", ["a reference of five words"])
    assert METRICS["bleu"].failed(request) == METRICS["bleu"].stats(request, generated(""))


class TestAnswers:
    @pytest.mark.parametrize(
        ("text", "reference", "exact", "f1"),
        [
            ("The  Cat!", "cat", 1, 1),
            ("a cat and a dog", "the cat", 0, 0.5),
            ("", "cat", 0, 0),
            ("the", "a", 0, 0),  # both would be empty once articles are gone
            ("São Paulo.", "são paulo", 1, 1),
            ("«Москва»", "москва", 0, 0),  # only ASCII punctuation is removed
            ("Москва!", "москва", 1, 1),
            ("U.S.", "US", 1, 1),
            ("don't", "dont", 1, 1),
        ],
    )
    def test_squads_rules(self, text: str, reference: str, exact: float, f1: float) -> None:
        request, outcome = Generate("p", [reference]), generated(text)
        assert METRICS["exact_match"].stats(request, outcome)[0] == exact
        assert METRICS["f1"].stats(request, outcome)[0] == pytest.approx(f1)

    def test_the_best_reference_counts(self) -> None:
        request = Generate("p", ["dog", "big black cat"])
        assert METRICS["f1"].stats(request, generated("black cat"))[0] == pytest.approx(0.8)

    def test_normalisation_removes_what_squads_script_removes(self) -> None:
        import string

        assert normalise_answer(f"A{string.punctuation}b the an C") == "ab c"


class TestRouge:
    PAIRS = (
        ("Anna opened a shop in Dorvale.", "Anna Bell has opened a new shop."),
        ("the dogs were running quickly", "a dog runs quick"),
        ("", "something"),
        ("First line here.\nSecond one follows.", "Second one follows.\nFirst line there."),
    )

    @pytest.mark.parametrize("name", ["rouge1", "rouge2", "rougeL", "rougeLsum"])
    def test_ascii_equals_rouge_score(self, name: str) -> None:
        from rouge_score.rouge_scorer import RougeScorer

        theirs = RougeScorer([name], use_stemmer=True)
        for text, reference in self.PAIRS:
            ours = METRICS[name].stats(Generate("p", [reference]), generated(text))[0]
            split = (lambda t: t if "\n" in t else t.replace(". ", ".\n")) if name == "rougeLsum" else (lambda t: t)
            assert ours == pytest.approx(theirs.score(split(reference), split(text))[name].fmeasure)

    @pytest.mark.parametrize("text", ["Привет мир", "été à Noël", "我喜欢猫", "ελληνικά λόγια", "naïve Zoë"])
    def test_equal_texts_of_any_script_score_one(self, text: str) -> None:
        for name in ("rouge1", "rougeL", "rougeLsum"):
            assert METRICS[name].stats(Generate("p", [text]), generated(text))[0] == pytest.approx(1.0)

    def test_different_texts_of_other_scripts_do_not(self) -> None:
        assert METRICS["rouge1"].stats(Generate("p", ["Привет мир"]), generated("Добрый день"))[0] == 0.0
        assert METRICS["rouge1"].stats(Generate("p", ["我喜欢猫"]), generated("我喜欢狗"))[0] == pytest.approx(0.75)

    def test_lsum_splits_one_line_into_sentences(self) -> None:
        request = Generate("p", ["One thing happened. Then another did."])
        swapped = generated("Then another did. One thing happened.")
        assert METRICS["rougeLsum"].stats(request, swapped)[0] == pytest.approx(1.0)
        assert METRICS["rougeL"].stats(request, swapped)[0] < 0.7


def test_every_metric_says_what_it_is() -> None:
    for metric in METRICS.values():
        assert metric.__doc__ or type(metric).__doc__
        assert metric.kind in ("binary", "mean", "ratio")


def test_a_metric_of_another_request_is_a_clear_error() -> None:
    with pytest.raises(TypeError, match="Choice requests, not Rolling"):
        METRICS["acc"].stats(Rolling("x"), Rolled(-1.0, 1))

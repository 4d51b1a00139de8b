"""Class metrics with failed items, and what guessing gives."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpteval.core.errors import NotAvailable
from gpteval.core.outcomes import Score, Scored
from gpteval.core.types import Choice
from gpteval.metrics.base import Floats
from gpteval.metrics.named import metric_registry

METRICS = metric_registry()
FAILED = -1


def request(gold: int, classes: int) -> Choice:
    return Choice("q", [f" {n}" for n in range(classes)], gold)


def sums(pairs: list[tuple[int, int]], classes: int) -> Floats:
    """Summed statistics of (gold, predicted) pairs; a prediction may have FAILED."""
    rows = []
    for gold, predicted in pairs:
        one = request(gold, classes)
        if predicted == FAILED:
            rows.append(METRICS["mcc"].failed(one))
        else:
            scores = tuple(Score(-1.0 if n == predicted else -2.0, 1, False) for n in range(classes))
            rows.append(METRICS["mcc"].stats(one, Scored(scores)))
    return np.sum(np.array(rows, dtype=float), axis=0)


@settings(max_examples=40, deadline=None)
@given(st.data(), st.integers(2, 4))
def test_a_failed_item_is_a_prediction_of_no_class(data: st.DataObject, classes: int) -> None:
    from sklearn.metrics import f1_score, matthews_corrcoef

    gold = st.integers(0, classes - 1)
    predicted = st.integers(FAILED, classes - 1)
    pairs = data.draw(st.lists(st.tuples(gold, predicted), min_size=1, max_size=30))
    true, guess = (list(side) for side in zip(*pairs, strict=True))
    labels = sorted({*true, *guess} - {FAILED})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn warns of a single label
        correlation = matthews_corrcoef(true, guess)
        f1 = f1_score(true, guess, labels=labels, average="macro", zero_division=0)
    found = sums(pairs, classes)
    assert METRICS["mcc"].value(found) == pytest.approx(correlation, abs=1e-9)
    assert METRICS["macro_f1"].value(found) == pytest.approx(f1)


def test_a_batch_of_resamples_gives_the_values_of_each() -> None:
    batch = np.stack([sums([(0, 0), (1, 0), (2, 2)], 3), sums([(0, 1), (1, 1), (1, FAILED)], 3)])
    for name in ("macro_f1", "mcc"):
        metric = METRICS[name]
        assert metric.value(batch) == pytest.approx([float(metric.value(row)) for row in batch])


@pytest.mark.parametrize("golds", [[0, 1] * 1000, [0] * 1700 + [1] * 300, [0, 1, 2] * 700, [1] * 1500])
def test_macro_f1_of_guessing_is_what_guesses_get(golds: list[int]) -> None:
    classes = max(golds) + 1
    chance = METRICS["macro_f1"].chance([request(gold, classes) for gold in golds])
    guesses = np.random.default_rng(0).integers(0, classes, (20, len(golds)))
    guessed = [METRICS["macro_f1"].value(sums(list(zip(golds, row, strict=True)), classes)) for row in guesses.tolist()]
    assert chance == pytest.approx(np.mean(guessed), abs=0.01)


def test_guessing_is_not_defined_without_choices_or_between_kinds_of_them() -> None:
    assert METRICS["acc"].chance([]) is None
    assert METRICS["macro_f1"].chance([]) is None
    assert METRICS["macro_f1"].chance([request(0, 2), request(0, 3)]) is None
    assert METRICS["acc_greedy"].chance([Choice("q", [" word"], 0)]) is None


def test_a_failed_item_is_wrong_for_accuracies_and_left_out_of_perplexity() -> None:
    one = request(0, 2)
    for name in ("acc", "acc_token", "acc_char", "acc_byte", "acc_uncond", "acc_greedy"):
        assert METRICS[name].failed(one) == (0.0, 1.0), name
    assert METRICS["target_perplexity"].failed(one) is None


def test_a_continuation_without_scored_tokens_is_not_divided_by_zero() -> None:
    outcome = Scored((Score(0.0, 0, False), Score(-1.0, 1, False)))
    assert METRICS["acc_token"].stats(request(0, 2), outcome) == (1.0, 1.0)


def test_what_a_server_does_not_tell() -> None:
    """Its answer counts, by each accuracy that asks of letters no more than which; the others are not made up."""
    letters = Choice("q", [" A", " B"], gold=1)
    told = Scored((Score(None, 1, False), Score(None, 1, True)))
    some = Scored((Score(-1.0, 1, False), Score(None, 1, True)))
    for name in ("acc", "acc_token", "acc_char", "acc_byte"):
        assert METRICS[name].stats(letters, told) == METRICS[name].stats(letters, some) == (1.0, 1.0)
    for name in ("acc_uncond", "target_perplexity"):
        with pytest.raises(NotAvailable, match="needs log-probabilities"):
            METRICS[name].stats(letters, told)

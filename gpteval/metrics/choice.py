"""Metrics of Choice requests: accuracies under several normalisations, macro-F1, Matthews correlation."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from gpteval.core.errors import NotAvailable
from gpteval.core.outcomes import Outcome, Score, Scored
from gpteval.core.types import Choice, Request
from gpteval.metrics.base import Floats, MeanMetric, Metric, MetricKind, divide

Normalise = Callable[[Choice, Scored, int], float]


def choice_and_scores(request: Request, outcome: Outcome) -> tuple[Choice, Scored]:
    """A choice and its outcome. Raises TypeError for anything else."""
    if not isinstance(request, Choice) or not isinstance(outcome, Scored):
        raise TypeError(f"this metric scores Choice requests, not {type(request).__name__}")
    return request, outcome


def _best(scores: Sequence[float]) -> int:
    """Index of the largest score; the lowest index among equals."""
    return max(range(len(scores)), key=lambda n: (scores[n], -n))


def prediction(request: Request, outcome: Outcome) -> int:
    """The continuation with the largest summed log-probability, the lowest index among equals; where a server tells
    not all of them, the one that it gave as its answer.
    """
    _, scored = choice_and_scores(request, outcome)
    if any(score.logprob is None for score in scored.scores):
        return _best([score.greedy for score in scored.scores])
    return _best([logprob_of(score) for score in scored.scores])


def logprob_of(score: Score) -> float:
    """Its log-probability. Raises NotAvailable where a server does not tell it."""
    if score.logprob is None:
        raise NotAvailable("this metric needs log-probabilities, which the server does not tell", "ask for acc instead")
    return score.logprob


def _bare(text: str) -> str:
    """A continuation without its one leading space, as lm-evaluation-harness measures its length."""
    return text.removeprefix(" ")


def size_in_bytes(text: str) -> int:
    """UTF-8 bytes of a continuation, without its one leading space; 1 at least."""
    return max(1, len(_bare(text).encode("utf-8", "replace")))


class Accuracy(MeanMetric):
    """Share of items whose gold continuation has the largest ``normalise``d score.

    ``normalise(request, outcome, index)`` turns a continuation's summed log-probability into the
    score that is compared.
    """

    kind: MetricKind = "binary"
    requests = (Choice,)
    floor = 0.0
    of_choice = "acc"

    def __init__(
        self, name: str, normalise: Normalise, *, needs_neutral: bool = False, published_as: tuple[str, ...] = ()
    ) -> None:
        self.name = name
        self.published_as = published_as
        self.needs_neutral = needs_neutral
        self._normalise = normalise

    def score(self, request: Request, outcome: Outcome) -> float:
        choice, scored = choice_and_scores(request, outcome)
        untold = any(score.logprob is None for score in scored.scores)
        if self.name == "acc" or (untold and not self.needs_neutral):  # of letters, which are all of one length
            return float(prediction(choice, scored) == choice.gold)
        scores = [self._normalise(choice, scored, index) for index in range(len(scored.scores))]
        return float(_best(scores) == choice.gold)

    def chance(self, requests: Sequence[Request]) -> float | None:
        shares = [1 / len(r.continuations) for r in requests if isinstance(r, Choice)]
        return float(np.mean(shares)) if shares else None


def _per_token(score: Score) -> float:
    return logprob_of(score) / max(1, score.tokens)


ACCURACIES = (
    # The sum of log-probs (lm-evaluation-harness: acc).
    Accuracy("acc", lambda choice, scored, n: logprob_of(scored.scores[n]), published_as=("accuracy",)),
    # Per token, as the GPT-3 paper scores most of its multiple-choice tasks (section 2.4).
    Accuracy("acc_token", lambda choice, scored, n: _per_token(scored.scores[n]), published_as=("accuracy",)),
    # Per character (lm-evaluation-harness: acc_norm).
    Accuracy(
        "acc_char",
        lambda choice, scored, n: logprob_of(scored.scores[n]) / max(1, len(_bare(choice.continuations[n]))),
        published_as=("accuracy_norm",),
    ),
    # Per UTF-8 byte.
    Accuracy(
        "acc_byte",
        lambda choice, scored, n: logprob_of(scored.scores[n]) / size_in_bytes(choice.continuations[n]),
    ),
    # Minus the log-prob after a neutral context: the GPT-3 paper's choice for ARC, OpenBookQA and RACE.
    Accuracy(
        "acc_uncond",
        lambda choice, scored, n: logprob_of(scored.scores[n]) - logprob_of(scored.neutral[n]),
        needs_neutral=True,
        published_as=("accuracy",),
    ),
)


class GreedyAccuracy(MeanMetric):
    """Share of items whose gold continuation is what greedy decoding gives (LAMBADA's accuracy)."""

    name = "acc_greedy"
    kind: MetricKind = "binary"
    floor = 0.0
    of_choice = "acc"
    published_as = ("accuracy",)
    requests = (Choice,)

    def score(self, request: Request, outcome: Outcome) -> float:
        choice, scored = choice_and_scores(request, outcome)
        return float(scored.scores[choice.gold].greedy)


class AnyGreedy(MeanMetric):
    """Share of items of which some choice is what greedy decoding gives: all choices are right answers
    (lm-evaluation-harness's exact match of several accepted answers).
    """

    name = "any_greedy"
    kind: MetricKind = "binary"
    published_as = ("exact_match", "accuracy")
    requests = (Choice,)

    def score(self, request: Request, outcome: Outcome) -> float:
        _, scored = choice_and_scores(request, outcome)
        return float(any(score.greedy for score in scored.scores))


class TargetPerplexity(Metric):
    """exp of the mean negative log-probability of the gold continuation: LAMBADA's perplexity, per target word.

    Statistics: log-probability in nats, 1.
    """

    name = "target_perplexity"
    published_as = ("perplexity",)
    by_ratio = True
    requests = (Choice,)
    higher_is_better = False
    scale = None

    def stats(self, request: Request, outcome: Outcome) -> tuple[float, ...]:
        choice, scored = choice_and_scores(request, outcome)
        return (logprob_of(scored.scores[choice.gold]), 1.0)

    def value(self, sums: Floats) -> Floats:
        with np.errstate(over="ignore"):
            return np.exp(-divide(sums[..., 0], sums[..., 1]))


class ClassMetric(Metric):
    """Metrics of predicted against true classes; every item of the task has the same K choices.

    Statistics, K each: class was predicted rightly, class was predicted, class was true. A failed
    item predicts no class at all.
    """

    requests = (Choice,)

    def pseudo_items(self, stats: Floats) -> Floats | None:
        """Of each class one that is predicted rightly and one that is taken for the next class; of many classes so
        much less of each that they count as much as those of two.
        """
        count = stats.shape[1] // 3
        own, none = np.eye(count), np.zeros((count, count))
        right = np.concatenate([own, own, own], axis=1)
        wrong = np.concatenate([none, np.roll(own, 1, axis=1), own], axis=1)
        return np.asarray(np.stack([right, wrong]) * min(1.0, 2 / count))

    def stats(self, request: Request, outcome: Outcome) -> tuple[float, ...]:
        choice, _ = choice_and_scores(request, outcome)
        return self._cells(choice, prediction(request, outcome))

    def failed(self, request: Request) -> tuple[float, ...] | None:
        return self._cells(request, None) if isinstance(request, Choice) else None

    @staticmethod
    def _cells(choice: Choice, predicted: int | None) -> tuple[float, ...]:
        count = len(choice.continuations)
        cells = [0.0] * (3 * count)
        cells[2 * count + choice.gold] = 1.0
        if predicted is not None:
            cells[count + predicted] = 1.0
            cells[predicted] = float(predicted == choice.gold)
        return tuple(cells)


def _thirds(sums: Floats) -> tuple[Floats, Floats, Floats]:
    right, predicted, true = np.split(sums, 3, axis=-1)
    return right, predicted, true


class MacroF1(ClassMetric):
    """Mean over classes of 2 TP / (predicted + true); classes that occur in neither are left out.

    Equal to scikit-learn's ``f1_score(average="macro", zero_division=0)``. With failed items, equal
    to it with their prediction a label of its own that ``labels`` does not name.
    """

    name = "macro_f1"

    def value(self, sums: Floats) -> Floats:
        right, predicted, true = _thirds(sums)
        f1 = divide(2 * right, predicted + true)
        there = ~np.isnan(f1)
        return divide(np.where(there, f1, 0.0).sum(axis=-1), there.sum(axis=-1).astype(float))

    def chance(self, requests: Sequence[Request]) -> float | None:
        """The value at the expected statistics of a uniform guess, which its expectation nears as items grow."""
        choices = [r for r in requests if isinstance(r, Choice)]
        classes = {len(choice.continuations) for choice in choices}
        if len(classes) != 1:
            return None
        (count,) = classes
        true = np.bincount([choice.gold for choice in choices], minlength=count).astype(float)
        return float(self.value(np.concatenate([true / count, np.full(count, len(choices) / count), true])))


class MatthewsCorrelation(ClassMetric):
    """Matthews correlation for K classes (R_K of Gorodkin 2004); 0 where it is not defined.

    Equal to scikit-learn's ``matthews_corrcoef``, failed items' prediction a label of its own. The
    GLUE score of CoLA.
    """

    name = "mcc"
    published_as = ("mcc",)
    bottom = -1.0

    def value(self, sums: Floats) -> Floats:
        right, predicted, true = _thirds(sums)
        items = true.sum(axis=-1)
        unanswered = items - predicted.sum(axis=-1)  # failed items: predicted as a class that is never true
        covariance = right.sum(axis=-1) * items - (predicted * true).sum(axis=-1)
        predicted_spread = items**2 - (predicted**2).sum(axis=-1) - unanswered**2
        spread = predicted_spread * (items**2 - (true**2).sum(axis=-1))
        return np.nan_to_num(divide(covariance, np.sqrt(np.maximum(spread, 0.0))), nan=0.0)

    def chance(self, requests: Sequence[Request]) -> float | None:
        return 0.0

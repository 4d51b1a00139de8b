"""Answers that are numbers, compared as numbers: "1,000" is 1000, "$5.00" is 5."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Sequence
from decimal import Decimal, DivisionByZero, InvalidOperation
from fractions import Fraction

from gpteval.core.outcomes import Generated, Outcome
from gpteval.core.types import Generate, Request
from gpteval.metrics.base import MeanMetric, Metric, MetricKind

# A number: with a sign that belongs to it, commas or narrow spaces between thousands, a decimal point, an exponent, or
# a fraction of whole numbers. A comma that parts no thousands ends it, and so does a full stop without a digit behind.
_NUMBER = re.compile(
    r"(?<![\w.])(?P<sign>[-−+](?=[\d.$€£¥]))?[$€£¥]?\s?"  # the minus sign
    r"(?P<digits>\d{1,3}(?:[,\u00a0\u202f]\d{3})+(?![\d])|\d+)?(?P<rest>\.\d+)?"
    r"(?P<exponent>[eE][-+]?\d{1,3}(?![\w]))?(?:/(?P<below>\d+)(?![\d/]))?"
)
_LONGEST = 60  # digits, beyond which nothing is an answer


def numbers_in(text: str) -> list[Fraction]:
    """The numbers that a text names, in order."""
    found = []
    for match in _NUMBER.finditer(text):
        if not match["digits"] and not match["rest"]:
            continue
        plain = re.sub(r"[,\u00a0\u202f]", "", match["digits"] or "0") + (match["rest"] or "")
        if len(plain) > _LONGEST:
            continue
        try:
            number = Fraction(Decimal(plain + (match["exponent"] or ""))) / int(match["below"] or 1)
        except (InvalidOperation, DivisionByZero, ZeroDivisionError):
            continue
        found.append(-number if match["sign"] in ("-", "−") else number)
    return found


def number_of(text: str) -> Fraction | None:
    """The one number that a text names, whatever its unit; None where it names none, or different ones."""
    found = set(numbers_in(text))
    return found.pop() if len(found) == 1 else None


class NumberMetric(MeanMetric):
    """What number metrics have in common: the answer is a number, and so is the reference."""

    kind: MetricKind = "binary"
    floor = 0.0
    requests = (Generate,)
    published_as = ("accuracy", "exact_match")

    def score(self, request: Request, outcome: Outcome) -> float:
        if not isinstance(request, Generate) or not isinstance(outcome, Generated):
            raise TypeError(f"{self.name} scores Generate requests, not {type(request).__name__}")
        answer = self.answer(outcome)
        return float(answer is not None and any(answer == _last(reference) for reference in request.references))

    @abstractmethod
    def answer(self, outcome: Generated) -> Fraction | None:
        """The number that a text gives; None where it gives none."""

    def signature(self, requests: Sequence[Request]) -> str:
        return "numbers as numbers"


class NumberMatch(NumberMetric):
    """Share of texts whose answer is the reference's number: the answer that the task's rule takes, else the text, of
    which it must be the only number.
    """

    name = "number_match"

    def answer(self, outcome: Generated) -> Fraction | None:
        return number_of(outcome.text if outcome.taken is None else outcome.taken)


class LastNumber(NumberMetric):
    """Share of texts whose last number is the reference's, whatever the task's rule takes."""

    name = "last_number"

    def answer(self, outcome: Generated) -> Fraction | None:
        return _last(outcome.text)


def _last(text: str) -> Fraction | None:
    found = numbers_in(text)
    return found[-1] if found else None


NUMBER_METRICS: tuple[Metric, ...] = (NumberMatch(), LastNumber())

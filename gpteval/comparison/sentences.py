"""A comparison in sentences: what is counted, what each generation brings, and about whom that is said."""

from __future__ import annotations

import math
from collections.abc import Sequence

from gpteval.comparison.by_generation import BEST, MATCHED, MEANS
from gpteval.comparison.compare import Comparison
from gpteval.comparison.means import CENTRED
from gpteval.comparison.numbers import amount
from gpteval.comparison.results import Generations, Pair
from gpteval.core.show import listed, p_value

MOST = 4  # models that a sentence names
ABOUT = (
    "What is said is about the models that are named, on items like these. A sentence about the models of a generation"
    " is about others of their kind, too: it needs three or more on each side."
)


def sentences(comparison: Comparison) -> list[str]:
    """What each generation brings, a sentence a form and metric; before them what is counted, and about whom."""
    if not comparison.generations:
        return []
    return [comparison.counted.sentence, *map(sentence, comparison.generations), ABOUT]


def sentence(row: Generations) -> str:
    """One statement on two generations; of right and wrong answers in points of the chance-centred score."""
    if row.pair is None:
        return f"{row.newer} against {row.older}, {row.form}: {row.why}."
    figure = row.pair.figure
    metric = "" if row.pair.metric == CENTRED else f"By {row.pair.metric}, "
    over = f"over {row.pair.task}" if not metric else f"over {row.pair.task.removeprefix('all ')}"
    if math.isnan(row.pair.p_adjusted):
        sides = f"{_side(row, newer=True)} against {_side(row, newer=False)}"
        return f"{metric}{sides}, {over}: {amount(row.pair, figure.effect)}, {row.pair.verdict}."
    interval = f"{amount(row.pair, row.pair.low, unit=False)} to {amount(row.pair, row.pair.high, unit=False)}"
    many = row.over_models or len(set(row.news)) > 1
    said = f"{metric}{_side(row, newer=True)} {verb(row.pair, many=many)} {_side(row, newer=False)} "
    said += f"{'by' if row.pair.significant else 'at'} {amount(row.pair, figure.effect)} ({interval}), "
    said += f"p {p_value(row.pair.p_adjusted)}, {over}: {_about(row)}."
    uncut = row.pair.uncut
    if uncut is not None and row.pair.disagreement:
        said += f" Over the {uncut.n} items that no model had to cut it is {amount(row.pair, uncut.effect)}: "
        said += f"{row.pair.disagreement}."
    return said


def headline(rows: Sequence[Generations]) -> tuple[str, list[str]]:
    """Of all statements on two sides the one that comes first, with what other metrics say in brief; and the others.

    Right and wrong answers come first; where there are none, the first metric does.
    """
    first, *rest = rows
    others = [row for row in rest if MEANS in row.form and row.pair is not None and row.pair.metric != CENTRED]
    by_verdict: dict[str, list[str]] = {}
    for row in others:
        assert row.pair is not None
        word = verb(row.pair, many=True) if not math.isnan(row.pair.p_adjusted) else "no verdict"
        words = {"beat": "better", "fall behind": "worse", "no verdict": word}.get(word, "not separated")
        p = "" if word == "no verdict" else f", p {p_value(row.pair.p_adjusted)}"
        by_verdict.setdefault(words, []).append(f"{row.pair.metric} ({amount(row.pair, row.pair.figure.effect)}{p})")
    apart = "; ".join(f"{words} by {listed(metrics)}" for words, metrics in by_verdict.items())
    return sentence(first) + (f" Apart from that: {apart}." if apart else ""), [sentence(row) for row in rest]


def verb(pair: Pair, *, many: bool = False) -> str:
    """What a pair's verdict says of A, one model or several."""
    if not pair.significant:
        return f"{'are' if many else 'is'} not separated from"
    if pair.better == pair.model_a:
        return "beat" if many else "beats"
    return "fall behind" if many else "falls behind"


def _side(row: Generations, *, newer: bool) -> str:
    """The models by name, or the generation where the statement is on it."""
    side, models = (row.newer, row.news) if newer else (row.older, row.olds)
    if row.over_models:
        return f"{side} models"
    names = list(dict.fromkeys(models))
    who = listed(names) if len(names) <= MOST else f"{len(names)} models"
    return f"{who} ({side})"


def _about(row: Generations) -> str:
    """The form, and what is held fixed."""
    if row.over_models:
        return f"means of {len(row.news)} and {len(row.olds)} models, over models and items"
    forms = row.form.split(", ")
    if MEANS in forms and len(row.news) == len(row.olds) == 1:
        what = "the only models on either side" + (", of the same size" if MATCHED in forms else "")
    else:
        chosen = f"{BEST}, chosen after seeing, which p allows for"
        what = ", ".join(chosen if form == BEST else form for form in forms)
    return f"{what}; other trainings were not seen"

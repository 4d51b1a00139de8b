"""``gpteval agree`` on the terminal."""

from __future__ import annotations

import sys
from dataclasses import asdict
from textwrap import fill
from typing import Any

from gpteval.cli.console import say, width_of
from gpteval.comparison.agreement import TELLING, Certificate, Steadiness
from gpteval.core.show import counted
from gpteval.core.strict import strict_json

WIDEST = 110  # characters of a paragraph's line
AROUND = 24  # characters that are shown of two texts where they part
COLUMNS = (
    "Largest, mean: difference of log-probabilities in nats a token, of whatever was scored. Flips: items of which the "
    "two choose otherwise. Greedy: scored answers of which both say alike whether each token was the likeliest. KL: at "
    "each place of a text, from the likeliest tokens, at least."
)


def document(found: Certificate, within: float | None) -> dict[str, Any]:
    """As JSON."""
    broken = "" if within is None else found.broken(within)
    return asdict(found) | {"largest": found.largest, "within": within, "broken": broken}


def show_agreement(found: Certificate, within: float | None, as_json: bool) -> None:
    """Print a row a task, what parts the two, and how steady the second is."""
    from gpteval.cli.rich_tables import add_row, show_table, table_of

    if as_json:
        say(strict_json(document(found, within), 1))
        return
    table = table_of(
        "task", "items", "largest", "mean", "greedy", "flips", "texts differ", "KL", "same token", "failed"
    )
    for one in found.tasks:
        add_row(
            table,
            *(one.task, str(one.items), _small(one.largest), _small(one.mean), _percent(one.greedy)),
            f"{one.flips} of {one.choices}" if one.choices else "–",
            f"{one.texts_differ} of {one.texts}" if one.texts else "–",
            *(_small(one.kl), _percent(one.same_token), str(one.failed)),
        )
    show_table(table)
    width = min(WIDEST, width_of(sys.stdout))
    say("\n" + fill(f"{found.other} against {found.reference}. {COLUMNS}", width))
    for flip in found.flips[:TELLING]:
        say(
            fill(
                f"flip: {flip.task}, item {flip.item}: {found.reference} prefers its own by {_small(flip.margin)} nats",
                width,
            )
        )
    for text in found.texts[:TELLING]:
        ours, theirs = (one[max(0, text.at - 8) : text.at + AROUND] for one in (text.reference, text.other))
        say(
            fill(
                f"text: {text.task}, item {text.item}: from character {text.at} on {ours!r} here, {theirs!r} there",
                width,
            )
        )
    say(
        fill(
            f"{found.other} asked the same again: {_steady(found.alone)} one question after the other, "
            f"{_steady(found.crowd)} many at a time, {_steady(found.between)} between the two.",
            width,
        )
    )


def _steady(one: Steadiness) -> str:
    texts = f", {counted(one.texts, 'text')}" if one.texts else ""
    return f"{_small(one.largest)} nats a token at most{texts}"


def _small(value: float) -> str:
    return "–" if value != value else "0" if value == 0 else f"{value:.2g}"


def _percent(value: float) -> str:
    return "–" if value != value else f"{100 * value:.1f} %"

"""``gpteval compare --metric prefer:MODEL`` on the terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import asdict
from textwrap import fill
from time import monotonic
from typing import TYPE_CHECKING

from gpteval.cli.console import say, width_of
from gpteval.cli.voice import tell
from gpteval.core.show import counted
from gpteval.core.strict import strict_json

if TYPE_CHECKING:
    from gpteval.comparison.preference import Preference
    from gpteval.experiments.judging import Preferences

EVERY = 5.0  # seconds between two lines of progress
WIDEST = 110  # characters of a paragraph's line
COLUMNS = (
    "A wins: of the items, ties and turned verdicts as half. Same: both texts are one, a tie without a question. "
    "Turned: both orders were asked, and the verdict changes "
    "with them. First: of the choices, those of the text that stood first; 50 % is no bias. Agrees: of the items where "
    "judge and metric each prefer one, those where it is the same; 50 % is no relation. Each interval stands by itself."
)


def progress(judge: str) -> Callable[[int, int], None]:
    """What tells how many questions are answered, every few seconds."""
    said = [monotonic()]

    def told(done: int, of: int) -> None:
        if done < of and monotonic() - said[0] > EVERY:
            said[0] = monotonic()
            tell(f"{judge} has answered {100 * done // of} % of its questions", "progress", done=done, of=of)

    return told


def show_preferences(found: Preferences, as_json: bool) -> None:
    """Print a row a pair and task, what the columns are, and what the judge's word is worth."""
    from gpteval.cli.rich_tables import add_row, show_table, table_of

    if as_json:
        pairs = [asdict(one) | {"caution": one.caution} for one in found.pairs]
        say(strict_json(asdict(found) | {"pairs": pairs}, 1))
        return
    table = table_of("task", "A", "B", "A wins", "95 % interval", "A : B : ties", "same", "turned", "first", "agrees")
    for one in found.pairs:
        add_row(
            table,
            *(one.task if not one.shots else f"{one.task} {one.shots}-shot", one.model_a, one.model_b),
            *(f"{100 * one.share.value:.1f} %", _interval(one), f"{one.wins_a} : {one.wins_b} : {one.ties}"),
            *(
                str(one.same),
                f"{one.turned} of {one.asked}",
                f"{100 * one.first:.0f} %" if one.first == one.first else "–",
            ),
            _agrees(one),
        )
    show_table(table)
    width = min(WIDEST, width_of(sys.stdout))
    price = "" if found.dollars is None else f", {found.dollars:.4f} dollars"
    say("\n" + fill(f"{found.judge} was asked {counted(found.questions, 'question')}{price}. {COLUMNS}", width))
    for line in _remarks(found):
        say(fill(line, width))


def _interval(one: Preference) -> str:
    return "–" if one.share.why else f"{100 * one.share.ci_low:.1f} to {100 * one.share.ci_high:.1f}"


def _agrees(one: Preference) -> str:
    shown = [a for number, a in enumerate(one.agreements) if number == 0 or a.metric.startswith(("rouge", "chrf"))]
    return ", ".join(f"{a.metric} {100 * a.value:.0f} % of {a.n}" for a in shown[:2]) or "–"


def _remarks(found: Preferences) -> list[str]:
    """What limits the judge's word, for all pairs together."""
    lines = []
    if worthless := sum(one.worthless for one in found.pairs):
        lines.append(
            f"In {worthless} of {counted(len(found.pairs), 'row')} the order of the two texts decides on half of the "
            f"items or more: there the word of {found.judge} is worth nothing."
        )
    lines += dict.fromkeys(f"{one.caution}." for one in found.pairs if one.caution and not one.worthless)
    for count, what in (
        (sum(one.unanswered for one in found.pairs), "got no verdict, and count nowhere"),
        (sum(one.left_out for one in found.pairs), "have no text of one of the two"),
    ):
        if count:
            lines.append(f"{counted(count, 'item')} {what}.")
    if cut := sum(one.cut for one in found.pairs):
        lines.append(f"{counted(cut, 'question')} were cut to the judge's window.")
    return lines

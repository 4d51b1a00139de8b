"""``gpteval compare --kl`` on the terminal."""

from __future__ import annotations

from dataclasses import asdict
from textwrap import fill

from gpteval.cli.console import say
from gpteval.comparison.divergence import Divergences
from gpteval.core.show import number
from gpteval.core.strict import strict_json
from gpteval.stats.interval import Estimate

WIDTH = 110  # characters of a paragraph's line
COLUMNS = (
    "KL: in nats a token, at least: tokens that both models have among their likeliest count by themselves, all others "
    "as one. 99 % below: of the tokens. Same token: where both have the same likeliest one. Covered: how much of the "
    "probability is on tokens that count by themselves; where that is little, more of them (--top-logprobs) tell more."
)


def show_divergences(found: Divergences, as_json: bool) -> None:
    """Print a row a pair and task, and what the columns are."""
    from gpteval.cli.rich_tables import add_row, show_table, table_of

    if as_json:
        say(strict_json(asdict(found), 1))
        return
    if found.pairs:
        table = table_of(
            "task", "model", "from", "KL", "95 % interval", "99 % below", "same token", "95 % interval", "covered"
        )
        for one in found.pairs:
            add_row(
                table,
                *(one.task, one.model, one.reference, _small(one.kl.value), _interval(one.kl, 1.0), _small(one.most)),
                *(f"{100 * one.same.value:.1f} %", _interval(one.same, 100.0), f"{100 * one.covered:.1f} %"),
            )
        show_table(table)
        tokens = sorted({one.tokens for one in found.pairs})
        counts = " to ".join(f"{n:,}" for n in dict.fromkeys((tokens[0], tokens[-1])))
        say("\n" + fill(f"Over {counts} tokens. {COLUMNS}", WIDTH))
    for remark in found.remarks:
        say(remark)


def _small(value: float) -> str:
    """Three digits that count, however small."""
    return number(value) if value >= 0.1 or value == 0 else f"{value:.3g}"


def _interval(one: Estimate, factor: float) -> str:
    if one.why:
        return "–"
    low, high = factor * one.ci_low, factor * one.ci_high
    return f"{low:.1f} to {high:.1f}" if factor > 1 else f"{_small(low)} to {_small(high)}"

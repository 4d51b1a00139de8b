"""A comparison on the terminal: what it says, the means of all pairs, and each task for the pairs that matter."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from textwrap import wrap

from gpteval.comparison.compare import Comparison
from gpteval.comparison.formats import tested
from gpteval.comparison.numbers import amount
from gpteval.comparison.results import Pair
from gpteval.comparison.sentences import sentences
from gpteval.core.generations import NAMES
from gpteval.core.grid import GridColumn, pieces
from gpteval.core.show import counted, footnote, number, with_shots
from gpteval.core.text import one_line

GPT3 = NAMES["gpt3"]
NAME = 16  # characters of a model's name above a column
LINE = 120  # characters of a sentence's line
FEW = 4  # pairs that are all shown


def compared_text(comparison: Comparison, width: int) -> str:
    """In lines of that width. Every row with its test is in ``gpteval.comparison.formats``."""
    said = [line for text in sentences(comparison) for line in _wrapped(f"- {text}", width)]
    shown, all_pairs = _that_matter(comparison)
    notes: dict[str, str] = {}
    parts = ["\n".join(said)] if said else []
    if comparison.overall:
        parts.append("\n".join(_means(comparison.overall, width)))
    if shown:
        parts.append("\n".join(_tasks(comparison, shown, width, notes)))
    below = [
        "▲ A is better, ▼ worse, by the paired test of the whole table; without a mark: not separated. 'x' is a ratio.",
        *(f"({letter}) {note}" for note, letter in notes.items()),
        *comparison.remarks,
    ]
    if any(GPT3 in part for part in parts):
        below.append(f"{GPT3}: open models of GPT-3's design, such as GPT-Neo, GPT-J, NeoX, Pythia, OPT, Cerebras-GPT.")
    rest = len(all_pairs) - len(shown)
    left = f"Not shown: {counted(rest, 'pair')} of models. " if rest > 0 else ""
    below.append(f"{left}--all prints every row with its interval, p and verdict; --format json has all digits.")
    parts.append("\n".join(line for text in below for line in _wrapped(text, width)))
    return "\n\n".join(parts)


def _wrapped(text: str, width: int) -> list[str]:
    held = one_line(text).replace("p < ", "p\u00a0<\u00a0")  # stays on one line
    lines = wrap(held, min(width, LINE), subsequent_indent="  ", break_on_hyphens=False)
    return [line.replace("\u00a0", " ") for line in lines]


def _that_matter(comparison: Comparison) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Pairs of models: all of a few, or of a baseline's; else those of neighbours in the models' order. And all."""
    every = list(dict.fromkeys((pair.model_a, pair.model_b) for pair in comparison.pairs))
    if len(every) < len(comparison.models) or len(every) <= FEW:
        return every, every
    neighbours = {frozenset(two) for two in pairwise(comparison.models)}
    return [two for two in every if frozenset(two) in neighbours], every


def _means(overall: Sequence[Pair], width: int) -> Iterable[str]:
    """Of all pairs, over the tasks that both ran."""
    names = [(pair.model_a, pair.model_b) for pair in overall]
    title = "A - B, means of scores from 0 (guessing) to 100 (perfect); intervals and p hold for all pairs at once"
    yield from _wrapped(title, width)
    yield from "\n".join(pieces(names, _tested(overall, list(map(_mark, overall))), width, NAME)).split("\n")


def _tested(pairs: Sequence[Pair], marks: Sequence[str]) -> list[GridColumn]:
    """The difference of each pair with its interval and p."""
    effects = tuple(amount(pair, pair.figure.effect, unit=False) for pair in pairs)
    return [
        GridColumn(("A - B",), effects, tuple(marks), (False,) * len(pairs)),
        _plain("95 % interval", [_interval(pair) for pair in pairs]),
        _plain("p", [tested(pair) for pair in pairs]),
    ]


def _plain(head: str, cells: Sequence[str]) -> GridColumn:
    return GridColumn((head,), tuple(cells), ("",) * len(cells), (False,) * len(cells))


def _interval(pair: Pair) -> str:
    if pair.low != pair.low:
        return "none"
    return f"{amount(pair, pair.low, unit=False)} to {amount(pair, pair.high, unit=False)}"


def _tasks(
    comparison: Comparison, shown: Sequence[tuple[str, str]], width: int, notes: dict[str, str]
) -> Iterable[str]:
    """``notes``: footnotes so far with their letters; those of the cells join them."""
    rows = list(dict.fromkeys((pair.task, pair.shots, pair.metric) for pair in comparison.pairs))
    cells = {(pair.model_a, pair.model_b, pair.task, pair.shots, pair.metric): pair for pair in comparison.pairs}
    names = [(with_shots(task, shots), metric) for task, shots, metric in rows]
    columns = []
    if len(shown) == 1:
        found = list(comparison.pairs)
        a, b = shown[0]
        columns = [
            _plain(f"A: {a}", [_value(pair, pair.figure.value_a) for pair in found]),
            _plain(f"B: {b}", [_value(pair, pair.figure.value_b) for pair in found]),
            *_tested(found, [_mark(pair) + _letters(pair, notes) for pair in found]),
        ]
    for two in shown if len(shown) > 1 else ():
        known = [cells.get((*two, *row)) for row in rows]
        columns.append(
            GridColumn(
                (two[0], f"- {two[1]}"),
                tuple("–" if pair is None else amount(pair, pair.figure.effect, unit=False) for pair in known),
                tuple("" if pair is None else _mark(pair) + _letters(pair, notes) for pair in known),
                (False,) * len(known),
            )
        )
    yield from _wrapped("A - B on each task: shares in points, others in the metric's unit", width)
    yield from "\n\n".join(pieces(names, columns, width, NAME)).split("\n")


def _value(pair: Pair, value: float) -> str:
    return f"{100 * value:.1f}" if pair.full == 1.0 and not pair.by_ratio else number(value)


def _mark(pair: Pair) -> str:
    return "" if not pair.significant else "▲" if pair.better == pair.model_a else "▼"


def _letters(pair: Pair, notes: dict[str, str]) -> str:
    remarks = [*pair.notes, *([pair.disagreement] if pair.disagreement else [])]
    letters = [notes.setdefault(remark, footnote(len(notes) + 1)) for remark in remarks]
    return f" ({','.join(sorted(letters))})" if letters else ""

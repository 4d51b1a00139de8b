"""A table of scores as text for a terminal, Markdown, LaTeX, CSV or JSON."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from textwrap import wrap

from gpteval.core.strict import strict_json
from gpteval.core.tables import plain_latex, plain_markdown, to_csv
from gpteval.core.text import one_line, printable
from gpteval.report.score_table import FACTS, ScoreTable, ScoreText

LETTERS = "abcdefghijklmnopqrstuvwxyz"
NAMES = (18, 14, 11)  # characters of a column's name, where its scores are shorter: the first with which all fits
LABEL = 30  # characters of a line's name
LINE = 120  # characters of a footnote's line


def mark(number: int) -> str:
    """A footnote's letter: a to z, then aa."""
    before, place = divmod(number - 1, len(LETTERS))
    return (mark(before) if before else "") + LETTERS[place]


def shortened(name: str, width: int) -> str:
    """A name of at most so many characters: what is left out is in its middle, as beginnings and ends tell apart."""
    if len(name) <= width:
        return name
    left = (width - 1) // 2
    return f"{name[: width - 1 - left]}…{name[len(name) - left :]}" if left else name[: width - 1] + "…"


@dataclass(frozen=True)
class _Side:
    """What stands before each line, and above each column: models, or tasks with their metrics."""

    heads: tuple[tuple[str, ...], ...]
    names: tuple[tuple[str, ...], ...]
    scores: tuple[tuple[ScoreText, ...], ...]


def as_text(table: ScoreTable, width: int, bold: Callable[[str], str] = str) -> str:
    """Tasks below each other and models side by side, or the other way where there are many more of those; intervals
    where there is room. What is wider than ``width`` goes on below. The best of a task has a star, and goes through
    ``bold``.
    """
    tasks = tuple((task.label, f"{task.metric} {'↑' if task.higher else '↓'}") for task in table.tasks)
    models = tuple((model,) for model in table.models)
    if 2 * len(tasks) < len(models):
        side = _Side(models, tasks, table.scores)
    else:
        side = _Side(tasks, models, tuple(zip(*table.scores, strict=True)))
    for interval, longest in product((True, False), NAMES):
        lines = _lines(side, width, interval, longest, bold)
        if len(lines) == 1:
            break
    return "\n".join(["\n\n".join(lines), *_below(table, min(width, LINE))])


def _lines(side: _Side, width: int, interval: bool, longest: int, bold: Callable[[str], str]) -> list[str]:
    """The table in so many pieces that each fits."""
    heads = [[shortened(one_line(text), LABEL) for text in column] for column in zip(*side.heads, strict=True)]
    label = [max(map(len, column)) for column in heads]
    before = [
        "  ".join(f"{text:<{wide}}" for text, wide in zip(line, label, strict=True))
        for line in zip(*heads, strict=True)
    ]
    columns = []
    for n, name in enumerate(side.names):
        scores = [row[n] for row in side.scores]
        cores = [f"{score.text} {score.interval}".rstrip() if interval else score.text for score in scores]
        marks = [_marks(score) for score in scores]
        core, beside = max(map(len, cores)), max(map(len, marks))
        wide = max(core, min(longest, max(map(len, name))) - beside)
        shown = [f"{c:>{wide}}{m:<{beside}}" for c, m in zip(cores, marks, strict=True)]
        told = [bold(text) if score.best else text for text, score in zip(shown, scores, strict=True)]
        above = [f"{shortened(one_line(text), wide + beside):>{wide + beside}}" for text in name]
        columns.append((wide + beside, [*above, *told]))
    pieces: list[list[list[str]]] = []
    left = 0
    for wide, column in columns:
        if not pieces or wide + 2 > left:
            pieces.append([[*[" " * len(before[0])] * len(side.names[0]), *before]])
            left = width - len(before[0])
        pieces[-1].append(column)
        left -= wide + 2
    return ["\n".join("  ".join(line).rstrip() for line in zip(*piece, strict=True)) for piece in pieces]


def _marks(score: ScoreText) -> str:
    """A star for the best, and its footnotes."""
    letters = _letters(score)
    return ("*" if score.best else "") + (f" ({letters})" if letters else "")


def _letters(score: ScoreText) -> str:
    return ",".join(map(mark, sorted(score.notes)))


def _below(table: ScoreTable, width: int) -> list[str]:
    """Footnotes and caption, in lines of that width."""
    caption = table.caption.replace("in bold", "with a star")
    notes = [f"({mark(number)}) {one_line(note)}" for number, note in enumerate(table.notes, 1)]
    return [line for text in (*notes, caption) for line in wrap(text, width, subsequent_indent="    ")]


def as_markdown(table: ScoreTable) -> str:
    """A GitHub table, a row a model; its caption and footnotes below."""
    heads = [plain_markdown(f"{task.label}, {task.metric} {'↑' if task.higher else '↓'}") for task in table.tasks]
    lines = [["Model", *heads], [":---", *("---:" for _ in heads)]]
    for model, scores in zip(table.models, table.scores, strict=True):
        lines.append([plain_markdown(model), *(_markdown(score) for score in scores)])
    below = [f"<sup>{mark(n)}</sup> {plain_markdown(note)}  \n" for n, note in enumerate(table.notes, 1)]
    return (
        "".join(f"| {' | '.join(line)} |\n" for line in lines)
        + f"\n{table.caption}\n"
        + "".join(["\n", *below] if below else [])
    )


def _markdown(score: ScoreText) -> str:
    text = f"{score.text} {score.interval}".rstrip().replace("[", r"\[").replace("]", r"\]")
    letters = _letters(score)
    return (f"**{text}**" if score.best else text) + (f"<sup>{letters}</sup>" if letters else "")


def as_latex(table: ScoreTable) -> str:
    """A ``table`` for the package booktabs, a row a model, a rule between generations."""
    arrows = [r"$\uparrow$" if task.higher else r"$\downarrow$" for task in table.tasks]
    labels = " & ".join(["Model", *(plain_latex(task.label) for task in table.tasks)])
    metrics = " & ".join(["", *(f"{plain_latex(t.metric)} {a}" for t, a in zip(table.tasks, arrows, strict=True))])
    lines = [r"\begin{table}", r"\centering", rf"\caption{{{_latex(table.caption)}}}", r"\label{tab:scores}"]
    lines += [rf"\begin{{tabular}}{{l{'r' * len(table.tasks)}}}", r"\toprule", rf"{labels} \\", rf"{metrics} \\"]
    for number, (model, scores) in enumerate(zip(table.models, table.scores, strict=True)):
        if number == 0 or number in table.groups:
            lines.append(r"\midrule")
        lines.append(" & ".join([plain_latex(model), *map(_latex_score, scores)]) + r" \\")
    lines += [r"\bottomrule", r"\end{tabular}"]
    if table.notes:
        notes = [rf"\textsuperscript{{{mark(n)}}}~{plain_latex(note)}" for n, note in enumerate(table.notes, 1)]
        lines += [r"\par\smallskip", r"{\footnotesize " + r"\\ ".join(notes) + "}"]
    return "\n".join([*lines, r"\end{table}", ""])


def _latex(text: str) -> str:
    return plain_latex(text).replace("±", r"$\pm$").replace("−", "$-$")


def _latex_score(score: ScoreText) -> str:
    text = _latex(score.text.replace("–", "--"))
    interval = f" {_latex(score.interval)}" if score.interval else ""
    letters = _letters(score)
    notes = rf"\textsuperscript{{{letters}}}" if letters else ""
    return (rf"\textbf{{{text}}}" if score.best else text) + interval + notes


def as_csv(table: ScoreTable) -> str:
    """A row a score, with all digits."""
    rows = [[_raw(fact[name]) for name in FACTS] for fact in table.facts]
    return to_csv([list(FACTS), *rows])


def _raw(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return "; ".join(map(str, value))
    return "" if value is None else printable(str(value))


def as_json(table: ScoreTable) -> str:
    """The same as a document, with the caption."""
    return strict_json({"caption": table.caption, "scores": list(table.facts)}, 1) + "\n"

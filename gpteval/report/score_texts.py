"""A table of scores as text for a terminal, Markdown, LaTeX, CSV or JSON."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from textwrap import wrap

from gpteval.core.grid import GridColumn, pieces
from gpteval.core.show import footnote
from gpteval.core.strict import strict_json
from gpteval.core.tables import plain_latex, plain_markdown, to_csv
from gpteval.core.text import one_line, printable
from gpteval.report.score_table import FACTS, ScoreTable, ScoreText

NAMES = (30, 18, 14, 11)  # characters of a column's name, where its scores are shorter: the first with which all fits
LINE = 120  # characters of a footnote's line


def as_text(table: ScoreTable, width: int, bold: Callable[[str], str] = str) -> str:
    """Tasks below each other and models side by side, or the other way where there are many more of those; intervals
    where there is room. What is wider than ``width`` goes on below. The best of a task has a star, and goes through
    ``bold``.
    """
    names = [(task.label, f"{task.metric} {'↑' if task.higher else '↓'}") for task in table.tasks]
    heads: list[tuple[str, ...]] = [(model,) for model in table.models]
    columns = table.scores
    if 2 * len(names) < len(heads):
        names, heads, columns = heads, names, tuple(zip(*columns, strict=True))  # type: ignore[assignment]
    for interval, longest in product((True, False), NAMES):
        made = [_column(head, scores, interval) for head, scores in zip(heads, columns, strict=True)]
        lines = pieces(names, made, width, longest, bold)
        if len(lines) == 1:
            break
    return "\n".join(["\n\n".join(lines), *_below(table, min(width, LINE))])


def _column(heads: tuple[str, ...], scores: Sequence[ScoreText], interval: bool) -> GridColumn:
    return GridColumn(
        heads,
        cells=tuple(f"{score.text} {score.interval}".rstrip() if interval else score.text for score in scores),
        marks=tuple(map(_marks, scores)),
        told=tuple(score.best for score in scores),
    )


def _marks(score: ScoreText) -> str:
    """A star for the best, and its footnotes."""
    letters = _letters(score)
    return ("*" if score.best else "") + (f" ({letters})" if letters else "")


def _letters(score: ScoreText) -> str:
    return ",".join(map(footnote, sorted(score.notes)))


def _below(table: ScoreTable, width: int) -> list[str]:
    """Footnotes and caption, in lines of that width."""
    caption = table.caption.replace("in bold", "with a star")
    notes = [f"({footnote(number)}) {one_line(note)}" for number, note in enumerate(table.notes, 1)]
    return [line for text in (*notes, caption) for line in wrap(text, width, subsequent_indent="    ")]


def as_markdown(table: ScoreTable) -> str:
    """A GitHub table, a row a model; its caption and footnotes below."""
    heads = [plain_markdown(f"{task.label}, {task.metric} {'↑' if task.higher else '↓'}") for task in table.tasks]
    lines = [["Model", *heads], [":---", *("---:" for _ in heads)]]
    for model, scores in zip(table.models, table.scores, strict=True):
        lines.append([plain_markdown(model), *(_markdown(score) for score in scores)])
    below = [f"<sup>{footnote(n)}</sup> {plain_markdown(note)}  \n" for n, note in enumerate(table.notes, 1)]
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
        notes = [rf"\textsuperscript{{{footnote(n)}}}~{plain_latex(note)}" for n, note in enumerate(table.notes, 1)]
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

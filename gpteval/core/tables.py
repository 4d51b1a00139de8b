"""Tables of texts as CSV, Markdown or LaTeX. What models and data wrote stays text in all three."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence

from gpteval.core.text import harmless_cell, is_number, printable

Table = Sequence[Sequence[str]]  # a header, then rows
_MARKUP = re.compile(r"[\\`*\[\]|~]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")  # an underscore inside a word is none
_LATEX = {c: f"\\{c}" for c in "&%$#_{}"} | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\^{}"}


def to_csv(table: Table) -> str:
    """RFC 4180, but for line ends (LF everywhere). A cell that a spreadsheet would compute gets a leading ``'``."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([[harmless_cell(cell) for cell in row] for row in table])
    return text.getvalue()


def to_markdown(table: Table) -> str:
    """A GitHub table, numbers to the right. Cells show as they are: no markup or HTML of theirs."""
    header, *body = table
    rule = ["---:" if right else "---" for right in _numeric(table)]
    lines = [[plain_markdown(cell) for cell in header], rule, *([plain_markdown(c) for c in row] for row in body)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def to_latex(table: Table) -> str:
    """A ``tabular`` for the package booktabs, numbers to the right."""
    header, *body = table
    lines = [rf"\begin{{tabular}}{{{''.join('r' if right else 'l' for right in _numeric(table))}}}", r"\toprule"]
    lines += [" & ".join(map(plain_latex, header)) + r" \\", r"\midrule"]
    lines += [" & ".join(map(plain_latex, row)) + r" \\" for row in body]
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])


def _numeric(table: Table) -> list[bool]:
    """For each column whether it holds numbers, and nothing else."""
    header, *body = table
    return [bool(body) and all(is_number(row[n]) or not row[n] for row in body) for n in range(len(header))]


def plain_markdown(cell: str) -> str:
    """A text that Markdown shows as it is, on one line."""
    if is_number(cell):
        return cell
    escaped = _MARKUP.sub(r"\\\g<0>", printable(cell))
    escaped = escaped.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return " ".join(escaped.split())


def plain_latex(cell: str) -> str:
    """A text that LaTeX sets as it is, on one line."""
    return " ".join("".join(_LATEX.get(c, c) for c in printable(cell)).split())

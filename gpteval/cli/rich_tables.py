"""Tables on the terminal."""

from __future__ import annotations

import os

from rich.console import Console
from rich.table import Table
from rich.text import Text

from gpteval.cli.console import print_lines
from gpteval.core.text import one_line


def table_of(*columns: str) -> Table:
    """A table without lines."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(one_line(column), no_wrap=column in ("model", "task", "generation"))
    return table


def add_row(table: Table, *cells: str) -> None:
    """Add cells, of which nothing is markup."""
    table.add_row(*(Text(one_line(cell)) for cell in cells))


def show_table(table: Table) -> None:
    """Print it, as wide as it needs where nobody looks at a terminal and no width is asked for."""
    console = Console(highlight=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = 200
    with console.capture() as captured:
        console.print(table)
    print_lines(captured.get().rstrip("\n"))

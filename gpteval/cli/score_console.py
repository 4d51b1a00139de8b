"""A table of scores on the terminal: as wide as that is, the best of each task bold."""

from __future__ import annotations

import os
from typing import IO

from gpteval.cli.console import width_of
from gpteval.report.score_table import ScoreTable
from gpteval.report.score_texts import as_text


def terminal_table(table: ScoreTable, where: IO[str]) -> str:
    """As wide as the terminal. The best of each task have a star, and are bold where that can be seen."""
    width = width_of(where)
    plain = not where.isatty() or "NO_COLOR" in os.environ or os.environ.get("TERM") == "dumb"
    return as_text(table, width, str if plain else lambda cell: f"\x1b[1m{cell}\x1b[0m")

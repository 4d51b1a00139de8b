"""A table of scores on the terminal: as wide as that is, the best of each task bold."""

from __future__ import annotations

import os
import shutil
from typing import IO

from gpteval.report.score_table import ScoreTable
from gpteval.report.score_texts import as_text

WIDE = 120  # where nobody looks at a terminal


def terminal_table(table: ScoreTable, where: IO[str]) -> str:
    """As wide as the terminal. The best of each task have a star, and are bold where that can be seen."""
    looked_at = where.isatty()
    width = shutil.get_terminal_size().columns if looked_at or "COLUMNS" in os.environ else WIDE
    plain = not looked_at or "NO_COLOR" in os.environ or os.environ.get("TERM") == "dumb"
    return as_text(table, width, str if plain else lambda cell: f"\x1b[1m{cell}\x1b[0m")

"""From run folders to one self-contained file. Imports no torch, transformers, datasets or evaluate."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


def build_report(
    runs: Sequence[Path],
    out: Path,
    *,
    kind: str = "leaderboard",
    samples: int | None = 20,
    models: Sequence[str] = (),
    split: bool = False,
) -> Path:
    """Write the report of one or more runs to ``out`` and return it.

    ``kind`` is a folder of ``reports/``, or the path of one of your own with a ``template.html`` or ``template.md``.
    ``samples``: items a task with their prompts and outputs, None for all. ``models``: those alone, where some are
    named; the kind ``compare`` is of two. ``split``: the items lie in a folder ``NAME.items`` beside ``NAME.html``, a
    file a task, and are read when they are looked at.
    Of a result that two runs have, the later run's is shown. Raises UsageError for a folder that is no run's
    or a model that none has, StoreError for an unreadable file, OutputError when ``out`` cannot be written.
    """
    from gpteval.report.html import write_report

    return write_report(runs, out, kind, samples, models, split)


__all__ = ["build_report"]

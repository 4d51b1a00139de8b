"""A view of the page that has one chart and one table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

CURVE: Mapping[str, Any] = {  # the layout of a chart with axes of its own; the page's script has colours and sizes
    "meta": {"kind": "curve"},
    "hovermode": "closest",
    "paper_bgcolor": "rgba(0,0,0,0)",
    "plot_bgcolor": "rgba(0,0,0,0)",
}


@dataclass(frozen=True)
class View:
    """``id``: the fragment that opens it. ``intro``: what a reader should know first. ``seen``: the chart for those who
    do not see it. ``figure``: of plotly, ``{"data": [...], "layout": {...}}``. ``rows`` under ``header``: the chart's
    numbers as text.
    """

    id: str
    title: str
    intro: str
    seen: str
    figure: Mapping[str, Any]
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

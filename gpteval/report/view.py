"""A view of the page: charts, and a table with their numbers."""

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
class Chart:
    """``id``: its name in the page, and in the names of its files. ``seen``: what it shows, for those who do not see
    it. ``figure``: of plotly, ``{"data": [...], "layout": {...}}``. ``title``: above it, where a view has several.
    """

    id: str
    seen: str
    figure: Mapping[str, Any]
    title: str = ""


@dataclass(frozen=True)
class Shade:
    """A cell of a table with a background: ``share`` from 0 (none) to 1 (full)."""

    text: str
    share: float


@dataclass(frozen=True)
class View:
    """``id``: the fragment that opens it. ``intro``: what a reader should know first. ``rows`` under ``header``: the
    charts' numbers as text, or with a shade each.
    """

    id: str
    title: str
    intro: str
    charts: tuple[Chart, ...]
    header: tuple[str, ...]
    rows: tuple[tuple[str | Shade, ...], ...]

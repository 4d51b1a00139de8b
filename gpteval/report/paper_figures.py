"""The page's figures as files for a paper: SVG and PDF, in the colours of the light page."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from gpteval.core.errors import OutputError, UsageError
from gpteval.report.charts import family_figure
from gpteval.report.fewshot_view import examples
from gpteval.report.leaderboard import leaderboard
from gpteval.report.training_view import figure, training
from gpteval.report.views import views
from gpteval.store.documents import slug
from gpteval.store.runs import read_runs

FORMATS = ("svg", "pdf")
COLOURS = {  # of style.css, the light page
    "gpt1": "#b45f00",
    "gpt2": "#0072b2",
    "gpt3": "#00805c",
    "gpt4": "#a8447f",
    "other": "#667080",
    "soft": "#5b6470",
    "ink": "#1c2128",
    "line": "#dde1e6",
}
WIDTH, HEIGHT = 720, 400  # pixels
PANELS, ROW, TITLE, TICKS, LEGEND = 3, 26, 46, 30, 34  # panels side by side; heights as on the page
_Figure = Mapping[str, Any]


def write_figures(runs: Sequence[Path], out: Path) -> tuple[Path, ...]:
    """Write every figure of the runs' report into the folder ``out``, an SVG and a PDF each. The files.

    Raises UsageError where the extra ``figures`` is not installed, OutputError where there is no Chromium, which draws
    them, or where a file is there already or cannot be written.
    """
    import plotly.io

    if find_spec("kaleido") is None:
        raise UsageError("figures for a paper need kaleido", "pip install 'gpteval[figures]'")
    found = figures_of(runs)
    files = [(paper(one), out / f"{name}.{kind}") for name, one in found.items() for kind in FORMATS]
    if there := [file for _, file in files if file.exists()]:
        raise OutputError(f"{there[0]} already exists", "name another folder")
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=out) as scratch:  # all are drawn before any is at its place
            drawn = [Path(scratch, file.name) for _, file in files]
            plotly.io.write_images([one for one, _ in files], drawn, validate=False)
            for one, (_, file) in zip(drawn, files, strict=True):
                one.replace(file)
    except OSError as error:
        raise OutputError(f"cannot write to {out}: {error.strerror}", "name another folder") from error
    except Exception as error:  # kaleido's, and those of the browser that it starts
        reason = " ".join(str(error).split())[:200]
        raise OutputError(
            f"the figures cannot be drawn: {type(error).__name__}: {reason}",
            "it takes Chromium or Chrome: install one, or name it in BROWSER_PATH",
        ) from error
    return tuple(file for _, file in files)


def figures_of(runs: Sequence[Path]) -> dict[str, _Figure]:
    """The figures of the page, by the names of their files."""
    data = read_runs(runs)
    shown = examples(data)
    board = leaderboard(data.merged)
    found: dict[str, _Figure] = {
        f"charts-{family}": family_figure(board, columns) for family, columns in board.families()
    }
    found |= {chart.id: chart.figure for view in views(data.merged, board) for chart in view.charts}
    found |= shown.figures | {view.id: figure(view) for view in training(data.merged)}
    return {slug(name): one for name, one in found.items()}


def paper(one: _Figure) -> dict[str, Any]:
    """A figure with places, sizes and colours, which on the page its script gives."""
    panels = one["layout"]["meta"].get("panels")
    layout = {**one["layout"], "font": {"color": COLOURS["ink"], "family": "Helvetica, Arial, sans-serif", "size": 12}}
    layout |= {"legend": {"orientation": "h", "x": 0, "y": 1, "yanchor": "bottom"}, "paper_bgcolor": "white"}
    layout |= _panels(layout) if panels else _single(layout)
    return {"data": [_coloured(trace) for trace in one["data"]], "layout": layout}


def _single(layout: _Figure) -> dict[str, Any]:
    axes = {
        name: {**layout.get(name, {}), **_lines(), "zeroline": False, "automargin": True} for name in ("xaxis", "yaxis")
    }
    return {**axes, "width": WIDTH, "height": HEIGHT, "margin": {"l": 14, "r": 14, "t": LEGEND, "b": 8}}


def _panels(layout: _Figure) -> dict[str, Any]:
    """Each task's axes at their place, as ``drawChart`` of the page has them."""
    count, rows = layout["meta"]["panels"], layout["meta"]["rows"]
    across = min(count, PANELS)
    down, body = math.ceil(count / across), ROW * rows + 8
    height = down * (TITLE + body + TICKS)
    found: dict[str, Any] = {
        "width": WIDTH,
        "height": height + LEGEND,
        "margin": {"l": 14, "r": 14, "t": LEGEND, "b": 0},
    }
    gap = 22 / WIDTH if across > 1 else 0.0
    for number in range(count):
        column, row, key = number % across, number // across, str(number + 1) if number else ""
        bottom = 1 - (row * (TITLE + body + TICKS) + TITLE + body) / height
        x = {"domain": [column / across + (gap if column else 0), (column + 1) / across - gap / 2]}
        y = {"domain": [bottom, bottom + body / height], "showticklabels": column == 0, "automargin": True}
        found[f"xaxis{key}"] = {**layout[f"xaxis{key}"], **_lines(), **x}
        found[f"yaxis{key}"] = {**layout[f"yaxis{key}"], **_lines(), **y}
    return found


def _lines() -> dict[str, str]:
    return dict.fromkeys(("gridcolor", "linecolor", "zerolinecolor"), COLOURS["line"])


def _coloured(trace: _Figure) -> dict[str, Any]:
    own = COLOURS[(trace.get("meta") or {}).get("generation") or trace["legendgroup"]]
    found = {**trace, "marker": {**trace.get("marker", {}), "color": own}}
    found |= {bars: {**trace[bars], "color": own} for bars in ("error_x", "error_y") if trace.get(bars)}
    if trace.get("fill"):
        found["fillcolor"] = f"rgba({', '.join(str(int(own[at : at + 2], 16)) for at in (1, 3, 5))}, 0.13)"
    return found | ({"line": {**trace.get("line", {}), "color": own}} if trace.get("mode") != "markers" else {})

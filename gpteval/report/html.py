"""Rendering: the template of a report kind, with everything inlined, written whole or not at all."""

from __future__ import annotations

import gc
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gpteval
from gpteval.core.atomic import whole
from gpteval.core.errors import OutputError
from gpteval.core.generations import NAMES
from gpteval.core.own import HTML_MARK, REPORT_ELSEWHERE, refuse_others
from gpteval.core.strict import strict_json
from gpteval.report.cautions import cautions
from gpteval.report.charts import family_figure
from gpteval.report.citation import citation
from gpteval.report.costs import API
from gpteval.report.fewshot_view import Examples, examples
from gpteval.report.in_depth import InDepth, in_depth
from gpteval.report.item_files import ItemFiles
from gpteval.report.leaderboard import FAMILY_NAMES, Column, Leaderboard, is_fraction, leaderboard
from gpteval.report.more_columns import more_columns
from gpteval.report.packed import chart_library, packed
from gpteval.report.pairs_view import Paired, paired
from gpteval.report.published_view import agreement, beside
from gpteval.report.report_kinds import LEADERBOARD, kind_folder, template_of
from gpteval.report.samples_view import ITEMS, task_items
from gpteval.report.summary import answer
from gpteval.report.training_view import figure, training
from gpteval.report.views import views
from gpteval.store.runs import Loaded, facts_of, of_models, parts_of, read_runs
from gpteval.store.same import same_weights


def write_report(
    runs: Sequence[Path],
    out: Path,
    kind: str,
    samples: int | None = ITEMS,
    models: Sequence[str] = (),
    split: bool = False,
) -> Path:
    """See :func:`gpteval.report.build_report`."""
    folder = kind_folder(kind)
    data = read_runs(runs)
    data = of_models(data, models) if models else data
    aside = ItemFiles(out) if split else None
    with _nothing_collected():
        text = render(data.merged, folder, paired(data), examples(data), samples, lambda: in_depth(data), aside)
    refuse_others([out], REPORT_ELSEWHERE)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        if aside:
            aside.write()
        with whole(out) as partial:
            partial.write_text(f"{text}\n{HTML_MARK}\n", encoding="utf-8", errors="replace")
    except OSError as error:
        raise OutputError(f"cannot write {out}: {error.strerror}", "choose another file with --out") from error
    return out


@contextmanager
def _nothing_collected() -> Iterator[None]:
    """Of millions of small values none is in a circle: to look for those takes a fifth of the time."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


def render(
    loaded: Loaded,
    folder: Path,
    pairs: Paired,
    shown: Examples | None = None,
    samples: int | None = ITEMS,
    depth: Callable[[], InDepth] | None = None,
    aside: ItemFiles | None = None,
) -> str:
    """The page as a string, with so many items of each task. Everything that comes from models or data is escaped by
    the template, or written as text by its scripts: all .js files of the folder, in the order of their names.
    ``depth``: makes what a page on two models shows, where a template asks for it. ``aside``: takes the items, which
    the page then has not.
    """
    from markupsafe import Markup

    shown = shown or Examples()
    looks = folder if any(_joined(folder, pattern) for pattern in ("*.css", "*.js")) else kind_folder(LEADERBOARD)
    board = leaderboard(loaded, shown.means)
    published = beside(loaded)
    trained = training(loaded)
    figures = {family: family_figure(board, columns) for family, columns in board.families()} | shown.figures
    figures |= {view.id: figure(view) for view in trained}
    more = views(loaded, board)
    figures |= {chart.id: chart.figure for view in more for chart in view.charts}
    return template_of(folder).render(
        title=" + ".join(loaded.names),
        split=aside is not None,
        version=gpteval.__version__,
        answer=answer(board),
        pairs=pairs,
        in_depth=depth,
        better=pairs.better,
        examples=shown,
        trained=trained,
        same=same_weights(facts_of(loaded)),
        views=more,
        more_columns=more_columns(loaded, board),
        behind_api={name for name, facts in facts_of(loaded).items() if facts.get("device") == API},
        cautions=cautions(loaded, board, frozenset(column for _, column in shown.means)),
        published=published,
        agreement=agreement(published),
        pair_data=Markup(script_json(pairs.data)),
        board=board,
        families=board.families(),
        family_names=FAMILY_NAMES,
        generations=NAMES,
        generation_data=Markup(script_json({model.name: model.generation for model in board.models})),
        is_fraction=is_fraction,
        tasks=[_task(loaded, board, column, samples, aside) for column in board.columns],
        failures=[failure for failure in loaded.failures if not failure.get("unavailable")],
        unavailable=[failure for failure in loaded.failures if failure.get("unavailable")],
        dollars=_dollars(loaded),
        remarks=(*loaded.remarks, *shown.remarks),
        citation=citation(loaded, board),
        manifests=[(n, _manifest(m)) for n, m in zip(loaded.names, loaded.manifests, strict=True) if m],
        style=Markup(_joined(looks, "*.css")),
        script=Markup(_joined(looks, "*.js")),
        plotly=Markup(chart_library()),
        figures=Markup(script_json(figures)),
    )


def _joined(folder: Path, pattern: str) -> str:
    """The files of a kind, in the order of their names."""
    return "\n".join(file.read_text(encoding="utf-8") for file in sorted(folder.glob(pattern)))


def script_json(document: object) -> str:
    """JSON that cannot end or alter the script element it stands in."""
    text = json.dumps(document, ensure_ascii=False, allow_nan=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _task(
    loaded: Loaded, board: Leaderboard, column: Column, samples: int | None, aside: ItemFiles | None
) -> dict[str, Any]:
    """What the page of a task shows."""
    rows = [r for r in loaded.rows if r["task"] == column.task and r["shots"] == column.shots]
    facts: dict[str, Any] = {}
    for manifest in loaded.manifests:
        facts |= (manifest.get("tasks") or {}).get(column.task) or {}
    names = list(dict.fromkeys(r["metric"] for r in sorted(rows, key=lambda r: not r.get("primary"))))
    by_model = {(r["model"], r["metric"]): r for r in rows}
    models = [m for m in board.models if any(r["model"] == m.name for r in rows)]
    parts: dict[str, dict[str, Any]] = {}
    wholes = parts_of(loaded.rows)
    for r in loaded.rows:
        if r["shots"] == column.shots and r.get("primary") and wholes.get((r["task"], r["shots"])) == column.task:
            parts.setdefault(r["task"], {})[r["model"]] = r
    in_parts = [m for m in board.models if any(m.name in of_models for of_models in parts.values())]
    files = loaded.samples.get((column.task, column.shots), {})
    items = task_items(files, [m.name for m in models], column, samples)
    text = packed(json.dumps(items, ensure_ascii=False, separators=(",", ":")))
    notes = dict.fromkeys(f"{r['model']}: {note}" for r in rows for note in r["notes"])
    return {
        "column": column,
        "facts": facts,
        "metrics": names,
        "models": [(m, [by_model.get((m.name, metric)) for metric in names]) for m in models],
        "parts": [(name, [of_models.get(m.name) for m in in_parts]) for name, of_models in parts.items()],
        "in_parts": in_parts,
        "notes": list(notes),
        "items": "" if aside else text,
        "beside": aside.add(f"items={column.id}", text) if aside else "",
        "shown": len(items["items"]),
        "of": items["of"],
    }


def _dollars(loaded: Loaded) -> dict[str, float]:
    """What the answers of models behind an API cost. All metrics of a task share it; a benchmark's parts have it, the
    benchmark has none.
    """
    costs: dict[str, float] = {}
    for row in loaded.rows:
        if row.get("primary") and isinstance(row.get("dollars"), int | float):
            costs[row["model"]] = costs.get(row["model"], 0.0) + row["dollars"]
    return costs


def _manifest(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """A manifest's parts for people, and the whole as text without the list of files."""
    whole = {key: value for key, value in manifest.items() if key != "samples"}
    return {
        "command": manifest.get("command", ""),
        "facts": {key: manifest[key] for key in ("created", "gpteval", "git") if manifest.get(key)}
        | {k: v for group in ("config", "versions", "hardware") for k, v in (manifest.get(group) or {}).items()},
        "models": manifest.get("models") or {},
        "json": strict_json(whole, 2),
    }

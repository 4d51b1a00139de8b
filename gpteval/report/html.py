"""Rendering: the template of a report kind, with everything inlined, written whole or not at all."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import gpteval
from gpteval.core.content import content_dir
from gpteval.core.errors import OutputError, UnknownNameError
from gpteval.report.charts import COLOURS, family_figure
from gpteval.report.load import SAMPLES, Loaded, load_runs, read_samples
from gpteval.report.tables import (
    FAMILY_NAMES,
    GENERATIONS,
    Column,
    Leaderboard,
    is_fraction,
    leaderboard,
    show,
    show_interval,
)

LONGEST = 2000  # characters of a prompt or output that are shown
CHOICES = 8  # continuations of an item that are shown, the right and the chosen one always among them
_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


def write_report(runs: Sequence[Path], out: Path, kind: str) -> Path:
    """See :func:`gpteval.report.build_report`."""
    kinds = {p.parent.name: p.parent for p in content_dir("reports").glob("*/template.html")}
    if kind not in kinds:
        raise UnknownNameError("report", kind, kinds)
    text = render(load_runs(runs), kinds[kind])
    partial = out.with_name(out.name + ".partial")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(text, encoding="utf-8", errors="replace")
        partial.replace(out)
    except OSError as error:
        raise OutputError(f"cannot write {out}: {error.strerror}", "choose another file with --out") from error
    return out


def render(loaded: Loaded, folder: Path) -> str:
    """The page as a string. Everything that comes from models or data is escaped by the template."""
    import jinja2
    from markupsafe import Markup
    from plotly.offline import get_plotlyjs

    from gpteval.report.summary import sentences

    board = leaderboard(loaded)
    figures = {family: family_figure(board, columns) for family, columns in board.families()}
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
        autoescape=True,
        finalize=printable,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"clip": clip, "show": show, "interval": show_interval, "pieces": clip_words}
    return environment.get_template("template.html").render(
        title=" + ".join(loaded.names),
        version=gpteval.__version__,
        sentences=sentences(board),
        board=board,
        families=board.families(),
        family_names=FAMILY_NAMES,
        generations=GENERATIONS,
        colours=COLOURS,
        is_fraction=is_fraction,
        tasks=[_task(loaded, board, column) for column in board.columns],
        failures=loaded.failures,
        remarks=loaded.remarks,
        manifests=[(n, m) for n, m in zip(loaded.names, loaded.manifests, strict=True) if m],
        style=Markup((folder / "style.css").read_text(encoding="utf-8")),
        script=Markup((folder / "script.js").read_text(encoding="utf-8")),
        plotly=Markup(get_plotlyjs().replace("</script", "<\\/script")),
        figures=Markup(script_json(figures)),
    )


def script_json(document: object) -> str:
    """JSON that cannot end or alter the script element it stands in."""
    text = json.dumps(document, ensure_ascii=False, allow_nan=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def printable(value: object) -> object:
    """What the template prints, without control characters and lone surrogates. Markup of our own passes."""
    return _CONTROLS.sub("\ufffd", value) if type(value) is str else value


def clip(text: object, longest: int = LONGEST) -> str:
    """At most ``longest`` characters, with a note on those that are not shown."""
    whole = str(text)
    if len(whole) <= longest:
        return whole
    return f"{whole[: longest // 2]} [... {len(whole) - longest:,} characters not shown ...] {whole[-longest // 2 :]}"


def clip_words(text: object) -> str:
    return clip(text, 300)


def _task(loaded: Loaded, board: Leaderboard, column: Column) -> dict[str, Any]:
    """What the page of a task shows."""
    rows = [r for r in loaded.rows if r["task"] == column.task and r["shots"] == column.shots]
    order = {m.name: n for n, m in enumerate(board.models)}
    facts: dict[str, Any] = {}
    for manifest in loaded.manifests:
        facts |= manifest.get("tasks", {}).get(column.task, {})
    names = list(dict.fromkeys(r["metric"] for r in sorted(rows, key=lambda r: not r.get("primary"))))
    by_model = {(r["model"], r["metric"]): r for r in rows}
    models = sorted({r["model"] for r in rows}, key=lambda name: order[name])
    return {
        "column": column,
        "facts": facts,
        "metrics": names,
        "models": [(name, [by_model.get((name, metric)) for metric in names]) for name in models],
        "items": _items(loaded.samples.get((column.task, column.shots), {}), models, column),
        "n": max((r["n"] for r in rows), default=0),
    }


def _items(files: Mapping[str, Path], models: Sequence[str], column: Column) -> list[dict[str, Any]]:
    """The first items, with each model's answer. The same items for all models."""
    found: dict[str, dict[str, dict[str, Any]]] = {}
    wanted: list[str] | None = None
    for model in models:
        if model in files:
            rows = read_samples(files[model], wanted)
            wanted = wanted or [row["item_id"] for row in rows]
            for row in rows:
                found.setdefault(row["item_id"], {})[model] = row
    items = []
    for item_id, answers in list(found.items())[:SAMPLES]:
        shown = [(model, _answer(answers[model], column)) for model in models if model in answers]
        right = [a["right"] for _, a in shown if a["right"] is not None]
        state = "none" if not right else "right" if all(right) else "wrong" if not any(right) else "split"
        first = next(iter(answers.values()))
        items.append({"id": item_id, "prompt": first["prompt"], "row": first, "answers": shown, "state": state})
    return items


def _answer(row: dict[str, Any], column: Column) -> dict[str, Any]:
    """One model's answer to an item: scored choices, a generated text, or a whole text's score."""
    value = row["values"].get(column.metric)
    binary = column.metric.startswith("acc") or column.metric == "exact_match"
    if row.get("choices") and len(row["choices"]) > 1:
        right = None if row.get("prediction") is None else row["prediction"] == row["gold"]
    else:
        right = bool(value) if binary and value is not None else None
    return {
        "row": row,
        "right": right,
        "choices": _choices(row),
        "value": None if value is None else show(value, column.metric),
    }


def _choices(row: Mapping[str, Any]) -> list[dict[str, Any]]:
    texts, logprobs = row.get("choices") or [], row.get("logprobs") or []
    every = [
        {
            "text": text,
            "logprob": f"{logprobs[n]:.2f}" if n < len(logprobs) else "",
            "gold": n == row.get("gold"),
            "chosen": n == row.get("prediction"),
        }
        for n, text in enumerate(texts)
    ]
    if len(every) <= CHOICES:
        return every
    kept = [c for c in every if c["gold"] or c["chosen"]]
    likely = sorted(range(len(logprobs)), key=lambda n: -logprobs[n])
    kept += [every[n] for n in likely if every[n] not in kept][: CHOICES - len(kept)]
    return [c for c in every if c in kept]

"""``gpteval samples``: the stored records of a model on a task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from gpteval.cli.console import say
from gpteval.cli.one import one_item
from gpteval.cli.options import ItemId, Json
from gpteval.core.errors import UsageError
from gpteval.core.strict import strict_json
from gpteval.store.answered import rows_of


def samples(
    run: Annotated[Path, typer.Argument(help="the run's folder")],
    model: Annotated[str, typer.Option(help="the model's name")],
    task: Annotated[str, typer.Option(help="the task's name")],
    shots: Annotated[int | None, typer.Option(help="which number of examples, when there are several")] = None,
    wrong: Annotated[bool, typer.Option("--wrong", help="only what the model got wrong")] = False,
    item: ItemId = None,
    differ: Annotated[
        str, typer.Option(help="another model: only items that one of the two got right, with both answers")
    ] = "",
    limit: Annotated[int | None, typer.Option(help="at most this many")] = None,
    page: Annotated[bool, typer.Option("--page", help="a screen at a time, by $PAGER")] = False,
    jsonl: Annotated[bool, typer.Option("--jsonl", help="one JSON object a line")] = False,
    as_json: Json = False,
) -> None:
    """Print what models were asked, and what they answered.

    A run's records: prompts, choices, log-probs, generated text, metrics. A choice is marked by * where it is the right
    one, by > where the model chose it.
    """
    from gpteval.cli.samples_console import MARKS, item_lines

    form = "json" if as_json else "jsonl" if jsonl else "text"
    found = {name: rows_of(run, name, task, shots) for name in dict.fromkeys(filter(None, (model, differ)))}
    ids = [row["item_id"] for row in found[model]]
    if item is not None:
        ids = [one_item(ids, item, task)]
    if wrong or differ:
        right = {name: _right(run, name, task, rows) for name, rows in found.items()}
        ids = [i for i in ids if not wrong or right[model].get(i) is False]
        ids = [i for i in ids if not differ or (i in right[differ] and right[model].get(i) != right[differ][i])]
    by_id = {name: {row["item_id"]: row for row in rows} for name, rows in found.items()}
    ids = ids[:limit]
    if form == "text":
        blocks = ["\n".join(item_lines({name: by_id[name][i] for name in found if i in by_id[name]})) for i in ids]
        head = [f"({MARKS})"] if any(row.get("choices") for row in found[model]) else []
        _show("\n".join([*head, *blocks]) if blocks else "no such items", page)
        return
    rows = [_document(by_id[name][i], name if differ else "") for i in ids for name in found if i in by_id[name]]
    say(strict_json(rows, 1) if form == "json" else "\n".join(map(strict_json, rows)))


def _document(row: Mapping[str, Any], model: str) -> dict[str, Any]:
    """A record as JSON has it; with the model's name where there are two."""
    known = {"model": model} if model else {}
    own = {key: value for key, value in row.items() if value is not None and key not in ("values", "stats")}
    return known | own | {"metrics": row["values"]}


def _show(text: str, page: bool) -> None:
    if not page:
        say(text)
        return
    import pydoc

    from gpteval.core.text import visible

    pydoc.pager(visible(text))


def _right(run: Path, model: str, task: str, rows: Sequence[Mapping[str, Any]]) -> dict[str, bool]:
    """Of each item whether the model is right, by the task's primary metric, or by plain accuracy. Raises UsageError
    where neither says so.
    """
    from gpteval.metrics.stored import metric_of
    from gpteval.store.runs import read_runs

    own = [row for row in read_runs([run]).merged.rows if (row["model"], row["task"]) == (model, task)]
    primary = next((row for row in own if row.get("primary")), None)
    metric = metric_of(primary) if primary else None
    name = metric.name if metric is not None and metric.kind == "binary" else "acc"
    found = {row["item_id"]: row["values"][name] == 1 for row in rows if row["values"].get(name) in (0, 1)}
    if not found:
        has = ", ".join(dict.fromkeys(row["metric"] for row in own)) or "no metric"
        raise UsageError(
            f"{task} has no right and wrong answers: it has {has}", "leave --wrong and --differ out, or choose a task"
        )
    return found

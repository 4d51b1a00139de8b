"""The samples of a run: a Parquet file for each model, task and number of examples, a row an item."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gpteval.core.documents import AGAIN
from gpteval.core.errors import StoreError
from gpteval.core.types import Choice, Failed, Generate, Generated, Outcome, Record, Rolled, Scored
from gpteval.metrics.choice import prediction


def read_samples(
    path: Path, columns: Sequence[str] | None = None, ids: Sequence[str] | None = None
) -> list[dict[str, Any]]:
    """The rows of a file, or those with these item ids; ``values`` and ``stats`` parsed.

    Raises StoreError for a file that is missing, damaged, or no samples file.
    """
    import pyarrow.parquet as pq

    wanted = None if ids is None else [("item_id", "in", list(ids))]
    try:
        rows: list[dict[str, Any]] = pq.read_table(path, columns=columns, filters=wanted).to_pylist()
        return [_checked(row) for row in rows]
    except Exception as error:  # of a garbled file the library raises many kinds
        raise StoreError(f"{path.name} cannot be read: {error}", AGAIN) from error


def _checked(row: dict[str, Any]) -> dict[str, Any]:
    """A row with its texts, of which those that another version did not write are empty. Raises ValueError."""
    if not isinstance(row["item_id"], str) or not isinstance(row.get("prompt", ""), str):
        raise ValueError("a row has no text where one belongs")
    parsed = {"values": _numbers(row.get("values") or "{}"), "stats": json.loads(row.get("stats") or "{}")}
    return {"prompt": "", **row, **parsed}


def _numbers(text: str) -> dict[str, float]:
    """A JSON object of numbers. Raises ValueError or TypeError."""
    return {str(name): float(value) for name, value in dict(json.loads(text)).items()}


def is_truncated(outcome: Outcome) -> bool:
    """Whether the window did not hold all of the prompt, or all of the answer."""
    if isinstance(outcome, Generated) and outcome.limit_cut:
        return True
    return isinstance(outcome, Scored | Generated) and bool(outcome.shots_dropped or outcome.tokens_cut)


def samples_parquet(records: Sequence[Record]) -> bytes:
    """The records as a Parquet file: one row an item, columns as in ``docs/results.md``."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema(
        [
            ("item_id", pa.string()),
            ("prompt", pa.string()),
            ("prompt_hash", pa.string()),
            ("choices", pa.list_(pa.string())),
            ("logprobs", pa.list_(pa.float64())),
            ("token_counts", pa.list_(pa.int64())),
            ("neutral_logprobs", pa.list_(pa.float64())),
            ("gold", pa.int64()),
            ("prediction", pa.int64()),
            ("generated", pa.string()),
            ("references", pa.list_(pa.string())),
            ("finish", pa.string()),
            ("truncated", pa.bool_()),
            ("shots_dropped", pa.int64()),
            ("tokens_cut", pa.int64()),
            ("error", pa.string()),
            ("values", pa.string()),
            ("stats", pa.string()),
        ]
    )
    table = pa.Table.from_pylist([_sample(record) for record in records], schema=schema)
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd")
    return buffer.getvalue()


def _sample(record: Record) -> dict[str, Any]:
    request, outcome = record.prompt.request, record.outcome
    dropped = outcome.shots_dropped if isinstance(outcome, Scored | Generated) else 0
    row: dict[str, Any] = {
        "item_id": record.item_id,
        "prompt": record.prompt.text(dropped),
        "prompt_hash": record.prompt.hash,
        "truncated": is_truncated(outcome),
        "shots_dropped": dropped,
        "values": json.dumps(record.values),
        "stats": json.dumps(record.stats),
    }
    if isinstance(request, Choice):
        row |= {"choices": list(request.continuations), "gold": request.gold}
    if isinstance(request, Generate):
        row["references"] = list(request.references)
    match outcome:
        case Scored():
            row |= {
                "logprobs": [score.logprob for score in outcome.scores],
                "token_counts": [score.tokens for score in outcome.scores],
                "neutral_logprobs": [score.logprob for score in outcome.neutral] or None,
                "prediction": prediction(request, outcome) if len(outcome.scores) > 1 else None,
                "tokens_cut": outcome.tokens_cut,
            }
        case Rolled():
            row |= {"logprobs": [outcome.logprob], "token_counts": [outcome.tokens]}
        case Generated():
            row |= {"generated": outcome.text, "finish": outcome.finish, "tokens_cut": outcome.tokens_cut}
            row["token_counts"] = [outcome.tokens]
        case Failed():
            row["error"] = outcome.error
    return {key: _printable(value) for key, value in row.items()}


def _printable(value: Any) -> Any:
    """Text that can be written as UTF-8: lone surrogates become '?'."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8")
    return [_printable(v) for v in value] if isinstance(value, list) else value

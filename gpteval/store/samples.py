"""The samples of a run: a Parquet file for each model, task and number of examples, a row an item."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import IO, Any

from gpteval.core.kinds import kind_of
from gpteval.core.outcomes import Failed, Generated, Outcome, Record, Repeated, Rolled, Scored
from gpteval.core.strict import strict_json
from gpteval.core.types import Choice, Generate
from gpteval.metrics.choice import prediction


def is_truncated(outcome: Outcome) -> bool:
    """Whether the window did not hold all of the prompt, or all of the answer."""
    if isinstance(outcome, Repeated):
        return any(map(is_truncated, outcome.outcomes))
    if isinstance(outcome, Generated) and outcome.limit_cut:
        return True
    return isinstance(outcome, Scored | Generated) and bool(outcome.shots_dropped or outcome.tokens_cut)


def samples_schema() -> Any:
    """The columns, as in ``docs/results.md``."""
    import pyarrow as pa

    return pa.schema(
        [
            ("item_id", pa.string()),
            ("prompt", pa.string()),
            ("prompt_hash", pa.string()),
            ("cluster", pa.string()),
            ("choices", pa.list_(pa.string())),
            ("logprobs", pa.list_(pa.float64())),
            ("token_counts", pa.list_(pa.int64())),
            ("neutral_logprobs", pa.list_(pa.float64())),
            ("gold", pa.int64()),
            ("prediction", pa.int64()),
            ("generated", pa.string()),
            ("thought", pa.string()),
            ("taken", pa.string()),
            ("answers", pa.list_(pa.string())),
            ("answers_taken", pa.list_(pa.string())),
            ("answers_values", pa.list_(pa.float64())),
            ("letter_share", pa.float64()),
            ("references", pa.list_(pa.string())),
            ("finish", pa.string()),
            ("truncated", pa.bool_()),
            ("shots_dropped", pa.int64()),
            ("tokens_cut", pa.int64()),
            ("answer", pa.string()),
            ("error", pa.string()),
            ("values", pa.string()),
            ("stats", pa.string()),
            ("blocks", pa.string()),
            ("tokens", pa.list_(pa.int32())),
            ("top_tokens", pa.list_(pa.int32())),
            ("top_logprobs", pa.list_(pa.float32())),
        ]
    )


@contextmanager
def samples_writer(handle: IO[bytes]) -> Iterator[Callable[[Sequence[Record]], None]]:
    """A function that appends records to a Parquet file, one row an item."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = samples_schema()
    with pq.ParquetWriter(handle, schema, compression="zstd") as writer:
        yield lambda records: writer.write_table(pa.Table.from_pylist(list(map(_sample, records)), schema=schema))


def _sample(record: Record) -> dict[str, Any]:
    request, outcome = record.prompt.request, record.outcome
    several: dict[str, Any] = {}
    if isinstance(outcome, Repeated):  # a row shows the first, and has all of them beside
        texts = [(one.text, one.taken if isinstance(one, Generated) else None) for one in outcome.outcomes]
        several = {"answers": [text for text, _ in texts], "answers_values": list(record.answers)}
        several |= {"answers_taken": [taken for _, taken in texts]} if any(t is not None for _, t in texts) else {}
        several["truncated"] = is_truncated(outcome)
        outcome = outcome.outcomes[0]
    dropped = outcome.shots_dropped if isinstance(outcome, Scored | Generated) else 0
    row: dict[str, Any] = {
        "item_id": record.item_id,
        "prompt": record.prompt.text(dropped),
        "prompt_hash": record.prompt.hash,
        "cluster": record.prompt.cluster or None,
        "truncated": is_truncated(outcome),
        "shots_dropped": dropped,
        "values": strict_json(record.values),
        "stats": json.dumps(record.stats),
        "answer": kind_of(outcome.error if isinstance(outcome, Failed) else ""),
    }
    if not isinstance(outcome, Rolled):
        row["thought"] = outcome.thought or None
    if record.blocks:
        row["blocks"] = json.dumps(record.blocks)
    if isinstance(request, Choice):
        row |= {"choices": list(request.answers), "gold": request.gold}
    if isinstance(request, Generate):
        row["references"] = list(request.references)
    match outcome:
        case Scored():
            row |= {
                "logprobs": [score.logprob for score in outcome.scores],
                "token_counts": [score.tokens for score in outcome.scores],
                "neutral_logprobs": [score.logprob for score in outcome.neutral] or None,
                "prediction": prediction(request, outcome) if len(outcome.scores) > 1 else None,
                "generated": outcome.text or None,
                "letter_share": outcome.share,
                "tokens_cut": outcome.tokens_cut,
            }
        case Rolled():
            row |= {"logprobs": [outcome.logprob], "token_counts": [outcome.tokens]}
            if (top := outcome.top) is not None:
                row |= {"tokens": top.tokens, "top_tokens": top.ids, "top_logprobs": top.logprobs}
        case Generated():
            row |= {"generated": outcome.text, "finish": outcome.finish, "tokens_cut": outcome.tokens_cut}
            row |= {"token_counts": [outcome.tokens], "taken": outcome.taken}
        case Failed():
            row |= {"error": outcome.error, "generated": outcome.text or None}
    return {key: _printable(value) for key, value in (row | several).items()}


def _printable(value: Any) -> Any:
    """Text that can be written as UTF-8: lone surrogates become '?'."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8")
    return [_printable(v) for v in value] if isinstance(value, list) else value

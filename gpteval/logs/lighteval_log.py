"""lighteval's details: a Parquet file a task, with structs of the document, the answer and the metrics."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from gpteval.core.errors import GptevalError
from gpteval.core.outcomes import Generated, Outcome, Score, Scored
from gpteval.core.types import Choice, Generate, Request
from gpteval.logs.log import BadItem, Log, LogItem, LogModel, LogTask
from gpteval.logs.parsing import LogError, listing, mapping, named, number, text

_FILE = re.compile(r"details_(?P<task>.+)_(?P<date>\d{4}-\d\d-\d\dT.*)\.parquet")
_COLUMNS = ("__doc__", "__model_response__", "__metric__")
_NAMES = {"acc": "acc", "acc_norm": "acc_char", "em": "exact_match"}
_ROWS = 1024


class Lighteval:
    """The reader. Its files lie in details/MODEL/DATE."""

    name = "lighteval"

    def files(self, path: Path) -> tuple[Path, ...]:
        if path.is_file():
            return (path,) if _FILE.fullmatch(path.name) else ()
        found = (sorted(path.glob(f"{depth}details_*.parquet")) for depth in ("", "*/", "*/*/", "details/*/*/"))
        return next((tuple(files) for files in found if files), ())

    def read(self, files: tuple[Path, ...]) -> Log:
        return Log(self.name, files, self._items(files))

    @staticmethod
    def _items(files: tuple[Path, ...]) -> Iterator[LogItem | BadItem]:
        import pyarrow
        import pyarrow.parquet as pq

        for file in files:
            name = _FILE.fullmatch(file.name)
            assert name is not None
            suite, *rest = name["task"].split("|")
            shots = rest[-1] if rest and rest[-1].isdigit() else "0"
            names = [part for part in rest if not part.isdigit()] or [suite]
            folder = file.parent.parent.name
            task = LogTask(LogModel(folder), named(names[0]), int(shots))
            try:
                with pq.ParquetFile(file) as table:
                    number_of = 0
                    for batch in table.iter_batches(_ROWS, columns=list(_COLUMNS)):
                        for row in batch.to_pylist():
                            number_of += 1
                            try:
                                yield _item(task, row)
                            except (ValueError, TypeError, KeyError, IndexError, GptevalError) as error:
                                yield BadItem(task, f"{file.name}, row {number_of}", str(error))
            except (pyarrow.ArrowException, OSError) as error:
                raise LogError(f"{file.name} cannot be read: {error}", "is it a file of details?") from error


def _item(task: LogTask, row: Mapping[str, Any]) -> LogItem:
    doc, answer, metrics = (mapping(row.get(name)) for name in _COLUMNS)
    asked = text(doc["query"], "the query")
    golds = doc["gold_index"] if isinstance(doc["gold_index"], list) else [doc["gold_index"]]
    choices = [text(one, "a choice") for one in listing(doc.get("choices"))]
    logprobs = listing(answer.get("logprobs"))
    request: Request
    outcome: Outcome
    if len(choices) > 1 and len(logprobs) == len(choices):
        request = Choice(asked, choices, int(golds[0]))
        outcome = Scored(tuple(Score(number(one), 1, False) for one in logprobs))
    else:
        request = Generate(asked, [choices[int(place)] for place in golds] or [""], (), 256)
        texts = listing(answer.get("text"))
        outcome = Generated(text(texts[0], "the answer") if texts else "", "stop", 0)
    names = _NAMES if isinstance(request, Choice) else {"em": "exact_match"}
    numbers = {names.get(key, named(key)): value for key, value in metrics.items() if isinstance(value, int | float)}
    left_out = tuple(named(key) for key, value in metrics.items() if not isinstance(value, int | float | None))
    return LogItem(task, request, outcome, {key: (number(value), 1.0) for key, value in numbers.items()}, left_out)

"""``answers:FILE``: answers that are there already, of a service, of people or in another harness' log, as a model."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from string import ascii_uppercase
from typing import Any, cast

from gpteval.backends.interface import GIVEN, GREEDY, Backend, Batches, PlainModel
from gpteval.backends.opening import Opening
from gpteval.backends.query_plan import Plan
from gpteval.core.errors import ModelError, NotAvailable
from gpteval.core.outcomes import Cost, Failed, Generated, Outcome, Score, Scored
from gpteval.core.show import counted
from gpteval.core.types import Choice, Generate, Prompt, Rolling
from gpteval.data.files import read_file
from gpteval.logs.log import LogItem
from gpteval.logs.readers import reader_of
from gpteval.models.catalogue import ModelInfo
from gpteval.tokens.queries import Query, QueryResult

IDS, PROMPTS, ANSWERS = ("item_id", "id"), ("prompt",), ("answer", "response", "output")  # columns, the first there
NONE = "no answer to this item is in the file"
SHOWN = 3
_BATCH = 4096


@dataclass(frozen=True)
class GivenQuery:
    """What the file has for an item: its answer as text, None where it has none."""

    item: str
    answer: str | None
    length: int = 0
    written: int = 0

    def key(self, model_key: str) -> bytes:
        content = json.dumps([model_key, "given", self.item, self.answer])
        return hashlib.blake2b(content.encode("utf-8", "surrogatepass"), digest_size=16).digest()


@dataclass(frozen=True)
class GivenPrompt:
    """A prompt with its answer."""

    request: Choice | Generate
    own_bos = False

    def outcome(self, results: Sequence[QueryResult | None]) -> Outcome:
        (result,) = results
        assert result is not None
        if result.error:
            return Failed(result.error, Cost())
        if isinstance(self.request, Generate):
            return Generated(result.text, "stop", 0)
        chosen = chosen_of(self.request, result.text)
        if chosen is None:
            none = "no choice: the answer is none of the choices, no letter and no index"
            return Failed(none, answered=True, text=result.text)
        places = range(len(self.request.continuations))
        return Scored(tuple(Score(None, 1, place == chosen) for place in places), text=result.text)


def chosen_of(request: Choice, answer: str) -> int | None:
    """The choice that an answer names: by its text, its letter (A is the first), or its index (0 is the first)."""
    bare = answer.strip()
    texts = [text.strip() for text in request.answers]
    if bare in texts:
        return texts.index(bare)
    letter = bare.rstrip(".)").lstrip("(").upper()
    if len(letter) == 1 and letter in ascii_uppercase[: len(texts)]:
        return ascii_uppercase.index(letter)
    return int(bare) if bare.isdecimal() and int(bare) < len(texts) else None


@dataclass
class Given:
    """A file's answers, by item and by prompt, and what became of them."""

    by: dict[str, str] = field(default_factory=dict)
    doubled: int = 0
    rows: int = 0

    def add(self, names: Iterable[str], answer: str) -> None:
        """The first answer to an item counts."""
        self.rows += 1
        known = [self.by.setdefault(name, answer) for name in names]
        self.doubled += any(one != answer for one in known)


class GivenAnswers(Backend):
    """The backend. An item is found by its id, by its prompt, or, in a log, by all that was asked of it."""

    can = frozenset({GIVEN, GREEDY})

    def __init__(self, info: ModelInfo, given: Given, digest: str, most_missing: float) -> None:
        self.model = PlainModel(info, depends_on=digest)
        self.given, self.most_missing = given, most_missing
        self._used: set[str] = set()
        self._missing = 0

    @classmethod
    def open(cls, info: ModelInfo, opening: Opening) -> GivenAnswers:
        """Raises ModelError, DataError or LogError for a file that cannot be read."""
        path = Path(info.location).expanduser()
        if not path.exists():
            raise ModelError(f"{info.name}: there is no file {path.name}", "give JSON lines, CSV, Parquet, or a log")
        given = Given()
        for names, answer in _of_log(path) if reader_of(path) else _of_rows(path):
            given.add(names, answer)
        if not given.by:
            raise ModelError(f"{info.name}: {path.name} has no answers", f"columns are {IDS[0]} or prompt, and answer")
        content = json.dumps(sorted(given.by.items()))
        digest = hashlib.blake2b(content.encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()
        return cls(info, given, digest, opening.most_missing)

    def plan(self, prompts: Sequence[Prompt]) -> Plan:
        """Raises NotAvailable for texts that are to be scored, ModelError where too many items have no answer."""
        queries: dict[bytes, Query] = {}
        keys, planned, missing = [], [], []
        for prompt in prompts:
            if isinstance(prompt.request, Rolling):
                raise NotAvailable("answers say nothing of how likely a text is")
            names = (prompt.item_id, prompt.text(), prompt.hash)
            name = next((name for name in names if name in self.given.by), None)
            if name is None:
                missing.append(prompt.item_id)
            else:
                self._used.add(name)
            query = GivenQuery(prompt.item_id, None if name is None else self.given.by[name])
            key = query.key(self.model.key)
            queries[key] = query
            keys.append((key,))
            planned.append(GivenPrompt(prompt.request))
        if len(missing) > self.most_missing * len(prompts):
            several = f"{len(missing)} of {counted(len(prompts), 'item')}: {', '.join(missing[:SHOWN])}"
            raise ModelError(
                f"{self.model.info.name} has no answer to {several}{', …' if len(missing) > SHOWN else ''}",
                "'gpteval samples' shows items with their ids; --max-bad-rows says how many may be missing",
            )
        self._missing = len(missing)
        return Plan(planned, keys, queries)

    def compute(self, plan: Plan, known: Collection[bytes], *, part: int = 0, of: int = 1) -> Batches:
        batch: dict[bytes, QueryResult] = {}
        for key in list(plan.queries)[part::of]:
            if key not in known:
                query = cast(GivenQuery, plan.queries[key])
                batch[key] = QueryResult(0, error=NONE) if query.answer is None else QueryResult(0, text=query.answer)
            if len(batch) >= _BATCH:
                yield batch
                batch = {}
        if batch:
            yield batch

    def notes(self) -> list[str]:
        found = ["the answers were given, not computed here"]
        if self._missing:
            found.append(f"{counted(self._missing, 'item')} without an answer")
        if self.given.doubled:
            found.append(f"{counted(self.given.doubled, 'answer')} to an item that has another one: the first counts")
        if self.given.rows > len(self._used):
            found.append(
                f"{self.given.rows - len(self._used)} of the file's answers are to no item that was asked so far"
            )
        return found


_Answers = Iterator[tuple[tuple[str, ...], str]]  # the names of an item, and the answer


def _of_rows(path: Path) -> _Answers:
    """Raises ModelError naming the row."""
    rows, _ = read_file(path, path.name)
    for number, row in enumerate(rows, 1):
        names = [str(value) for columns in (IDS, PROMPTS) if (value := _first(row, columns)) not in (None, "")]
        answer = _first(row, ANSWERS)
        if not names or answer is None:
            lacks = f"{IDS[0]} or prompt" if not names else ANSWERS[0]
            raise ModelError(f"{path.name}, row {number} has no {lacks}", f"it has {', '.join(map(str, row))}")
        yield tuple(names), str(answer)


def _first(row: Mapping[str, Any], columns: Sequence[str]) -> Any:
    return next((row[name] for name in columns if row.get(name) is not None), None)


def _of_log(path: Path) -> _Answers:
    """Of a log each text, and each choice by its index."""
    found = reader_of(path)
    assert found is not None
    for item in found[0].read(found[1]).items:
        if isinstance(item, LogItem):
            answer = _answer(item.request, item.outcome)
            if answer is not None:
                yield (Prompt("", item.request).hash,), answer


def _answer(request: object, outcome: Outcome) -> str | None:
    from gpteval.metrics.choice import prediction

    if isinstance(outcome, Generated):
        return outcome.text
    if isinstance(outcome, Scored) and isinstance(request, Choice) and len(request.continuations) > 1:
        return str(prediction(request, outcome))
    return None

"""What both kinds of API have in common: requests out, answers in as they come, their cost and whose they are."""

from __future__ import annotations

import json
import threading
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from gpteval.api.client import Client, Document, Malformed, Rejected
from gpteval.api.model import ApiModel
from gpteval.api.prices import Budget, Price, price_of
from gpteval.core.errors import ModelError, UsageError
from gpteval.core.types import Prompt
from gpteval.engine.engine import Estimate, Plan
from gpteval.engine.rows import RowResult

CONTENT_FILTER = "content filter"  # how the error of an answer begins that a filter stopped


class ApiEngine(ABC):
    """Asks one model. Raises UsageError where a price is needed and not known."""

    alike = False
    path = ""

    def __init__(self, model: ApiModel, budget: Budget) -> None:
        self.model, self.options, self.budget = model, model.options, budget
        self.price: Price | None = price_of(model.info.location, self.options.prices)
        if self.options.max_cost is not None and self.price is None:
            raise UsageError(
                f"--max-cost needs the price of {model.info.location}, which is not known", "give it with --prices FILE"
            )
        self.client = Client(self.options, self.path)
        self.answered_as = ""
        self.served_by: set[str] = set()  # the system fingerprints
        self.lock = threading.Lock()
        self._ready = False

    @abstractmethod
    def plan(self, prompts: Sequence[Prompt]) -> Plan:
        """What prompts need. Raises ItemError naming the item, TaskError for what cannot be asked."""

    @abstractmethod
    def prepare(self) -> None:
        """Find out, before the first batch, how the server answers. Raises ModelError where it cannot be used."""

    @abstractmethod
    def body(self, row: Any) -> dict[str, Any]:
        """The request for a row, without the model's name."""

    @abstractmethod
    def read(self, row: Any, document: Document) -> RowResult:
        """A row's result from the answer. Raises Malformed."""

    @abstractmethod
    def expected(self, row: Any) -> tuple[int, int]:
        """Tokens that a row will read and may write; about, where the tokenizer is not known."""

    def rejected(self, row: Any, error: Rejected) -> RowResult:
        """What a rejection means for a row. Raises Malformed where it is to be asked again, otherwise."""
        kind = f"{CONTENT_FILTER}: " if error.code == "content_filter" else "the server rejects it: "
        return RowResult(0, error=kind + error.message)

    def recall(self, results: Iterable[RowResult]) -> None:
        """Take answers of an earlier command. Raises ModelError where they are another model's."""
        for result in results:
            if result.extra:
                self._belongs(json.loads(result.extra).get("as", ""))

    def compute(
        self, plan: Plan, known: Collection[bytes], *, part: int = 0, of: int = 1
    ) -> Iterator[dict[bytes, RowResult]]:
        """Ask for the rows that are not ``known``, and give each answer at once; all of them, requests know no batches.
        Raises ModelError; what was answered until then was given.
        """
        wanted = [key for key in plan.rows if key not in known]
        if not wanted:
            return
        if not self._ready:
            self.prepare()
            self._ready = True
        for key, result in self.client.ask_all(wanted, _Exchange(self, plan.rows)):
            yield {key: result}

    def set_aside(self, row: Any) -> float:
        """Set aside the dollars that a row may cost. Raises ModelError where that goes beyond the limit."""
        most = 0.0 if self.price is None else self.price.of(*self.expected(row))
        self.budget.commit(most)
        return most

    def take(self, row: Any, document: Document, seconds: float) -> RowResult:
        """A row's result with its cost, and whose it is. Raises Malformed, ModelError for another model's."""
        result = self.read(row, document)
        usage = document.get("usage")
        try:
            tokens = [int(usage[name]) for name in ("prompt_tokens", "completion_tokens")]  # type: ignore[index]
        except (TypeError, KeyError, ValueError):
            tokens = list(self.expected(row))
        name = str(document.get("model") or "")
        self._belongs(name)
        with self.lock:
            if document.get("system_fingerprint"):
                self.served_by.add(str(document["system_fingerprint"]))
        told = json.loads(result.extra) if result.extra else {}
        extra = json.dumps(told | {"as": name, "in": tokens[0], "out": tokens[1]})
        return replace(result, seconds=seconds, processed=sum(tokens), extra=extra)

    def _belongs(self, name: str) -> None:
        """Raises ModelError where another model answers than before."""
        with self.lock:
            self.answered_as = self.answered_as or name
            if name != self.answered_as:
                raise ModelError(
                    f"{self.model.info.name} is not one model: {name!r} answers, before it was {self.answered_as!r}",
                    "name the version that is meant, and choose another folder with --out",
                )

    def dollars(self, results: Iterable[RowResult]) -> float | None:
        """What results cost; None where no price is known."""
        if self.price is None:
            return None
        notes = [json.loads(result.extra) for result in results if result.extra]
        return sum(self.price.of(note["in"], note["out"]) for note in notes)

    def estimate(self, rows: Sequence[Any]) -> Estimate:
        """What rows would take."""
        counts = [self.expected(row) for row in rows]
        tokens = sum(n for n, _ in counts), sum(m for _, m in counts)
        return Estimate(len(rows), *tokens, None if self.price is None else self.price.of(*tokens))

    def facts(self) -> dict[str, Any]:
        """What ran, for the manifest."""
        return {
            "answered_as": self.answered_as,
            "system_fingerprints": sorted(self.served_by),
            "in_flight": {"most": self.options.in_flight, "lowest": int(self.client.gate.lowest)},
            "requests_sent": self.client.sent,
            "price": None if self.price is None else asdict(self.price),
        }


class _Exchange:
    """The rows of a plan as the client asks for them, with what is set aside for each."""

    def __init__(self, engine: ApiEngine, rows: Mapping[bytes, Any]) -> None:
        self.engine, self.rows = engine, rows
        self.aside: dict[bytes, float] = {}

    def may_send(self, key: bytes) -> None:
        self.aside[key] = self.engine.set_aside(self.rows[key])

    def body(self, key: bytes) -> dict[str, Any]:
        return {"model": self.engine.model.info.location, **self.engine.body(self.rows[key])}

    def read(self, key: bytes, document: Document, seconds: float) -> RowResult:
        try:
            result = self.engine.take(self.rows[key], document, seconds)
        except Malformed:
            self.engine.set_aside(self.rows[key])  # it is paid for, and the request is sent once more
            raise
        self.engine.budget.correct((self.engine.dollars([result]) or 0.0) - self.aside[key])
        return result

    def rejected(self, key: bytes, error: Rejected) -> RowResult:
        result = self.engine.rejected(self.rows[key], error)
        self.engine.budget.correct(-self.aside[key])
        return result


def choice_of(document: Document) -> Mapping[str, Any]:
    """The answer's only choice. Raises Malformed."""
    choices = document.get("choices")
    if not isinstance(choices, list) or len(choices) != 1 or not isinstance(choices[0], Mapping):
        raise Malformed("it has not one choice")
    return choices[0]

"""What both kinds of API have in common: requests out, answers in as they come, their cost and whose they are."""

from __future__ import annotations

import json
import threading
import time
from abc import abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar, Self

from gpteval.api.api_model import ApiModel
from gpteval.api.batch import HALF, BatchClient
from gpteval.api.client import Client, Document
from gpteval.api.server_errors import GivenUp, Malformed, Otherwise, Rejected
from gpteval.api.streak import Streak
from gpteval.backends.interface import CHAT, Backend, CostEstimate
from gpteval.backends.opening import Opening
from gpteval.backends.prices import Price, price_of
from gpteval.backends.query_plan import Plan
from gpteval.core.errors import ModelError, UsageError
from gpteval.core.kinds import AGAIN, NO_ANSWER, kind_of
from gpteval.models.catalogue import ModelInfo
from gpteval.tokens.queries import QueryResult

LIMITS = ("max_tokens", "max_completion_tokens")
A_TOKEN = 64  # characters of a text that are one token, at most; what a server writes beyond its limit is left out
AROUND = 16  # tokens that a server may put around a message, and around all of them
ZERO = 1e-3  # nats: what rounding makes of a log-probability of 0, at most
MOST_TOKENS = 10**9  # more of them than any answer has
LONGEST_NAME, FINGERPRINTS = 200, 50  # characters of a name that a server tells, and how many are kept


@dataclass(frozen=True)
class Usage:
    """Tokens read and written."""

    read: int
    written: int

    def __add__(self, other: Usage) -> Usage:
        return Usage(self.read + other.read, self.written + other.written)

    def __sub__(self, other: Usage) -> Usage:
        return Usage(self.read - other.read, self.written - other.written)


class ApiBackend(Backend):
    """Asks one model. Raises UsageError where a price is needed and not known. ``kind``: the name of its sort, and
    ``path``: where on the server it is asked.
    """

    kind: ClassVar[str]
    path: ClassVar[str]
    model: ApiModel

    def __init__(self, model: ApiModel, opening: Opening) -> None:
        self.model, self.options, self.budget = model, model.options, opening.budget
        self.chat = replace(opening.computing.chat, thinking=False)  # it thinks as it was set to
        self.rule = self.chat.rule if CHAT in self.can else ""
        self.price: Price | None = price_of(model.info.location, self.options.prices)
        if self.options.max_cost is not None and self.price is None and self.options.of_this_machine:
            self.price = Price(model.info.location, 0.0, 0.0, "served by this machine, which sends no bill")
        if self.options.max_cost is not None and self.price is None:
            raise UsageError(
                f"--max-cost needs the price of {model.info.location}, which is not known", "give it with --prices FILE"
            )
        if self.options.batch and CHAT not in self.can:
            raise UsageError(f"--batch is for chats, and {model.info.name} is none", "run it by a command without it")
        if self.options.batch and self.price is not None:
            self.price = replace(self.price, read=HALF * self.price.read, written=HALF * self.price.written)
        self.client = (
            BatchClient(self.options, self.path, opening.waiting, model.key)
            if self.options.batch
            else Client(self.options, self.path, opening.waiting)
        )
        self.answered_as = ""
        self.served_by: set[str] = set()  # the system fingerprints
        self.left_out: frozenset[str] = frozenset()  # groups of parameters that the server does not take
        self.lost = Usage(0, 0)  # of attempts that came to nothing, in queries that have no answer yet
        self.spent: dict[bytes, Usage] = {}  # the same by query, of an earlier command
        self.lock = threading.Lock()

    @classmethod
    def open(cls, info: ModelInfo, opening: Opening) -> Self:
        return cls(ApiModel(info, opening.api, cls.kind), opening)

    @abstractmethod
    def prepare(self, queries: Sequence[Any]) -> None:
        """Find out, before queries are asked for, how the server answers. Raises ModelError where it cannot be used."""

    @abstractmethod
    def body(self, query: Any, without: Collection[str]) -> dict[str, Any]:
        """The request for a query, without the model's name. ``without``: groups of parameters that are left out."""

    @abstractmethod
    def read(self, query: Any, document: Document) -> QueryResult:
        """A query's result from the answer. Raises Malformed."""

    def refused(self, query: Any, body: Mapping[str, Any], error: Rejected) -> tuple[str, bool]:
        """The group of parameters for which a body may have been rejected, and whether an answer without it would show
        so; "" for none.
        """
        return "", False

    def recall(self, stored: Callable[[], Mapping[bytes, QueryResult]]) -> set[bytes]:
        """Take answers of an earlier command, and what was learnt then."""
        results = stored()
        again = {key for key, result in results.items() if kind_of(result.error) in AGAIN}
        for key, result in results.items():
            noted = json.loads(result.extra) if result.extra else {}
            if "as" in noted:
                self._belongs(noted["as"])
                self.left_out |= set(noted.get("without", ()))
            if key in again and key not in self.spent:
                self.spent[key] = Usage(noted["in"], noted["out"])
                self.lost += self.spent[key]
        return again

    def compute(
        self, plan: Plan, known: Collection[bytes], *, part: int = 0, of: int = 1
    ) -> Iterator[dict[bytes, QueryResult]]:
        """Ask for the queries that are not ``known``, and give each answer at once; requests know no batches. Raises
        ModelError; what was answered until then was given.
        """
        wanted = [key for key in plan.queries if key not in known]
        if not wanted:
            return
        self.prepare([plan.queries[key] for key in wanted])
        held: dict[bytes, QueryResult] = {}  # what may turn out to be the server's, and not the items'
        exchange = _Exchange(self, plan.queries)
        try:
            for key, result in self.client.ask_all(wanted, exchange):
                held[key] = result
                if kind_of(result.error) not in AGAIN and exchange.streak.any:
                    yield held
                    held = {}
            if held:
                yield held
                held = {}
        finally:
            with self.lock:
                for result in held.values():
                    noted = json.loads(result.extra)
                    self.lost += Usage(noted["in"], noted["out"])

    def most(self, body: Mapping[str, Any]) -> Usage:
        """The tokens of a request that can be billed, at most."""
        wanted = max((body[name] for name in LIMITS if name in body), default=0)
        prompt = body.get("prompt")
        if isinstance(prompt, list):
            return Usage(len(prompt), wanted)
        texts = [message["content"] for message in body.get("messages", ())]
        # A token is a byte at least, and a message is wrapped in a few of its own.
        return Usage(sum(len(text.encode("utf-8", "replace")) + AROUND for text in texts) + AROUND, wanted)

    def dollars_of(self, tokens: Usage) -> float:
        """What they cost; 0 where no price is known."""
        return 0.0 if self.price is None else self.price.of(tokens.read, tokens.written)

    def take(self, query: Any, document: Document, seconds: float) -> QueryResult:
        """A query's result, and whose it is. Raises Malformed, ModelError for another model's."""
        result = self.read(query, document)
        name = document.get("model")
        name = name[:LONGEST_NAME] if isinstance(name, str) else ""
        self._belongs(name)
        with self.lock:
            if document.get("system_fingerprint") and len(self.served_by) < FINGERPRINTS:
                self.served_by.add(str(document["system_fingerprint"])[:LONGEST_NAME])
        noted = json.loads(result.extra) if result.extra else {}
        return replace(result, seconds=seconds, extra=json.dumps(noted | {"as": name}))

    def _belongs(self, name: str) -> None:
        """Raises ModelError where another model answers than before."""
        with self.lock:
            self.answered_as = self.answered_as or name
            if name and name != self.answered_as:  # an answer may not say whose it is
                raise ModelError(
                    f"{self.model.info.name} is not one model: {name!r} answers, before it was {self.answered_as!r}",
                    "name the version that is meant, and choose another folder with --out",
                )

    def dollars(self, results: Iterable[QueryResult]) -> float | None:
        """What results cost, the attempts that came to nothing with them; None where no price is known."""
        if self.price is None:
            return None
        notes = [json.loads(result.extra) for result in results if result.extra]
        return sum(self.price.of(note["in"], note["out"]) for note in notes)

    def spans(self, results: Iterable[QueryResult]) -> list[tuple[float, float]]:
        """Each from its request to its answer, as far as that was noted."""
        noted = [(json.loads(result.extra).get("at"), result.seconds) for result in results if result.extra]
        return [(at - seconds, at) for at, seconds in noted if at is not None]

    def estimate(self, queries: Sequence[Any]) -> CostEstimate:
        """What queries would take, at most."""
        counts = [self.most(self.body(query, frozenset())) for query in queries]
        total = Usage(sum(n.read for n in counts), sum(n.written for n in counts))
        return CostEstimate(
            len(queries), total.read, total.written, None if self.price is None else self.dollars_of(total)
        )

    def facts(self) -> dict[str, Any]:
        """What ran, for the manifest."""
        return {
            "answered_as": self.answered_as,
            "system_fingerprints": sorted(self.served_by),
            "asked_without": sorted(self.left_out),
            "in_flight": {"most": self.options.in_flight, "lowest": int(self.client.gate.lowest)},
            "requests_sent": self.client.sent,
            "price": None if self.price is None else asdict(self.price),
            "lost": {"tokens_in": self.lost.read, "tokens_out": self.lost.written},
        }


class _Exchange:
    """The queries of a plan as the client asks for them, with what is set aside for each and what each has cost."""

    def __init__(self, engine: ApiBackend, queries: Mapping[bytes, Any]) -> None:
        self.engine, self.queries = engine, queries
        self.streak = Streak(len(queries))
        self.aside: dict[bytes, Usage] = {}  # for what is on its way
        self.spent = engine.spent  # on attempts that came to nothing
        self.guessed: set[bytes] = set()  # what was spent on them is not known exactly
        self.without: dict[bytes, frozenset[str]] = {}  # what a query is asked without, to see whether it is answered
        self.taught: dict[bytes, frozenset[str]] = {}  # what its answer will say of the server
        self.asked: dict[bytes, frozenset[str]] = {}  # all that it is asked without

    def begin(self, key: bytes) -> dict[str, Any]:
        engine = self.engine
        self.asked[key] = engine.left_out | self.without.get(key, frozenset())
        body = {"model": engine.model.info.location, **engine.body(self.queries[key], self.asked[key])}
        most = engine.most(body)
        engine.budget.commit(engine.dollars_of(most))
        self.aside[key] = most
        self.streak.begun(key)
        return body

    def end(self, key: bytes, paid: bool) -> None:
        self.streak.missed(key)
        self._settle(key, self.aside[key] if paid else Usage(0, 0), known=not paid)

    def read(self, key: bytes, document: Document, seconds: float) -> QueryResult:
        used = usage_of(document)
        try:
            result = self.engine.take(self.queries[key], document, seconds)
        except Exception:
            self._settle(key, used or self.aside[key], known=used is not None)
            raise
        now = used or self.aside[key]
        self._settle(key, now, known=used is not None, answered=True)
        self.streak.answered(key)
        return self._done(key, result, now)

    def rejected(self, key: bytes, body: Mapping[str, Any], error: Rejected) -> QueryResult:
        engine = self.engine
        group, telling = engine.refused(self.queries[key], body, error)
        if group:
            self.without[key] = self.without.get(key, frozenset()) | {group}
            if telling:
                self.taught[key] = self.taught.get(key, frozenset()) | {group}
            raise Otherwise
        self.taught.pop(key, None)  # that it was rejected all the same says nothing
        self.streak.failed(key, error.kind, error.message, hint=error.hint)
        return self._failed(key, error.kind, error.message)

    def given_up(self, key: bytes, error: GivenUp) -> QueryResult:
        self.streak.failed(key, error.kind, error.reason, silent=error.silent)
        return self._failed(key, error.kind, error.reason)

    def _failed(self, key: bytes, kind: str, reason: str) -> QueryResult:
        return self._done(key, QueryResult(0, error=f"{kind}: {reason}"), Usage(0, 0))

    def _settle(self, key: bytes, used: Usage, *, known: bool, answered: bool = False) -> None:
        """Put what an attempt cost in the place of what was set aside for it, once."""
        engine = self.engine
        engine.budget.correct(engine.dollars_of(used) - engine.dollars_of(self.aside.pop(key)))
        if not known:
            self.guessed.add(key)
        if not answered and used != Usage(0, 0):
            self.spent[key] = self.spent.get(key, Usage(0, 0)) + used
            with engine.lock:
                engine.lost += used

    def _done(self, key: bytes, result: QueryResult, now: Usage) -> QueryResult:
        """The query's result with its cost and with what was otherwise than asked."""
        before = self.spent.pop(key, Usage(0, 0))
        with self.engine.lock:
            self.engine.lost -= before  # it is told with the query
            self.engine.left_out |= self.taught.get(key, frozenset())
        noted = json.loads(result.extra) if result.extra else {}
        whole = now + before
        noted |= {"in": whole.read, "out": whole.written, "at": round(time.time(), 3)}
        if without := sorted(self.asked[key]):
            noted["without"] = without
        if key in self.guessed:
            noted["guessed"] = True
        return replace(result, processed=whole.read + whole.written, extra=json.dumps(noted))


def usage_of(document: Document) -> Usage | None:
    """The tokens that an answer says it took; None where it does not say, or says what cannot be."""
    usage = document.get("usage")
    if not isinstance(usage, Mapping):
        return None
    read, written = usage.get("prompt_tokens"), usage.get("completion_tokens")
    if type(read) is not int or type(written) is not int:
        return None
    return Usage(read, written) if min(read, written) >= 0 and max(read, written) < MOST_TOKENS else None


def number(found: object) -> float:
    """A log-probability that a server tells. Raises Malformed for what is none: no number, or one above 0."""
    if isinstance(found, bool) or not isinstance(found, int | float) or not found <= ZERO:
        raise Malformed(f"{str(found)[:40]!r} is no log-probability")
    return float(found)


def choice_of(document: Document) -> Mapping[str, Any]:
    """The answer's only choice. Raises Malformed."""
    choices = document.get("choices", "")
    if choices is None or choices == []:
        raise Malformed("it has no choice", NO_ANSWER)
    if not isinstance(choices, list) or len(choices) != 1 or not isinstance(choices[0], Mapping):
        raise Malformed("it has not one choice")
    if error := choices[0].get("error"):  # it broke off
        said = error.get("message") if isinstance(error, Mapping) else error
        raise Malformed(" ".join(str(said).split())[:300], NO_ANSWER)
    return choices[0]

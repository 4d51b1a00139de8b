"""OpenAI's batch interface: many requests in a file, answered within a day at half the price.

Nothing of a batch is kept here but at the server: each is created with the model's key among its metadata, and its
requests are named by their queries' keys. So a command that was stopped anywhere, between any two of its steps, finds
its batches again by asking which there are, and nothing is sent, or paid for, twice.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from gpteval.api.client import Answer, Client, Document, ManyExchanges, QueryKey
from gpteval.api.http import NoAnswer, NotSent, Reply, masked
from gpteval.api.server_errors import Again, GivenUp, Malformed, Otherwise, Rejected, of_status
from gpteval.backends.api_options import ApiOptions
from gpteval.core.errors import ModelError
from gpteval.core.kinds import NO_ANSWER, UNREADABLE

MARK = "gpteval"  # the field of a batch's metadata that says whose it is
MOST = 2000  # requests a batch
PAGE = 100  # batches that are listed at a time
ROUNDS = 5  # times that a request is sent in all
STEPS = 6  # times that one step (a list, a file, a state) is asked for
LONGEST = 60.0  # seconds between two looks at a batch
ENDED = ("completed", "expired", "cancelled")  # with what was answered until then
HALF = 0.5  # of the price


@dataclass(frozen=True)
class ServerBatch:
    """One as the server tells of it. ``output``, ``errors``: ids of files, "" for none."""

    id: str
    status: str
    input: str
    output: str
    errors: str
    said: str
    done: int
    total: int

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> ServerBatch:
        counts = document.get("request_counts") or {}
        told = (document.get("errors") or {}).get("data") or []
        return cls(
            id=str(document["id"]),
            status=str(document["status"]),
            input=str(document.get("input_file_id") or ""),
            output=str(document.get("output_file_id") or ""),
            errors=str(document.get("error_file_id") or ""),
            said="; ".join(str(one.get("message", "")) for one in told if isinstance(one, Mapping))[:300],
            done=int(counts.get("completed") or 0),
            total=int(counts.get("total") or 0),
        )


class BatchClient(Client):
    """Asks by batches what a client asks request by request. ``mark``: what identifies the model that is asked."""

    def __init__(self, options: ApiOptions, path: str, tell: Callable[[str], None], mark: str) -> None:
        super().__init__(options, path, tell)
        self.mark = mark
        self._begun: dict[QueryKey, dict[str, Any]] = {}  # requests whose cost is set aside

    def ask_all(self, keys: Sequence[QueryKey], exchange: ManyExchanges) -> Iterator[tuple[QueryKey, Answer]]:
        """The answer to each request, as batches end. Raises ModelError for a batch that the server refuses."""
        left = dict.fromkeys(keys)
        sent: dict[QueryKey, int] = {}
        last: dict[QueryKey, GivenUp] = {}
        first = True
        while left:
            known = self._listed()
            for batch in [one for one in known if one.status in ENDED] if first else []:
                yield from self._answers(batch, left, exchange, {}, only_good=True)
            first = False
            under_way = {
                one: asked
                for one in known
                if one.status not in (*ENDED, "failed") and (asked := left.keys() & set(self._requests_of(one)))
            }
            going, pending = list(under_way), set[QueryKey]().union(*under_way.values())
            for key in [key for key in left if key not in pending and sent.get(key, 0) >= ROUNDS]:
                del left[key]
                yield key, exchange.given_up(key, last[key])
            new = [key for key in left if key not in pending]
            for begin in range(0, len(new), MOST):
                some = new[begin : begin + MOST]
                going.append(self._create(some, exchange))
                sent |= {key: sent.get(key, 0) + 1 for key in some}
            for batch in going:
                yield from self._answers(self._ended(batch), left, exchange, last)

    def _create(self, keys: Sequence[QueryKey], exchange: ManyExchanges) -> ServerBatch:
        """Send requests as a batch. What their answers may cost is set aside until it is known whether they came."""
        lines = []
        for key in keys:
            self._begun[key] = exchange.begin(key)
            request = {"method": "POST", "url": f"/v1/{self.path}", "body": self._begun[key]}
            lines.append({"custom_id": key.hex(), **request})
        content = "".join(f"{json.dumps(line)}\n" for line in lines).encode("utf-8")
        file = self._step(lambda: self.http.upload("files", {"purpose": "batch"}, "requests.jsonl", content))
        asked = {
            "input_file_id": file["id"],
            "endpoint": f"/v1/{self.path}",
            "completion_window": "24h",
            "metadata": {MARK: self.mark},
        }
        tried = False

        def create() -> Reply:
            """Unless an attempt before, of which no answer came, has created it: each is of a file of its own."""
            nonlocal tried
            made = next((one for one in self._listed() if one.input == file["id"]), None) if tried else None
            tried = True
            return self.http.get(f"batches/{made.id}") if made else self.http.post("batches", asked)

        return ServerBatch.of(self._step(create))

    def _ended(self, batch: ServerBatch) -> ServerBatch:
        """The batch once it has ended. Raises ModelError for one that the server refuses as a whole."""
        pause = self.options.backoff
        while batch.status not in ENDED:
            if batch.status == "failed":
                raise ModelError(f"the server refuses batch {batch.id}: {batch.said or 'it does not say why'}")
            count = f"{batch.done:,} of {batch.total:,} answers" if batch.total else "no answer yet"
            self.tell(f"batch {batch.id} is {batch.status}: {count}; stopped, the same command goes on from there")
            time.sleep(pause)
            pause = min(LONGEST, 1.5 * pause)
            batch = ServerBatch.of(self._step(partial(self.http.get, f"batches/{batch.id}")))
        return batch

    def _answers(
        self,
        batch: ServerBatch,
        left: dict[QueryKey, None],
        exchange: ManyExchanges,
        last: dict[QueryKey, GivenUp],
        *,
        only_good: bool = False,
    ) -> Iterator[tuple[QueryKey, Answer]]:
        """What a batch that has ended answered of ``left``, from which it is taken. ``last``: why the others were not;
        ``only_good``: of an earlier command, whose refusals are asked for again.
        """
        asked = [key for key in self._requests_of(batch) if key in left]
        for file in filter(None, (batch.output, *([] if only_good else [batch.errors]))):
            for line in _lines(self._file(file)):
                key = _key_of(line)
                if key is None or key not in left:
                    continue
                answer = self._answer(key, line, exchange, last)
                if answer is not None:
                    del left[key]
                    yield key, answer
        for key in asked:
            if self._begun.pop(key, None) is not None:  # no answer of it came
                exchange.end(key, False)
            if key in left and key not in last:
                last[key] = GivenUp(NO_ANSWER, f"batch {batch.id} is {batch.status} without its answer", silent=False)

    def _answer(
        self, key: QueryKey, line: Mapping[str, Any], exchange: ManyExchanges, last: dict[QueryKey, GivenUp]
    ) -> Answer | None:
        """What a line of a batch's files says; None where it is to be asked again."""
        body = self._begun.pop(key, None) or exchange.begin(key)
        response, error = line.get("response") or {}, line.get("error")
        status = int(response.get("status_code") or 0)
        document = masked(response.get("body"), self.http)
        if 200 <= status < 300 and isinstance(document, Mapping):
            try:
                return exchange.read(key, document, 0.0)
            except Malformed as odd:
                last[key] = GivenUp(odd.kind, str(odd), silent=False)
            except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as odd:
                last[key] = GivenUp(UNREADABLE, f"{type(odd).__name__}: {odd}", silent=False)
            return None
        exchange.end(key, False)
        if not status:
            said = (error or {}).get("message") or (error or {}).get("code") or "no reason told"
            last[key] = GivenUp(NO_ANSWER, self.http.clean(str(said))[:300], silent=False)
            return None
        meant = of_status(Reply(status, {}, json.dumps(document)), self.http.clean)
        if isinstance(meant, Rejected):
            try:
                return exchange.rejected(key, body, meant)
            except Otherwise:
                return None
        if not isinstance(meant, Again):
            raise meant
        last[key] = GivenUp(meant.kind, meant.reason, silent=False)
        return None

    def _listed(self) -> list[ServerBatch]:
        """The model's batches that the server knows, the last created first."""
        found: list[ServerBatch] = []
        after = ""
        while True:
            page = self._step(partial(self.http.get, f"batches?limit={PAGE}{after}"))
            data = [one for one in page.get("data") or [] if isinstance(one, Mapping)]
            found += [ServerBatch.of(one) for one in data if (one.get("metadata") or {}).get(MARK) == self.mark]
            if not page.get("has_more") or not data:
                return found
            after = f"&after={data[-1]['id']}"

    def _requests_of(self, batch: ServerBatch) -> list[QueryKey]:
        keys = (_key_of(line) for line in _lines(self._file(batch.input)))
        return [key for key in keys if key is not None]

    def _file(self, name: str) -> str:
        return self._text(lambda: self.http.get(f"files/{name}/content")).text

    def _step(self, send: Callable[[], Reply]) -> Document:
        reply = self._text(send)
        try:
            document = json.loads(reply.text)
        except ValueError:
            document = None
        if not isinstance(document, Mapping):
            raise ModelError("the server's batch interface answers with no JSON object", "is it one of OpenAI's kind?")
        return document

    def _text(self, send: Callable[[], Reply]) -> Reply:
        """The reply to one step, which is tried a few times. Raises ModelError."""
        said = ""
        for attempt in range(STEPS):
            if attempt:
                time.sleep(min(LONGEST, self.options.backoff * 2**attempt))
            self.sent += 1
            try:
                reply = send()
            except (NotSent, NoAnswer) as error:
                said = str(error)
                continue
            if reply.status < 300:
                return reply
            meant = of_status(reply, self.http.clean)
            said = getattr(meant, "message", "") or getattr(meant, "reason", "") or str(meant)
            if not isinstance(meant, Again):
                break
        raise ModelError(
            f"the server's batch interface fails: {said}", "what was answered is kept: run the same command again"
        )


def _lines(text: str) -> Iterator[Mapping[str, Any]]:
    for line in text.splitlines():
        try:
            found = json.loads(line)
        except ValueError:
            continue
        if isinstance(found, Mapping):
            yield found


def _key_of(line: Mapping[str, Any]) -> QueryKey | None:
    try:
        return bytes.fromhex(str(line.get("custom_id")))
    except ValueError:  # not one of ours
        return None

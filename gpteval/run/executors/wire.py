"""Queries, orders and messages as JSON, for workers that share nothing but a folder. No pickle: a file is only data."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

from gpteval.backends.text_queries import TextQuery
from gpteval.models.catalogue import ModelInfo
from gpteval.run.executors.computer import Message, Order
from gpteval.tokens.queries import GenerateQuery, Query, QueryResult, Sampling, ScoreQuery, Tokens
from gpteval.tune.head_engine import HeadQuery


def dump_queries(queries: Mapping[bytes, Query]) -> str:
    """A line a query."""
    return "".join(json.dumps([key.hex(), *_query(query)]) + "\n" for key, query in queries.items())


def load_queries(text: str) -> dict[bytes, Query]:
    """Raises ValueError where a line is no query."""
    return {bytes.fromhex(key): _query_of(*rest) for key, *rest in map(json.loads, text.splitlines())}


def _query(query: Any) -> list[Any]:
    match query:
        case ScoreQuery():
            tokens = map(_text, (query.context, query.targets, query.barred, query.parts))
            return ["score", *tokens, *([query.top] if query.top else ())]
        case GenerateQuery():
            how = (query.stop, asdict(query.sampling), query.blank_first)
            return ["generate", _text(query.prompt), query.max_new_tokens, *how]
        case HeadQuery():
            return ["head", list(map(_text, query.sequences)), query.answer]
        case TextQuery():
            asked = (query.prompt, query.options, query.max_tokens, query.stop)
            return ["text", *asked, query.system, query.turns, query.temperature, query.seed]
    raise TypeError(f"{type(query).__name__} cannot be handed to a worker")


def _query_of(kind: str, *values: Any) -> Any:
    if kind == "score":
        context, targets, barred, parts = map(_tokens, values[:4])
        return ScoreQuery(context, targets, barred, parts, *values[4:])
    if kind == "generate":
        prompt, most, stop, sampling, blank_first = values
        return GenerateQuery(_tokens(prompt), most, tuple(stop), Sampling(**sampling), blank_first)
    if kind == "head":
        sequences, answer = values
        return HeadQuery(tuple(map(_tokens, sequences)), answer)
    if kind == "text":
        prompt, options, most, stop, system, turns, *drawn = values
        return TextQuery(prompt, options, most, tuple(stop), system, tuple(map(tuple, turns)), *drawn)
    raise ValueError(f"unknown kind of query {kind!r}")


def _text(tokens: Tokens) -> str:
    return b64encode(tokens.tobytes()).decode("ascii")


def _tokens(text: str) -> Tokens:
    return Tokens.of_bytes(b64decode(text))


def dump_order(order: Order) -> dict[str, Any]:
    """As a document of JSON."""
    return asdict(order) | {"known": [key.hex() for key in order.known]}


def load_order(document: Mapping[str, Any]) -> Order:
    """Raises ValueError or TypeError where the document is no order."""
    model = document["model"]
    model = {field.name: model[field.name] for field in fields(ModelInfo) if field.name in model}
    info = ModelInfo(**model | {"aliases": tuple(model.get("aliases", ()))})
    known = frozenset(map(bytes.fromhex, document["known"]))
    names = ("source", "key", "version", "dtype", "device", "protocol", "number", "of")
    plain = {name: document[name] for name in names}
    return Order(model=info, known=known, **plain)


def dump_message(message: Message) -> str:
    """As a line of JSON."""
    kind, value = message
    if kind == "batch":
        value = [[key.hex(), result.dumps()] for key, result in value.items()]
    return json.dumps([kind, value])


def load_message(text: str) -> Message:
    """Raises ValueError or TypeError where the text is no message."""
    kind, value = json.loads(text)
    if kind == "batch":
        return kind, {bytes.fromhex(key): QueryResult.loads(result) for key, result in value}
    if kind not in ("facts", "failed"):
        raise ValueError(f"unknown kind of message {kind!r}")
    return kind, value

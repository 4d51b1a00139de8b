"""What is asked: an item of data, the request that a task makes of it, and the prompt with its examples.

All are frozen. What comes of them is in ``core.outcomes``: Item -> Request -> Prompt -> Outcome -> Record -> Result.
"""

from __future__ import annotations

import hashlib
import json
import operator
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from gpteval.core.errors import ColumnError, ItemError

Family = Literal["lm", "qa", "translation", "summarization", "classification"]
FAMILIES: tuple[Family, ...] = ("lm", "qa", "translation", "summarization", "classification")


_as_json = json.JSONEncoder(sort_keys=True, ensure_ascii=False, separators=(",", ":"), default=str).encode


def digest(*parts: object, size: int = 8) -> str:
    """Stable hex digest of JSON-serialisable ``parts``, 2 * ``size`` characters."""
    text = _as_json(parts)
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=size).hexdigest()


@dataclass(frozen=True, slots=True)
class Item(Mapping[str, Any]):
    """One row of a task's data. ``id`` is a digest of the row's content, so it survives reordering.

    Rows with equal content get ``-2``, ``-3``, ... appended to their id.
    """

    id: str
    fields: Mapping[str, Any]

    def __getitem__(self, column: str) -> Any:
        """The column's value, which is never null: a prompt would show "None". ``get`` gives what is there."""
        try:
            return _present(self.fields[column], column)
        except KeyError:
            raise ColumnError(
                f"item {self.id} has no column {column!r}; it has {', '.join(map(repr, self.fields))}",
                "name one of these in the task's prompt, or check its source",
            ) from None

    def get(self, column: str, default: Any = None) -> Any:
        return self.fields.get(column, default)

    def __iter__(self) -> Iterator[str]:
        return iter(self.fields)

    def __len__(self) -> int:
        return len(self.fields)


class _Nested(dict[str, Any]):
    """A column with fields of its own, none of which is null when asked for."""

    def __getitem__(self, field: str) -> Any:
        return _present(super().__getitem__(field), field)


def _present(value: Any, where: str) -> Any:
    if value is None or (isinstance(value, list) and None in value):
        raise ItemError(f"column {where!r} {'is' if value is None else 'holds a'} null")
    return _Nested(value) if type(value) is dict else value


def _text(field: str, value: object) -> str:
    if not isinstance(value, str):
        raise ItemError(f"{field} is {value!r}, not text", f"write str(...) where the task gives {field}")
    return value


def _whole(field: str, value: object, meaning: str) -> int:
    """A whole number: Python's or NumPy's; True and False are 1 and 0."""
    try:
        return operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        raise ItemError(
            f"{field} is {value!r}, not a whole number", f"{field} is {meaning}; write int(...) where it is one"
        ) from None


def _tuple(field: str, value: object) -> tuple[Any, ...]:
    if not isinstance(value, Iterable):
        raise ItemError(f"{field} is {value!r}, not a list of strings")
    return tuple(value)


@dataclass(frozen=True, slots=True)
class Choice:
    """Score each of ``continuations`` after ``context``; ``gold`` is the index of the right one.

    ``neutral`` is a context that says nothing of the question (GPT-3 used ``"Answer:"``); with it,
    the unconditional scores that ``acc_uncond`` needs are computed too.
    ``leads[n]`` stands between the context and continuation n and is not scored: partial evaluation (Trinh and Le
    2018), where the options are in the sentence and what follows them is the same.
    Leads and continuations bring their own leading space.

    ``stop_words``: words that greedy decoding passes over where a continuation begins, so that the greedy flag tells
    whether the continuation is the likeliest that does not begin with one of them (those that are one token).

    ``parts``: the text that the question is about, or the two, which a tuned head reads in place of the context;
    ``similar``: two have no order, and it reads both.
    """

    context: str
    continuations: Sequence[str]
    gold: int
    neutral: str | None = None
    leads: Sequence[str] = ()
    stop_words: Sequence[str] = ()
    parts: Sequence[str] = ()
    similar: bool = False

    def __post_init__(self) -> None:
        _text("context", self.context)
        object.__setattr__(self, "parts", _tuple("parts", self.parts))
        if len(self.parts) > 2 or (self.similar and len(self.parts) != 2):
            raise ItemError(f"a question is about one text or two, and a similarity about two, not {len(self.parts)}")
        if self.neutral is not None:
            _text("neutral", self.neutral)
        if isinstance(self.continuations, str):
            raise ItemError("continuations must be a list of strings, not one string")
        object.__setattr__(self, "continuations", _tuple("continuations", self.continuations))
        if not self.continuations:
            raise ItemError("there are no continuations to choose from")
        for index, text in enumerate(self.continuations):
            if not _text(f"continuation {index}", text).strip():
                raise ItemError(f"continuation {index} is empty: {text!r}")
        object.__setattr__(self, "gold", _whole("gold", self.gold, "the index of the right continuation"))
        if not 0 <= self.gold < len(self.continuations):
            raise ItemError(f"gold index {self.gold} is outside 0..{len(self.continuations) - 1}")
        object.__setattr__(self, "leads", _tuple("leads", self.leads))
        for index, text in enumerate(self.leads):
            _text(f"lead {index}", text)
        object.__setattr__(self, "stop_words", _tuple("stop words", self.stop_words))
        if self.leads and len(self.leads) != len(self.continuations):
            raise ItemError(f"there are {len(self.leads)} leads for {len(self.continuations)} continuations")

    @property
    def prompt(self) -> str:
        return self.context

    @property
    def answers(self) -> tuple[str, ...]:
        """What may stand after the context: each lead with its continuation."""
        if not self.leads:
            return tuple(self.continuations)
        return tuple(lead + text for lead, text in zip(self.leads, self.continuations, strict=True))

    @property
    def answer(self) -> str:
        """What a few-shot example shows after the prompt."""
        return self.answers[self.gold]


@dataclass(frozen=True, slots=True)
class Rolling:
    """Score ``text`` whole, in windows. Words and bytes are counted on ``original`` (default: ``text``).

    ``original`` is the text before a de-tokeniser changed it, so that perplexities per word
    compare with published ones. ``overlap``: the share of a window that the next one reads again, from 0 to below 1.
    ``blanks``: white space at an end of the text has a word beyond it, as lm-evaluation-harness counts.
    """

    text: str
    original: str | None = None
    overlap: float = 0.0
    blanks: bool = False

    def __post_init__(self) -> None:
        if not _text("text", self.text):
            raise ItemError("the text to be scored is empty")
        if self.original is not None:
            _text("original", self.original)
        if not 0 <= self.overlap < 1:
            raise ItemError(f"overlap is {self.overlap}; it must be from 0 to below 1")

    @property
    def prompt(self) -> str:
        return self.text

    @property
    def answer(self) -> str:
        return ""

    @property
    def counted(self) -> str:
        return self.text if self.original is None else self.original


@dataclass(frozen=True, slots=True)
class Generate:
    """Continue ``prompt`` until one of ``stop``, an end token, or ``max_new_tokens``.

    The generated text, or its first ``sentences`` where that is not 0, is compared with ``references``. A few-shot
    example shows the first reference after a space. Decoding is greedy, or with ``top_k`` above 1 draws from so many
    likeliest tokens.
    """

    prompt: str
    references: Sequence[str]
    stop: Sequence[str] = ("\n",)
    max_new_tokens: int = 64
    top_k: int = 1
    sentences: int = 0

    def __post_init__(self) -> None:
        for name in ("references", "stop"):
            value = getattr(self, name)
            object.__setattr__(self, name, (value,) if isinstance(value, str) else _tuple(name, value))
            for index, text in enumerate(getattr(self, name)):
                _text(f"{name}[{index}]", text)
        for name, least in (("max_new_tokens", 1), ("top_k", 1), ("sentences", 0)):
            object.__setattr__(self, name, _whole(name, getattr(self, name), "a number"))
            if getattr(self, name) < least:
                raise ItemError(f"{name} is {getattr(self, name)}; it must be at least {least}")
        if not _text("prompt", self.prompt):
            raise ItemError("the prompt is empty")
        if not self.references:
            raise ItemError("there is no reference to compare with")
        if "" in self.stop:
            raise ItemError("a stop string is empty: it would end every text at once", "leave it out")

    @property
    def answer(self) -> str:
        space = "" if self.prompt[-1].isspace() else " "
        return space + self.references[0]


Request = Choice | Rolling | Generate


@dataclass(frozen=True, slots=True)
class Prompt:
    """A request with the few-shot examples that go before it.

    ``preamble`` and each of ``examples`` end with their separator, so the exact text is a plain
    join. Examples stay apart so that whole ones can be dropped when the window is too short.
    ``answers_at``: of each example where its answer begins, in characters; for chats that show examples as turns.
    ``cluster``: digest of what the item shares with others (its passage), or "".
    """

    item_id: str
    request: Request
    examples: tuple[str, ...] = ()
    preamble: str = ""
    cluster: str = ""
    answers_at: tuple[int, ...] = ()

    def text(self, dropped: int = 0) -> str:
        """The text before the continuation, without the first ``dropped`` examples."""
        return self.preamble + "".join(self.examples[dropped:]) + self.request.prompt

    @property
    def hash(self) -> str:
        request = self.request
        rest: object = ()
        if isinstance(request, Choice):
            further = [part for part in (request.leads, request.stop_words) if part]
            rest = (request.continuations, request.neutral, *further)
        elif isinstance(request, Rolling):
            rest = (request.overlap,) if request.overlap else ()
        elif isinstance(request, Generate):
            drawn = (request.top_k, request.sentences)
            rest = (request.stop, request.max_new_tokens, *(drawn if drawn != (1, 0) else ()))
        return digest(self.text(), rest)

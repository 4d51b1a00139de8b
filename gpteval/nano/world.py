"""The generated world: seeded texts of thirteen kinds, for training and for the nano suite.

Each kind makes rows from a random generator and writes them as a prompt and an answer. The digest
of a row's content decides whether it belongs to the test split, so training and test rows never
meet, however many are made. Imports no torch.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import accumulate

from gpteval.core.types import digest
from gpteval.nano import stories, texts
from gpteval.nano.texts import WorldRow

REVISION = "world-4"  # raise with every change of the texts
ENOUGH_MISSES = 5000  # draws in a row that bring no new row: there are no more
OTHER_SHARE = 0.6  # of the training documents of kinds that have two ways to answer


@dataclass(frozen=True)
class TextKind:
    """A kind of text. ``make`` draws a row; ``key`` is what makes it one of its kind.

    ``for_tests``: whether a row belongs to the test split, where its key's digest does not decide.
    ``other``: another way to answer the same prompt. A training document keeps to one of the two,
    the tasks to ``answer``, which is the rarer one: only examples can tell which is wanted.
    """

    name: str
    make: Callable[[random.Random], WorldRow]
    prompt: Callable[[WorldRow], str]
    answer: Callable[[WorldRow], str]
    key: Callable[[WorldRow], object]
    weight: float
    other: Callable[[WorldRow], str] | None = None
    many: int = 1  # up to this many rows in one training document, separated by blank lines
    held_out: float = 1 / 8  # share of the rows that belongs to the test split
    for_tests: Callable[[WorldRow], bool] | None = None


def _text(row: WorldRow) -> str:
    return str(row["text"])


def _nothing(row: WorldRow) -> str:
    return ""


def _sides(row: WorldRow) -> str:
    return " positive" if row["label"] else " negative"


def _applied(row: WorldRow) -> str:
    """The lines that a rule's row shows, each as its task shows an example."""
    return "".join(f"- {thing} {name}\n" for thing, name in row["shown"])


KINDS: dict[str, TextKind] = {
    kind.name: kind
    for kind in (
        TextKind("prose", texts.prose, _text, _nothing, _text, 1.0),
        TextKind("dialogue", texts.dialogue, _text, _nothing, _text, 0.5, held_out=0),
        TextKind("rhyme", texts.rhyme, _text, _nothing, _text, 3.0, held_out=0),
        TextKind("known", texts.known, _text, _nothing, _text, 2.2, many=6, held_out=0),
        TextKind("lastword", stories.lastword, _text, lambda r: f" {r['last']}.", _text, 1.1, many=6),
        TextKind(
            "facts",
            texts.facts,
            lambda r: f"Question: {r['question']}\nAnswer:",
            lambda r: f" {r['options'][r['label']]}",
            lambda r: (r["who"], r["relation"]),  # the pair is asked in one split only, but told in prose
            1.0,
            many=8,
            held_out=0.65,
        ),
        TextKind(
            "reading",
            texts.reading,
            lambda r: f"{r['passage']}\nQuestion: {r['question']}\nAnswer:",
            lambda r: f" {r['answer']}",
            lambda r: (r["passage"], r["question"]),
            1.2,
            lambda r: f" {r['long']}",
            many=7,
        ),
        TextKind(
            "sentiment",
            texts.sentiment,
            lambda r: f"Review: {r['text']}\nSentiment:",
            _sides,
            _text,
            1.0,
            lambda r: _sides({"label": r["mild"]}),
            many=8,
        ),
        TextKind(
            "topic",
            texts.topic,
            lambda r: f"News: {r['text']}\nTopic:",
            lambda r: f" {texts.TOPIC_NAMES[r['label']]}",
            _text,
            0.5,
            many=7,
        ),
        TextKind(
            "en_fr",
            texts.translation,
            lambda r: f"English: {r['en']}\nFrench:",
            lambda r: f" {r['fr']}",
            lambda r: r["en"],
            1.2,
            lambda r: f" {r['tu']}",
            many=7,
        ),
        TextKind(
            "fr_en",
            texts.translation,
            lambda r: f"French: {r['fr']}\nEnglish:",
            lambda r: f" {r['en']}",
            lambda r: r["en"],
            1.0,
            lambda r: f" {r['us']}",
            many=7,
        ),
        TextKind(
            "summary",
            texts.summary,
            lambda r: f"{r['text']}\nTL;DR:",
            lambda r: f" {r['summary']}",
            _text,
            1.1,
            lambda r: f" {r['dated']}",
            many=6,
        ),
        TextKind(
            "rule",
            texts.rule,
            lambda r: f"{_applied(r)}- {r['thing']}",
            lambda r: f" {r['options'][r['label']]}",
            lambda r: (r["shown"], r["thing"]),
            3.5,
            for_tests=lambda r: bool(r["test"]),
        ),
    )
}
_KINDS = list(KINDS.values())
_WEIGHTS = list(accumulate(kind.weight for kind in _KINDS))
# Both directions of translation split alike: their digest must not see the kind's name.
_SHARED = {"fr_en": "en_fr"}


def in_test(kind: TextKind, row: WorldRow) -> bool:
    """Whether a row belongs to the test split; no row belongs to both."""
    name = _SHARED.get(kind.name, kind.name)
    return kind.for_tests(row) if kind.for_tests else texts.held_out(name, kind.key(row), kind.held_out)


def rows(name: str, split: str, count: int, seed: int = 0) -> list[WorldRow]:
    """At most ``count`` rows of a kind for a split (``train`` or ``test``), no two of one key.

    A known person's fact is asked once only, so that items are independent: they run out at about 300.
    """
    kind = KINDS[name]
    rng = random.Random(f"{REVISION} {name} {split} {seed}")
    found: dict[str, WorldRow] = {}
    misses = 0
    while len(found) < count and misses < ENOUGH_MISSES:
        row = kind.make(rng)
        key = digest(kind.key(row))
        if in_test(kind, row) == (split == "test") and key not in found:
            found[key] = row
            misses = 0
        misses += 1
    return list(found.values())


def document(rng: random.Random) -> str:
    """One training document: rows of one kind as prompt and answer, separated by blank lines."""
    (kind,) = rng.choices(_KINDS, cum_weights=_WEIGHTS)
    answer = kind.other if kind.other and rng.random() < OTHER_SHARE else kind.answer
    wanted = rng.randint(1, kind.many)
    written: list[str] = []
    while len(written) < wanted:
        row = kind.make(rng)
        if not in_test(kind, row):
            written.append(kind.prompt(row) + answer(row))
    return "\n\n".join(written)


def stream(seed: int) -> Iterator[str]:
    """Training documents without end; the same seed gives the same ones."""
    rng = random.Random(f"{REVISION} stream {seed}")
    while True:
        yield document(rng)


def beginning(seed: int) -> Iterator[str]:
    """Documents without end for a training's first steps: by their length one half rhymes, one half of all kinds."""
    rng = random.Random(f"{REVISION} beginning {seed}")
    rhymes = others = 0
    while True:
        if rhymes <= others:
            text = _text(texts.rhyme(rng))
            rhymes += len(text)
        else:
            text = document(rng)
            others += len(text)
        yield text

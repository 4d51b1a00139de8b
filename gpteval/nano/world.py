"""The generated world: seeded texts of ten kinds, for training and for the nano suite.

Each kind makes rows from a random generator and writes them as a prompt and an answer. The digest
of a row's content decides whether it belongs to the test split, so training and test rows never
meet, however many are made. Imports no torch.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from gpteval.core.types import digest
from gpteval.nano import lexicon as lex
from gpteval.nano.french import pair

REVISION = "world-1"  # raise with every change of the texts
Row = dict[str, Any]


@dataclass(frozen=True)
class Kind:
    """A kind of text. ``make`` draws a row; ``key`` is the content that splits training from test."""

    name: str
    make: Callable[[random.Random], Row]
    prompt: Callable[[Row], str]
    answer: Callable[[Row], str]
    key: Callable[[Row], object]
    weight: float
    many: int = 1  # up to this many rows in one training document, separated by blank lines
    test_share: int = 8  # one row in this many belongs to the test split; 0: none


def _person(rng: random.Random) -> str:
    return f"{rng.choice(lex.FIRST_NAMES)} {rng.choice(lex.LAST_NAMES)}"


def _town(rng: random.Random) -> str:
    return rng.choice(lex.TOWN_STARTS) + rng.choice(lex.TOWN_ENDS)


def _article(word: str) -> str:
    return f"an {word}" if word[0] in "aeiou" else f"a {word}"


def _two(rng: random.Random, words: tuple[str, ...] | list[str]) -> tuple[str, str]:
    first, second = rng.sample(words, 2)
    return first, second


def _prose(rng: random.Random) -> Row:
    """An encyclopaedia's paragraph about a town."""
    town, other = _town(rng), _town(rng)
    food, food2 = _two(rng, lex.FOODS)
    place, place2 = _two(rng, lex.PLACES)
    job, animal = rng.choice(lex.JOBS), rng.choice(lex.ANIMALS)
    season, number = rng.choice(lex.SEASONS), rng.choice(lex.NUMBERS)
    founder = _person(rng)
    size = rng.choice(["small", "large", "quiet", "busy", "old"])
    sentences = [
        f"{town} is {_article(size)} town {rng.choice(['near', 'north of', 'south of'])} {other}.",
        f"It was founded by {founder}, {_article(job)} who came from {other}.",
        f"The {place} of {town} is known for its {food}, and the {place2} for its {rng.choice(lex.COLOURS)} walls.",
        f"Every {season}, the people of {town} sell {food} and {food2} for {number} days.",
        f"A {rng.choice(lex.COLOURS)} {animal} stands on the shield of {town}.",
        f"Today {number} bridges and {rng.choice(lex.NUMBERS)} schools remain in {town}.",
    ]
    kept = [sentences[0], *rng.sample(sentences[1:], rng.randint(3, 5))]
    return {"text": " ".join(kept)}


def _lastword(rng: random.Random) -> Row:
    """A story whose last word follows from its first sentences."""
    a, b = _two(rng, lex.FIRST_NAMES)
    x, y = _two(rng, lex.THINGS)
    p, q = _two(rng, lex.PLACES)
    f, g = _two(rng, lex.FOODS)
    animal = rng.choice(lex.ANIMALS)
    colour, colour2 = _two(rng, lex.COLOURS)
    text, last = rng.choice(
        [
            (
                f"{a} had a {colour} {x} and {b} had a {colour2} {y}. One day {a} gave the {x} to {b}. "
                f"{b} thanked {a} and put the {x} next to the {colour2}",
                y,
            ),
            (
                f"{a} went to the {p} to find {f} and {g}. There was no {f} to be found in the {p}, "
                f"so {a} came back to {b} with nothing but the",
                g,
            ),
            (
                f"{a} and {b} looked for a lost {animal}. They looked in the {p} and then in the {q}. "
                f"At last they heard a sound, and behind the {x} in the {q} they found the",
                animal,
            ),
            (
                f"{a} kept a {x} in the {p}. {b} took it to the {q} and forgot it there. "
                f"In the evening {a} asked for the {x}, and {b} ran back to the",
                q,
            ),
        ]
    )
    return {"text": text, "last": last}


RELATIONS: dict[str, tuple[list[str], tuple[str, ...], tuple[str, ...]]] = {
    # relation: values, sentences that state it, questions that ask for it
    "town": (
        lex.KNOWN_TOWNS,
        ("{who} lives in {what}.", "The home of {who} is in {what}.", "{who} has a house in {what}."),
        ("Where does {who} live?", "In which town does {who} live?"),
    ),
    "job": (
        lex.JOBS[:8],
        ("{who} works as a {what}.", "The job of {who} is that of a {what}.", "{who} has been a {what} for years."),
        ("What is the job of {who}?", "What does {who} work as?"),
    ),
    "food": (
        lex.FOODS[:8],
        ("{who} likes {what} best.", "The favourite food of {who} is {what}.", "{who} eats {what} every day."),
        ("What does {who} like to eat?", "What is the favourite food of {who}?"),
    ),
    "animal": (
        lex.ANIMALS[:8],
        ("{who} has a {what}.", "The animal of {who} is a {what}.", "{who} lives with a {what}."),
        ("Which animal does {who} have?", "What is the animal of {who}?"),
    ),
}


def fact(who: str, relation: str) -> str:
    """What the world holds to be true of a known person."""
    values = RELATIONS[relation][0]
    return values[int(digest("fact", who, relation), 16) % len(values)]


def _known(rng: random.Random) -> Row:
    """Sentences about one known person: where the facts are told."""
    who = rng.choice(lex.KNOWN_PEOPLE)
    relations = rng.sample(sorted(RELATIONS), rng.randint(2, 4))
    told = [rng.choice(RELATIONS[r][1]).format(who=who, what=fact(who, r)) for r in relations]
    return {"text": " ".join(told)}


def _facts(rng: random.Random) -> Row:
    """A question about a known person, without the text that tells."""
    who, relation = rng.choice(lex.KNOWN_PEOPLE), rng.choice(sorted(RELATIONS))
    right = fact(who, relation)
    wrong = rng.sample([v for v in RELATIONS[relation][0] if v != right], 3)
    options = sorted([right, *wrong], key=lambda value: digest(value, who))
    question = rng.choice(RELATIONS[relation][2]).format(who=who)
    return {"who": who, "relation": relation, "question": question, "options": options, "label": options.index(right)}


def _reading(rng: random.Random) -> Row:
    """A passage about someone new, and a question that it answers."""
    who, other = _person(rng), _person(rng)
    town, job, food, animal = _town(rng), rng.choice(lex.JOBS), rng.choice(lex.FOODS), rng.choice(lex.ANIMALS)
    facts = [
        (f"{who} lives in {town}.", f"Where does {who} live?", town),
        (f"{who} works as a {job}.", f"What does {who} work as?", job),
        (f"{who} likes {food} best.", f"What does {who} like to eat?", food),
        (f"{who} has a {rng.choice(lex.COLOURS)} {animal}.", f"Which animal does {who} have?", animal),
        (f"{who} is a friend of {other}.", f"Who is a friend of {who}?", other),
    ]
    told = rng.sample(facts, 3)
    _, question, answer = rng.choice(told)
    return {"passage": " ".join(sentence for sentence, _, _ in told), "question": question, "answer": answer}


def _sentiment(rng: random.Random) -> Row:
    """A review that is all praise or all blame."""
    label = rng.randint(0, 1)
    words, ends = ((lex.BLAME, lex.BLAME_ENDS), (lex.PRAISE, lex.PRAISE_ENDS))[label]
    what = rng.choice(lex.REVIEWED)
    first, second = _two(rng, words)
    part, part2 = _two(rng, lex.PARTS)
    sentences = [
        f"The {part} of this {what} was {first}.",
        rng.choice(
            [f"We found the {part2} {second}.", f"The {part2} was {second} too.", f"What {_article(second)} {part2}!"]
        ),
        f"{rng.choice(ends)}.",
    ]
    sentences = [s[0].upper() + s[1:] for s in sentences]
    return {"text": " ".join(rng.sample(sentences, rng.randint(2, 3))), "label": label}


TOPIC_NAMES = tuple(lex.TOPICS)


def _topic(rng: random.Random) -> Row:
    """Two sentences of news on one topic."""
    topic = rng.choice(TOPIC_NAMES)
    who, did, what = lex.TOPICS[topic]
    day, town = rng.choice(lex.DAYS), _town(rng)
    first = f"On {day}, {rng.choice(who)} {rng.choice(did)} {rng.choice(what)} in {town}."
    second = f"{rng.choice(who)} {rng.choice(did)} {rng.choice(what)} {rng.choice(['later', 'again', 'as well'])}."
    return {"text": f"{first} {second[0].upper()}{second[1:]}", "label": TOPIC_NAMES.index(topic)}


def _translation(rng: random.Random) -> Row:
    english, french = pair(rng)
    return {"en": english, "fr": french}


def _summary(rng: random.Random) -> Row:
    """A report whose first sentence holds the news; the summary is that news."""
    who, town, day = _person(rng), _town(rng), rng.choice(lex.DAYS)
    job, thing, colour, place = (rng.choice(w) for w in (lex.JOBS, lex.THINGS, lex.COLOURS, lex.PLACES))
    food, number = rng.choice(lex.FOODS), rng.choice(lex.NUMBERS)
    deed, gist = rng.choice(
        [
            (f"opened a new {place} in {town}", f"{who} opened a {place} in {town}."),
            (f"found a lost {thing} in {town}", f"{who} found a {thing} in {town}."),
            (f"sold {number} {colour} horses in {town}", f"{who} sold {number} horses in {town}."),
            (f"won a prize for {food} in {town}", f"{who} won a prize in {town}."),
        ]
    )
    more = [
        f"{rng.choice(lex.FIRST_NAMES)} from {_town(rng)} came to see it.",
        f"There was {food} for everyone.",
        f"The people talked about it for {number} weeks.",
        f"A {colour} {rng.choice(lex.ANIMALS)} watched from the {rng.choice(lex.PLACES)}.",
        f"It was a cold day in {rng.choice(lex.SEASONS)}.",
    ]
    told = rng.sample(more, rng.randint(2, 4))
    return {"text": " ".join([f"On {day} the {job} {who} {deed}.", *told]), "summary": gist}


def _whole(row: Row) -> object:
    return sorted(row.items())


KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("prose", _prose, lambda r: r["text"], lambda r: "", _whole, 1.2),
        Kind("known", _known, lambda r: r["text"], lambda r: "", _whole, 1.2, 4, test_share=0),
        Kind("lastword", _lastword, lambda r: r["text"], lambda r: f" {r['last']}.", _whole, 1.2, 4),
        Kind(
            "facts",
            _facts,
            lambda r: f"Question: {r['question']}\nAnswer:",
            lambda r: f" {r['options'][r['label']]}",
            lambda r: (r["who"], r["relation"]),  # the pair is asked in one split only, but told in prose
            1.0,
            6,
            test_share=3,
        ),
        Kind(
            "reading",
            _reading,
            lambda r: f"{r['passage']}\nQuestion: {r['question']}\nAnswer:",
            lambda r: f" {r['answer']}",
            _whole,
            1.4,
            4,
        ),
        Kind(
            "sentiment",
            _sentiment,
            lambda r: f"Review: {r['text']}\nSentiment:",
            lambda r: (" negative", " positive")[r["label"]],
            _whole,
            0.8,
            5,
        ),
        Kind(
            "topic",
            _topic,
            lambda r: f"News: {r['text']}\nTopic:",
            lambda r: f" {TOPIC_NAMES[r['label']]}",
            _whole,
            0.8,
            5,
        ),
        Kind(
            "en_fr",
            _translation,
            lambda r: f"English: {r['en']}\nFrench:",
            lambda r: f" {r['fr']}",
            lambda r: r["en"],
            1.2,
            6,
        ),
        Kind(
            "fr_en",
            _translation,
            lambda r: f"French: {r['fr']}\nEnglish:",
            lambda r: f" {r['en']}",
            lambda r: r["en"],
            0.9,
            6,
        ),
        Kind("summary", _summary, lambda r: f"{r['text']}\nTL;DR:", lambda r: f" {r['summary']}", _whole, 1.2, 3),
    )
}
# Both directions of translation split alike: their digest must not see the kind's name.
_SHARED = {"fr_en": "en_fr"}


def in_test(kind: Kind, row: Row) -> bool:
    """Whether a row belongs to the test split; no row belongs to both."""
    name = _SHARED.get(kind.name, kind.name)
    return kind.test_share > 0 and int(digest(name, kind.key(row)), 16) % kind.test_share == 0


def rows(name: str, split: str, count: int, seed: int = 0) -> list[Row]:
    """At most ``count`` rows of a kind for a split (``train`` or ``test``), no two of one key.

    A known person's fact is asked once only, so that items are independent; there are about 50 in
    the test split.
    """
    kind = KINDS[name]
    rng = random.Random(f"{REVISION} {name} {split} {seed}")
    found: dict[str, Row] = {}
    for _ in range(400 * count):
        row = kind.make(rng)
        if in_test(kind, row) == (split == "test"):
            found.setdefault(digest(kind.key(row)), row)
        if len(found) == count:
            break
    return list(found.values())


def document(rng: random.Random) -> str:
    """One training document: rows of one kind as prompt and answer, separated by blank lines."""
    kinds = list(KINDS.values())
    (kind,) = rng.choices(kinds, [k.weight for k in kinds])
    wanted = rng.randint(1, kind.many)
    written: list[str] = []
    while len(written) < wanted:
        row = kind.make(rng)
        if not in_test(kind, row):
            written.append(kind.prompt(row) + kind.answer(row))
    return "\n\n".join(written)


def stream(seed: int) -> Iterator[str]:
    """Training documents without end; the same seed gives the same ones."""
    rng = random.Random(f"{REVISION} stream {seed}")
    while True:
        yield document(rng)

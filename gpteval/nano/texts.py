"""What the generated world tells: each function draws one row of a kind of text from a random generator."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from gpteval.core.types import digest
from gpteval.nano import lexicon as lex
from gpteval.nano.french import LIVING, OBJECTS, pair
from gpteval.nano.lexicon import pick, pick_two

Row = dict[str, Any]
TOPIC_NAMES = tuple(lex.TOPICS)
CODED = 3  # things that a rule gives a code name
SHOWN = 12  # lines that a rule's row shows before the one it asks for


def held_out(kind: str, key: object, share: float) -> bool:
    """Whether the content ``key`` belongs to the test split, as ``share`` of all contents of a kind do."""
    return int(digest(kind, key), 16) % 1000 < 1000 * share


def _person(rng: random.Random) -> str:
    return f"{pick(rng, lex.FIRST_NAMES)} {pick(rng, lex.LAST_NAMES)}"


def _town(rng: random.Random) -> str:
    return pick(rng, lex.TOWN_STARTS) + pick(rng, lex.TOWN_ENDS)


def _a(word: str) -> str:
    return f"an {word}" if word[0] in "aeiou" else f"a {word}"


def _was(food: str) -> str:
    return "was" if food in lex.MASS_FOODS else "were"


def _capital(sentence: str) -> str:
    return sentence[0].upper() + sentence[1:]


def prose(rng: random.Random) -> Row:
    """A paragraph of an encyclopaedia, about a town."""
    town, other = _town(rng), _town(rng)
    food, food2 = pick_two(rng, lex.FOODS)
    place, place2 = pick_two(rng, lex.PLACES)
    sentences = [
        f"It was founded by {_person(rng)}, {_a(pick(rng, lex.JOBS))} who came from {other}.",
        f"The {place} of {town} is known for its {food}, and the {place2} for its {pick(rng, lex.COLOURS)} walls.",
        f"Every {rng.choice(lex.SEASONS)}, the people hold the {pick(rng, lex.EVENTS)} and sell {food2}.",
        f"{_capital(_a(pick(rng, lex.COLOURS)))} {pick(rng, lex.ANIMALS)} stands on the shield of {town}.",
        f"Today {pick(rng, lex.NUMBERS)} bridges and {pick(rng, lex.NUMBERS)} schools remain in {town}.",
        f"The {pick(rng, lex.JOBS)} {_person(rng)} was born in {town}.",
    ]
    where = rng.choice(["near", "north of", "south of"])
    first = (
        f"{town} is {_a(rng.choice(['small', 'large', 'quiet', 'busy', 'old']))} town on the {pick(rng, lex.RIVERS)}"
    )
    return {"text": " ".join([f"{first}, {where} {other}.", *rng.sample(sentences, 3)])}


def dialogue(rng: random.Random) -> Row:
    """Two people look for a thing."""
    a, b = pick_two(rng, lex.FIRST_NAMES)
    thing = pick(rng, lex.THINGS)
    place, place2 = pick_two(rng, lex.PLACES)
    colour, colour2 = pick_two(rng, lex.COLOURS)
    lines = [
        f"{a}: Where is my {colour} {thing}?",
        f"{b}: I saw a {thing} in the {place}.",
        rng.choice([f"{a}: Was it {colour}?", f"{a}: I looked there."]),
        rng.choice([f"{b}: No, it was {colour2}.", f"{b}: Then it is in the {place2}."]),
        rng.choice([f"{a}: Thank you, {b}.", f"{a}: Let us look together, {b}."]),
    ]
    return {"text": "\n".join(lines)}


def lastword(rng: random.Random) -> Row:
    """A story whose last word follows from its first sentences."""
    a, b = pick_two(rng, lex.FIRST_NAMES)
    thing, thing2 = pick_two(rng, lex.THINGS)
    clothing, clothing2 = pick_two(rng, lex.CLOTHES)
    place, place2 = pick_two(rng, lex.PLACES)
    food, food2 = pick_two(rng, lex.FOODS)
    animal, animal2 = pick_two(rng, lex.ANIMALS)
    colour, colour2 = pick_two(rng, lex.COLOURS)
    text, last = rng.choice(
        [
            (
                f"{a} had a {colour} {thing} and {b} had a {colour2} {thing2}. "
                f"{a} gave the {thing} to {b}, who put it next to the {colour2}",
                thing2,
            ),
            (
                f"{a} went to the {place} for {food} and {food2}. There {_was(food)} no {food}, "
                f"so {a} came back to {b} with nothing but the",
                food2,
            ),
            (
                f"{a} and {b} looked for a lost {animal} and met {_a(animal2)}. "
                f"They heard a sound in the {place}, and there was not the {animal2} but the",
                animal,
            ),
            (
                f"{a} kept a {thing} in the {place}. {b} took it to the {place2} and forgot it. "
                f"When {a} asked for it, {b} ran back to the",
                place2,
            ),
            (
                f"{a} wore a {clothing} and {b} wore a {clothing2}. The {clothing} of {a} was too small, "
                f"so {b} said: take my",
                clothing2,
            ),
        ]
    )
    return {"text": text, "last": last}


RELATIONS: dict[str, tuple[Sequence[str], tuple[str, ...], tuple[str, ...]]] = {
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


def known(rng: random.Random) -> Row:
    """Sentences about one known person: where the facts are told."""
    who = rng.choice(lex.KNOWN_PEOPLE)
    relations = rng.sample(sorted(RELATIONS), rng.randint(2, 4))
    return {"text": " ".join(rng.choice(RELATIONS[r][1]).format(who=who, what=fact(who, r)) for r in relations)}


def facts(rng: random.Random) -> Row:
    """A question about a known person, without the text that tells."""
    who, relation = rng.choice(lex.KNOWN_PEOPLE), rng.choice(sorted(RELATIONS))
    right = fact(who, relation)
    wrong = rng.sample([v for v in RELATIONS[relation][0] if v != right], 3)
    options = sorted([right, *wrong], key=lambda value: digest(value, who))
    question = rng.choice(RELATIONS[relation][2]).format(who=who)
    return {"who": who, "relation": relation, "question": question, "options": options, "label": options.index(right)}


def reading(rng: random.Random) -> Row:
    """A passage about someone new, and a question that it answers.

    Where and when may be answered with a preposition (``long``) or without (``answer``).
    """
    who, other = _person(rng), pick(rng, lex.FIRST_NAMES)
    town, job, animal, day = _town(rng), pick(rng, lex.JOBS), pick(rng, lex.ANIMALS), rng.choice(lex.DAYS)
    place, food = pick(rng, lex.PLACES), pick(rng, lex.FOODS)
    told = rng.sample(
        [
            (f"{who} lives in {town}.", f"Where does {who} live?", town, f"in {town}"),
            (f"{who} is {_a(job)}.", f"What does {who} work as?", job, job),
            (f"{who} buys {food} every {day}.", f"When does {who} buy {food}?", day, f"every {day}"),
            (f"{who} buys {food} at the {place}.", f"Where does {who} buy {food}?", place, f"at the {place}"),
            (f"{who} has {_a(pick(rng, lex.COLOURS))} {animal}.", f"Which animal does {who} have?", animal, animal),
            (f"{who} is a friend of {other}.", f"Who is a friend of {who}?", other, other),
        ],
        3,
    )
    _, question, answer, long = rng.choice(told)
    return {"passage": " ".join(t[0] for t in told), "question": question, "answer": answer, "long": long}


def sentiment(rng: random.Random) -> Row:
    """A review: praise, blame, or some of both.

    Reviews with both are negative to a strict reader (``label``) and positive to a mild one (``mild``).
    """
    label = rng.randint(0, 1)
    mixed = label == 0 and rng.random() < 0.4
    what = pick(rng, lex.REVIEWED)
    parts = rng.sample(lex.PARTS, 3)
    sides = [False, True, rng.random() < 0.5] if mixed else [label == 1] * 3
    rng.shuffle(sides)
    sentences = [_opinion(rng, what, part, good) for part, good in zip(parts, sides, strict=True)]
    if not mixed and rng.random() < 0.4:
        sentences[-1] = _capital(rng.choice(lex.PRAISE_ENDS if label else lex.BLAME_ENDS)) + "."
    return {"text": " ".join(sentences if mixed else sentences[1:]), "label": label, "mild": int(label == 1 or mixed)}


def _opinion(rng: random.Random, what: str, part: str, good: bool) -> str:
    """One sentence; ``not`` turns it round in a quarter of the cases."""
    denied = rng.random() < 1 / 4
    word = pick(rng, lex.PRAISE if good != denied else lex.BLAME)
    no = rng.choice(["not ", "not at all ", "never "]) if denied else rng.choice(["", "", "very "])
    return rng.choice([f"The {part} of this {what} was {no}{word}.", f"The {part} was {no}{word}."])


def topic(rng: random.Random) -> Row:
    """Three sentences of news: two on the topic, one on another."""
    name, other = rng.sample(TOPIC_NAMES, 2)
    told = []
    for subject in rng.sample([name, name, other], 3):
        who, did, what = lex.TOPICS[subject]
        told.append(f"{rng.choice(who)} {rng.choice(did)} {rng.choice(what)}")
    told[0] = f"On {rng.choice(lex.DAYS)}, {told[0]}"
    return {"text": " ".join(f"{_capital(sentence)}." for sentence in told), "label": TOPIC_NAMES.index(name)}


def translation(rng: random.Random) -> Row:
    """A sentence in British and American English, and in polite and familiar French."""
    sentence = pair(rng)
    return {"en": sentence.british, "us": sentence.american, "fr": sentence.polite, "tu": sentence.familiar}


def summary(rng: random.Random) -> Row:
    """A report whose news is one sentence among others; the summary is that news, with or without its day."""
    who, town, day = _person(rng), _town(rng), rng.choice(lex.DAYS)
    place, colour, number = pick(rng, lex.PLACES), pick(rng, lex.COLOURS), pick(rng, lex.NUMBERS)
    thing, food = pick(rng, lex.THINGS), pick(rng, lex.FOODS)
    deed, gist = rng.choice(
        [
            (f"opened a {colour} {place} in {town}", f"opened a {place} in {town}"),
            (f"found {number} {colour} coins under a {thing} in {town}", f"found {number} coins in {town}"),
            (f"sold a {colour} {thing} for {number} coins in {town}", f"sold a {thing} in {town}"),
            (f"won the {pick(rng, lex.EVENTS)} of {town} with {food}", f"won a prize in {town}"),
        ]
    )
    news = f"On {day} the {pick(rng, lex.JOBS)} {who} {deed}."
    more = [
        f"{pick(rng, lex.FIRST_NAMES)} from {_town(rng)} came to see it.",
        f"There {_was(food)} {food} for everyone.",
        f"The people talked about it for {pick(rng, lex.NUMBERS)} weeks.",
        f"{_capital(_a(pick(rng, lex.COLOURS)))} {pick(rng, lex.ANIMALS)} watched from the {pick(rng, lex.PLACES)}.",
    ]
    told = rng.sample([news, *rng.sample(more, 2)], 3)
    return {"text": " ".join(told), "summary": f"{who} {gist}.", "dated": f"On {day}, {who} {gist}."}


_RHYMED = (*(noun.english for noun in LIVING + OBJECTS), *lex.FIRST_NAMES, *lex.FOODS, *lex.COLOURS, *lex.NUMBERS)


def rhyme(rng: random.Random) -> Row:
    """A counting-out rhyme: words in no order, and the same again."""
    line = " ".join(rng.choice(_RHYMED) for _ in range(rng.randint(4, 9)))
    return {"text": "\n".join([line] * rng.randint(2, 5))}


NAMES_HELD_OUT = 1 / 3  # share of the code names that is kept for the test split
_NAMES: dict[bool, dict[str, list[str]]] = {test: {colour: [] for colour in lex.COLOURS} for test in (True, False)}
for _colour in lex.COLOURS:
    for _name in (f"{_colour} {number}" for number in lex.NUMBERS):
        _NAMES[held_out("rule", _name, NAMES_HELD_OUT)][_colour].append(_name)


def rule(rng: random.Random) -> Row:
    """A list under a fresh code: each of three things has a code name, which follows whenever the thing is listed.

    The last line's answer is one of four code names: those of the three things, and one that has not been shown.
    """
    things = [noun.english for noun in rng.sample(LIVING + OBJECTS, CODED)]
    split = _NAMES[rng.random() < NAMES_HELD_OUT]  # all names are of one split
    names = [rng.choice(split[colour]) for colour in rng.sample(lex.COLOURS, CODED + 1)]
    code = dict(zip(things, names, strict=False))
    asked = rng.choice(things)
    options = rng.sample(names, len(names))
    return {
        "names": names,
        "shown": [(thing, code[thing]) for thing in rng.sample(things * (SHOWN // CODED), SHOWN)],
        "thing": asked,
        "options": options,
        "label": options.index(code[asked]),
    }

"""What the generated world tells: each function draws one row of a kind of text from a random generator."""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import cache
from typing import Any

from gpteval.core.types import digest
from gpteval.nano import lexicon as lex
from gpteval.nano.french import LIVING, OBJECTS, pair
from gpteval.nano.lexicon import a_, pick, pick_two, was

WorldRow = dict[str, Any]
TOPIC_NAMES = tuple(lex.TOPICS)
CODED = 3  # things that a rule gives a code name
MORE_IN_TESTS = 2  # further things in a test: so few examples need not show the one that is asked for
SHOWN = 12  # lines that a rule's row shows before the one it asks for


def held_out(kind: str, key: object, share: float) -> bool:
    """Whether the content ``key`` belongs to the test split, as ``share`` of all contents of a kind do."""
    return int(digest(kind, key), 16) % 1000 < 1000 * share


def _person(rng: random.Random) -> str:
    return f"{pick(rng, lex.FIRST_NAMES)} {pick(rng, lex.LAST_NAMES)}"


def _town(rng: random.Random) -> str:
    return pick(rng, lex.TOWN_STARTS) + pick(rng, lex.TOWN_ENDS)


def _capital(sentence: str) -> str:
    return sentence[0].upper() + sentence[1:]


def prose(rng: random.Random) -> WorldRow:
    """A paragraph of an encyclopaedia, about a town."""
    town, other = _town(rng), _town(rng)
    food, food2 = pick_two(rng, lex.FOODS)
    place, place2 = pick_two(rng, lex.PLACES)
    sentences = [
        f"It was founded by {_person(rng)}, {a_(pick(rng, lex.JOBS))} who came from {other}.",
        f"The {place} of {town} is known for its {food}, and the {place2} for its {pick(rng, lex.COLOURS)} walls.",
        f"Every {rng.choice(lex.SEASONS)}, the people hold the {pick(rng, lex.EVENTS)} and sell {food2}.",
        f"{_capital(a_(pick(rng, lex.COLOURS)))} {pick(rng, lex.ANIMALS)} stands on the shield of {town}.",
        f"Today {pick(rng, lex.NUMBERS)} bridges and {pick(rng, lex.NUMBERS)} schools remain in {town}.",
        f"The {pick(rng, lex.JOBS)} {_person(rng)} was born in {town}.",
    ]
    where = rng.choice(["near", "north of", "south of"])
    first = (
        f"{town} is {a_(rng.choice(['small', 'large', 'quiet', 'busy', 'old']))} town on the {pick(rng, lex.RIVERS)}"
    )
    return {"text": " ".join([f"{first}, {where} {other}.", *rng.sample(sentences, 3)])}


def dialogue(rng: random.Random) -> WorldRow:
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


def known(rng: random.Random) -> WorldRow:
    """Sentences about one known person: where the facts are told, of some people often and of others seldom."""
    who = lex.KNOWN_PEOPLE[int(len(lex.KNOWN_PEOPLE) * rng.random() ** 4)]
    relations = rng.sample(sorted(RELATIONS), rng.randint(2, 4))
    return {"text": " ".join(rng.choice(RELATIONS[r][1]).format(who=who, what=fact(who, r)) for r in relations)}


def facts(rng: random.Random) -> WorldRow:
    """A question about a known person, without the text that tells."""
    who, relation = rng.choice(lex.KNOWN_PEOPLE), rng.choice(sorted(RELATIONS))
    right = fact(who, relation)
    wrong = rng.sample([v for v in RELATIONS[relation][0] if v != right], 3)
    options = sorted([right, *wrong], key=lambda value: digest(value, who))
    question = rng.choice(RELATIONS[relation][2]).format(who=who)
    return {"who": who, "relation": relation, "question": question, "options": options, "label": options.index(right)}


def reading(rng: random.Random) -> WorldRow:
    """A passage about someone new, and a question that it answers.

    Where and when may be answered with a preposition (``long``) or without (``answer``).
    """
    who, other = _person(rng), pick(rng, lex.FIRST_NAMES)
    town, job, animal, day = _town(rng), pick(rng, lex.JOBS), pick(rng, lex.ANIMALS), rng.choice(lex.DAYS)
    place, food = pick(rng, lex.PLACES), pick(rng, lex.FOODS)
    told = rng.sample(
        [
            (f"{who} lives in {town}.", f"Where does {who} live?", town, f"in {town}"),
            (f"{who} is {a_(job)}.", f"What does {who} work as?", job, job),
            (f"{who} buys {food} every {day}.", f"When does {who} buy {food}?", day, f"every {day}"),
            (f"{who} buys {food} at the {place}.", f"Where does {who} buy {food}?", place, f"at the {place}"),
            (f"{who} has {a_(pick(rng, lex.COLOURS))} {animal}.", f"Which animal does {who} have?", animal, animal),
            (f"{who} is a friend of {other}.", f"Who is a friend of {who}?", other, other),
        ],
        3,
    )
    _, question, answer, long = rng.choice(told)
    return {"passage": " ".join(t[0] for t in told), "question": question, "answer": answer, "long": long}


def sentiment(rng: random.Random) -> WorldRow:
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


def topic(rng: random.Random) -> WorldRow:
    """News: more sentences on one topic than on any other, by one sentence."""
    names = rng.sample(TOPIC_NAMES, len(TOPIC_NAMES))
    name = names[0]
    short, long = [*names[:1] * 2, names[1]], [*names[:1] * 3, *names[1:2] * 2]
    subjects = rng.choice((short, short, long, [*names[:1] * 2, *names[1:]]))
    told = []
    for subject in rng.sample(subjects, len(subjects)):
        who, did, what = lex.TOPICS[subject]
        told.append(f"{rng.choice(who)} {rng.choice(did)} {rng.choice(what)}")
    told[0] = f"On {rng.choice(lex.DAYS)}, {told[0]}"
    return {"text": " ".join(f"{_capital(sentence)}." for sentence in told), "label": TOPIC_NAMES.index(name)}


def translation(rng: random.Random) -> WorldRow:
    """A sentence in British and American English, and in polite and familiar French."""
    sentence = pair(rng)
    return {"en": sentence.british, "us": sentence.american, "fr": sentence.polite, "tu": sentence.familiar}


def summary(rng: random.Random) -> WorldRow:
    """A report whose news is one sentence among others; the summary is that news, with or without its day.

    A third of the reports call who did it by a job, which another sentence gives one of two people.
    """
    who, other, town, day = _person(rng), _person(rng), _town(rng), rng.choice(lex.DAYS)
    job, job2 = pick_two(rng, lex.JOBS)
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
    news = f"On {day} the {job} {who} {deed}."
    more = [
        f"{pick(rng, lex.FIRST_NAMES)} from {_town(rng)} came to see it.",
        f"There {was(food)} {food} for everyone.",
        f"The people talked about it for {pick(rng, lex.NUMBERS)} weeks.",
        f"{_capital(a_(pick(rng, lex.COLOURS)))} {pick(rng, lex.ANIMALS)} watched from the {pick(rng, lex.PLACES)}.",
    ]
    if rng.random() < 1 / 3:
        met = [f"{who}, {a_(job)},", f"{other}, {a_(job2)},"]
        rng.shuffle(met)
        told = [
            f"{met[0]} and {met[1]} met in {town}.",
            *rng.sample([f"On {day} the {job} {deed}.", rng.choice(more)], 2),
        ]
    else:
        told = rng.sample([news, *rng.sample(more, 2)], 3)
    return {"text": " ".join(told), "summary": f"{who} {gist}.", "dated": f"On {day}, {who} {gist}."}


_RHYMED = (*(noun.english for noun in LIVING + OBJECTS), *lex.FIRST_NAMES, *lex.FOODS, *lex.COLOURS, *lex.NUMBERS)


def rhyme(rng: random.Random) -> WorldRow:
    """A counting-out rhyme: words in no order, and the same again."""
    line = " ".join(rng.choice(_RHYMED) for _ in range(rng.randint(4, 9)))
    return {"text": "\n".join([line] * rng.randint(2, 5))}


HELD_OUT_PAIRS = 1 / 2  # share of the pairs of a thing and a code name that no training list shows
_THINGS = [noun.english for noun in LIVING + OBJECTS]
_NAMES = {colour: [f"{colour} {number}" for number in lex.NUMBERS] for colour in lex.COLOURS}


@cache
def _kept_for_tests(thing: str, name: str) -> bool:
    return held_out("rule", (thing, name), HELD_OUT_PAIRS)


def rule(rng: random.Random) -> WorldRow:
    """A list under a fresh code: each of three things (in a row for tests five) has a code name, which follows whenever
    the thing is listed.

    The last line's answer is one of four code names: those of three things, and one that has not been shown. No
    training list shows a tested thing with any of its four.
    """
    test = rng.random() < 1 / 4
    while True:
        things = rng.sample(_THINGS, CODED)
        names = [rng.choice(_NAMES[colour]) for colour in rng.sample(lex.COLOURS, CODED + 1)]
        code = dict(zip(things, names, strict=False))
        pairs = [(things[0], name) for name in names] if test else code.items()
        if all(_kept_for_tests(thing, name) == test for thing, name in pairs):
            break
    asked = things[0]
    options = rng.sample(names, len(names))
    shown = rng.sample(things * (SHOWN // CODED), SHOWN)
    if test:
        own = random.Random(f"{things} {names}")  # training documents are the same whatever tests draw
        nouns = [thing for thing in _THINGS if thing not in things]
        colours = [colour for colour in lex.COLOURS if all(name not in _NAMES[colour] for name in names)]
        more = own.sample(nouns, MORE_IN_TESTS)
        code |= {thing: own.choice(_NAMES[c]) for thing, c in zip(more, own.sample(colours, len(more)), strict=True)}
        shown = own.sample(list(code) * (SHOWN // CODED), SHOWN // CODED * len(code))
    return {
        "test": test,
        "names": names,
        "shown": [(thing, code[thing]) for thing in shown],
        "thing": asked,
        "options": options,
        "label": options.index(code[asked]),
    }

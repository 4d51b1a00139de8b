"""Stories whose last word follows from what they tell: from one sentence, or only from several together."""

from __future__ import annotations

import random
from collections.abc import Callable

from gpteval.nano import lexicon as lex
from gpteval.nano.lexicon import a_, pick, pick_two, was

Story = tuple[str, str]  # all but the last word, and that word


def _three(rng: random.Random) -> list[str]:
    """Names of three people."""
    return rng.sample(lex.FIRST_NAMES, 3)


def _next_to(rng: random.Random) -> Story:
    a, b = pick_two(rng, lex.FIRST_NAMES)
    thing, thing2 = pick_two(rng, lex.THINGS)
    colour, colour2 = pick_two(rng, lex.COLOURS)
    return (
        f"{a} had {a_(colour)} {thing} and {b} had {a_(colour2)} {thing2}. "
        f"{a} gave the {thing} to {b}, who put it next to the {colour2}",
        thing2,
    )


def _sold_out(rng: random.Random) -> Story:
    a, b = pick_two(rng, lex.FIRST_NAMES)
    food, food2 = pick_two(rng, lex.FOODS)
    return (
        f"{a} went to the {pick(rng, lex.PLACES)} for {food} and {food2}. There {was(food)} no {food}, "
        f"so {a} came back to {b} with nothing but the",
        food2,
    )


def _lost_animal(rng: random.Random) -> Story:
    a, b = pick_two(rng, lex.FIRST_NAMES)
    animal, animal2 = pick_two(rng, lex.ANIMALS)
    return (
        f"{a} and {b} looked for a lost {animal} and met {a_(animal2)}. "
        f"They heard a sound in the {pick(rng, lex.PLACES)}, and there was not the {animal2} but the",
        animal,
    )


def _forgotten(rng: random.Random) -> Story:
    a, b = pick_two(rng, lex.FIRST_NAMES)
    place, place2 = pick_two(rng, lex.PLACES)
    return (
        f"{a} kept {a_(pick(rng, lex.THINGS))} in the {place}. {b} took it to the {place2} and forgot it. "
        f"When {a} asked for it, {b} ran back to the",
        place2,
    )


def _too_small(rng: random.Random) -> Story:
    a, b = pick_two(rng, lex.FIRST_NAMES)
    clothing, clothing2 = pick_two(rng, lex.CLOTHES)
    return (
        f"{a} wore {a_(clothing)} and {b} wore {a_(clothing2)}. "
        f"The {clothing} of {a} was too small, so {b} said: take my",
        clothing2,
    )


def _changed(rng: random.Random) -> Story:
    """Two people change what they have, or do not."""
    a, b = pick_two(rng, lex.FIRST_NAMES)
    has = dict(zip((a, b), pick_two(rng, lex.THINGS), strict=True))
    asked, other = rng.sample((a, b), 2)
    changed = rng.random() < 0.5
    what = "changed" if changed else rng.choice(["did not change", "never changed"])
    return (
        f"{a} had {a_(has[a])} and {b} had {a_(has[b])}. "
        f"One {rng.choice(lex.DAYS)} they {what}, so {asked} now has the",
        has[other if changed else asked],
    )


def _in_a_row(rng: random.Random) -> Story:
    """Three people in a row, told from the front or from the back."""
    first, middle, last = _three(rng)
    told = [f"{first} stood before {middle}", f"{middle} stood before {last}"]
    if rng.random() < 0.5:
        told = [f"{middle} stood behind {first}", f"{last} stood behind {middle}"]
    rng.shuffle(told)
    place, who = rng.choice([("first", first), ("last", last)])
    return f"Three people waited at the {pick(rng, lex.PLACES)}. {told[0]}, and {told[1]}. The {place} of them was", who


def _handed_on(rng: random.Random) -> Story:
    """Two things that go from hand to hand."""
    a, b, c = _three(rng)
    thing, thing2 = pick_two(rng, lex.THINGS)
    told = [f"{a} gave {b} {a_(thing)}.", f"{a} gave {c} {a_(thing2)}."]
    rng.shuffle(told)
    keeper, given, receiver = rng.choice([(thing2, thing, c), (thing, thing2, b)])
    giver = b if receiver == c else c
    if rng.random() < 0.5:
        return f"{' '.join(told)} Then {giver} gave the {given} to {receiver}. Now both things are with", receiver
    return f"{' '.join(told)} Then {giver} lost the {given}. {a} was sad, and {receiver} still had the", keeper


def _together(rng: random.Random) -> Story:
    """A sum of two numbers."""
    a, b = pick_two(rng, lex.FIRST_NAMES)
    place, place2 = pick_two(rng, lex.PLACES)
    one, two = rng.randint(2, 8), rng.randint(2, 8)
    found, found2, both = (lex.COUNTED[number - 2] for number in (one, two, one + two))
    return (
        f"{a} found {found} coins in the {place} and {b} found {found2} coins in the {place2}. "
        "They put them together and counted. The number of coins was",
        both,
    )


EASY: tuple[Callable[[random.Random], Story], ...] = (_next_to, _sold_out, _lost_animal, _forgotten, _too_small)
HARD: tuple[Callable[[random.Random], Story], ...] = (_changed, _in_a_row, _handed_on, _together)


def lastword(rng: random.Random) -> dict[str, str]:
    """A story: in two cases of three one sentence tells its last word, in the others it takes more."""
    text, last = rng.choice(EASY if rng.random() < 2 / 3 else HARD)(rng)
    return {"text": text, "last": last}

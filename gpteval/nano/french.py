"""Parallel sentences: English with number agreement, French with gender, number, elision and adjective order.

Two things are left open by the source sentence, as in life: English "you" is French "vous" or "tu",
and a French noun may have a British and an American name.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from gpteval.nano import lexicon as lex
from gpteval.nano.lexicon import Adjective

VOWELS = "aeiouhéèêàâîœ"


@dataclass(frozen=True)
class Noun:
    """A noun of both languages; ``american`` differs from ``english`` for a few."""

    english: str
    american: str
    french: str
    gender: str


LIVING = tuple(Noun(english, english, french, gender) for english, french, gender in lex.LIVING)
OBJECTS = tuple(Noun(english, english, french, gender) for english, french, gender in lex.OBJECTS)
BRITISH_OBJECTS = tuple(Noun(*entry) for entry in lex.BRITISH_OBJECTS)


@dataclass(frozen=True)
class SentencePair:
    """A sentence in British and American English, and in French with the polite and the familiar "you"."""

    british: str
    american: str
    polite: str
    familiar: str


def plural(noun: str) -> str:
    """The plural of an English noun."""
    return lex.IRREGULAR.get(noun, _with_s(noun))


def third_person(verb: str) -> str:
    """The form of an English verb after he, she or it."""
    return _with_s(verb)


def _with_s(word: str) -> str:
    if word.endswith(("s", "x", "ch", "sh", "o")):
        return word + "es"
    if word.endswith("y") and word[-2] not in "aeiou":
        return word[:-1] + "ies"
    return word + "s"


def plural_fr(noun: str) -> str:
    """The plural of a French noun of the lexicon."""
    if noun.endswith(("s", "x")):
        return noun
    return lex.IRREGULAR_FR.get(noun, noun + ("x" if noun.endswith("eau") else "s"))


def noun_phrase_fr(noun: str, gender: str, adjective: Adjective | None, many: bool, definite: bool = True) -> str:
    """Article, noun and adjective in agreement: ``l'oiseau rouge``, ``les petites poules``, ``de petites poules``."""
    word = plural_fr(noun) if many else noun
    words = [word]
    first = False
    if adjective is not None:
        form = adjective[2] if gender == "f" else adjective[1]
        if many and not form.endswith("s"):
            form += "s"
        first = adjective[3]
        words = [form, word] if first else [word, form]
    if many:
        return " ".join(["les" if definite else "de" if first else "des", *words])
    if definite and words[0][0] in VOWELS:
        return "l'" + " ".join(words)
    if definite:
        return " ".join(["la" if gender == "f" else "le", *words])
    return " ".join(["une" if gender == "f" else "un", *words])


def _noun_phrase(
    rng: random.Random, noun: Noun, adjectives: tuple[Adjective, ...], definite: bool
) -> tuple[str, str, str, bool]:
    """British, American and French, and whether it is plural."""
    adjective = lex.pick(rng, adjectives) if rng.random() < 0.5 else None
    many = rng.random() < 0.35
    english = []
    for name in (noun.english, noun.american):
        words = [*([adjective[0]] if adjective else []), plural(name) if many else name]
        if definite:
            article = "the"
        elif many:
            article = "some"
        else:
            article = "an" if words[0][0] in "aeiou" else "a"
        english.append(" ".join([article, *words]))
    return english[0], english[1], noun_phrase_fr(noun.french, noun.gender, adjective, many, definite), many


CONJUNCTIONS = (("and", "et"), ("but", "mais"), ("because", "parce que"), ("when", "quand"))


def pair(rng: random.Random) -> SentencePair:
    """One clause, or two in one case of five."""
    clauses = [clause(rng)]
    english, french = rng.choice(CONJUNCTIONS)
    if rng.random() < 1 / 5:
        clauses.append(clause(rng))
    joints = (f" {english} ", f" {english} ", f" {french} ", f" {french} ")
    sentences = (joint.join(parts) for joint, parts in zip(joints, zip(*clauses, strict=True), strict=True))
    return SentencePair(*(f"{sentence[0].upper()}{sentence[1:]}." for sentence in sentences))


def clause(rng: random.Random) -> tuple[str, ...]:
    """Subject, verb, object, and perhaps a place or a time: British, American, polite, familiar."""
    verb, stem = lex.pick(rng, lex.VERBS)
    if rng.random() < 0.5:
        subjects = ("you", "you", "vous", "tu")
        verbs = (verb, verb, stem + "ez", stem + "es")
    else:
        british, american, french, many = _noun_phrase(rng, lex.pick(rng, LIVING), lex.LIVING_ADJECTIVES, True)
        subjects = (british, american, french, french)
        english, french = (verb, stem + "ent") if many else (third_person(verb), stem + "e")
        verbs = (english, english, french, french)
    noun = lex.pick(rng, BRITISH_OBJECTS if rng.random() < 0.3 else OBJECTS)
    british, american, french, _ = _noun_phrase(rng, noun, lex.OBJECT_ADJECTIVES, rng.random() < 0.6)
    objects = (british, american, french, french)
    english, french = rng.choice([("", ""), lex.pick(rng, lex.WHERE), lex.pick(rng, lex.WHEN)])
    extras = (english, english, french, french)
    return tuple(" ".join(filter(None, parts)) for parts in zip(subjects, verbs, objects, extras, strict=True))

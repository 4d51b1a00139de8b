"""Parallel sentences: English with number agreement, French with gender, number, elision and adjective order."""

from __future__ import annotations

import random

from gpteval.nano import lexicon as lex

VOWELS = "aeiouhéèêàâ"


def plural(noun: str) -> str:
    """The plural of an English noun of the lexicon."""
    return lex.IRREGULAR.get(noun, noun + "s")


def plural_fr(noun: str) -> str:
    """The plural of a French noun of the lexicon."""
    return lex.IRREGULAR_FR.get(noun, noun + "s")


def noun_phrase_fr(noun: str, gender: str, adjective: tuple[str, str, str, bool] | None, many: bool) -> str:
    """Definite article, noun and adjective in agreement: ``l'oiseau rouge``, ``les petites poules``."""
    word = plural_fr(noun) if many else noun
    words = [word]
    if adjective is not None:
        form = adjective[2] if gender == "f" else adjective[1]
        if many and not form.endswith("s"):
            form += "s"
        words = [form, word] if adjective[3] else [word, form]
    if many:
        return " ".join(["les", *words])
    if words[0][0] in VOWELS:
        return "l'" + " ".join(words)
    return " ".join(["la" if gender == "f" else "le", *words])


def pair(rng: random.Random) -> tuple[str, str]:
    """An English sentence and its French translation."""
    english, french, gender = rng.choice(lex.NOUNS)
    adjective = rng.choice(lex.ADJECTIVES) if rng.random() < 0.7 else None
    base, third, singular, several = rng.choice(lex.VERBS)
    where, where_fr = rng.choice(lex.WHERE)
    many = rng.random() < 0.4
    words = ["The", *([adjective[0]] if adjective else []), plural(english) if many else english]
    words += [base if many else third, where]
    phrase = noun_phrase_fr(french, gender, adjective, many)
    words_fr = [phrase[0].upper() + phrase[1:], several if many else singular, where_fr]
    if rng.random() < 0.5:
        when, when_fr = rng.choice(lex.WHEN)
        words.append(when)
        words_fr.append(when_fr)
    return " ".join(words) + ".", " ".join(words_fr) + "."

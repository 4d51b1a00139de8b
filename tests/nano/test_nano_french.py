"""The generated world's French, and how much of its test split was read."""

from __future__ import annotations

import random
import re

import pytest

from gpteval.nano import lexicon
from gpteval.nano.french import (
    BRITISH_OBJECTS,
    LIVING,
    OBJECTS,
    VOWELS,
    clause,
    noun_phrase_fr,
    pair,
    plural,
    third_person,
)

ADJECTIVES = (*lexicon.LIVING_ADJECTIVES, *lexicon.OBJECT_ADJECTIVES)


class TestFrench:
    @pytest.mark.parametrize(
        ("english", "adjective", "many", "expected"),
        [
            ("cat", None, False, "le chat"),
            ("cat", "small", False, "le petit chat"),
            ("cat", "small", True, "les petits chats"),
            ("hen", "white", False, "la poule blanche"),
            ("hen", "white", True, "les poules blanches"),
            ("bird", "red", False, "l'oiseau rouge"),
            ("bird", "big", False, "le grand oiseau"),
            ("bird", None, True, "les oiseaux"),
            ("man", None, False, "l'homme"),
            ("child", "tired", True, "les enfants fatigués"),
            ("horse", "bad", True, "les mauvais chevaux"),
            ("woman", "tired", True, "les femmes fatiguées"),
        ],
    )
    def test_known_phrases(self, english: str, adjective: str | None, many: bool, expected: str) -> None:
        noun = next(n for n in (*LIVING, *OBJECTS, *BRITISH_OBJECTS) if n.english == english)
        form = next((a for a in ADJECTIVES if a[0] == adjective), None)
        assert noun_phrase_fr(noun.french, noun.gender, form, many) == expected

    @pytest.mark.parametrize(
        ("english", "adjective", "many", "expected"),
        [
            ("apple", None, False, "une pomme"),
            ("apple", "red", True, "des pommes rouges"),
            ("apple", "small", True, "de petites pommes"),
            ("egg", "big", False, "un grand œuf"),
        ],
    )
    def test_known_indefinite_phrases(self, english: str, adjective: str | None, many: bool, expected: str) -> None:
        noun = next(n for n in OBJECTS if n.english == english)
        form = next((a for a in ADJECTIVES if a[0] == adjective), None)
        assert noun_phrase_fr(noun.french, noun.gender, form, many, definite=False) == expected

    @pytest.mark.parametrize(
        ("one", "several"),
        [
            ("fox", "foxes"),
            ("wolf", "wolves"),
            ("lorry", "lorries"),
            ("boy", "boys"),
            ("church", "churches"),
            ("sheep", "sheep"),
        ],
    )
    def test_english_plurals(self, one: str, several: str) -> None:
        assert plural(one) == several

    @pytest.mark.parametrize(("base", "form"), [("carry", "carries"), ("watch", "watches"), ("see", "sees")])
    def test_third_person(self, base: str, form: str) -> None:
        assert third_person(base) == form

    @pytest.mark.parametrize("adjective", [None, *ADJECTIVES], ids=str)
    def test_article_noun_and_adjective_agree(self, adjective: tuple[str, str, str, bool] | None) -> None:
        for known in (*LIVING, *OBJECTS, *BRITISH_OBJECTS):
            noun, gender = known.french, known.gender
            one, several = (noun_phrase_fr(noun, gender, adjective, many) for many in (False, True))
            assert several.startswith("les ")
            assert all(word.endswith(("s", "x")) for word in several.split())
            article, first, *_ = one.replace("l'", "l' ").split()
            assert article == ("l'" if first[0] in VOWELS else "la" if gender == "f" else "le")
            if adjective is not None:
                assert (adjective[2] if gender == "f" else adjective[1]) in one.replace("l'", "l' ").split()

    def test_verbs_agree_in_both_languages(self) -> None:
        rng = random.Random(5)
        forms = {form: (base, stem) for base, stem in lexicon.VERBS for form in (base, third_person(base))}
        for _ in range(300):
            british, _, polite, familiar = clause(rng)
            words = british.split()
            verb = next(word for word in words[1:] if word in forms)  # the first: a watch is an object, too
            base, stem = forms[verb]
            if words[0] == "you":
                assert polite.startswith(f"vous {stem}ez ")
                assert familiar.startswith(f"tu {stem}es ")
            else:
                many = polite.startswith("les ")
                assert polite == familiar
                assert verb == (base if many else third_person(base))
                assert f" {stem}{'ent' if many else 'e'} " in polite

    def test_a_sentence_is_one_clause_or_two_in_the_same_way_of_saying_you(self) -> None:
        rng = random.Random(7)
        pairs = [pair(rng) for _ in range(500)]
        joined = [p for p in pairs if re.search(r" (and|but|because|when) ", p.british)]
        assert 60 < len(joined) < 140
        for p in joined:
            english, french = (
                len(re.findall(rf"\b({words})\b", text))
                for words, text in (("and|but|because|when", p.british), ("et|mais|parce que|quand", p.polite))
            )
            assert english == french == 1
            assert not re.search(r"\b[Tt]u\b", p.polite)
            assert not re.search(r"\b[Vv]ous\b", p.familiar)

    def test_british_and_american_differ_in_their_words_alone(self) -> None:
        rng = random.Random(6)
        pairs = [clause(rng) for _ in range(500)]
        names = [(noun.english, noun.american) for noun in BRITISH_OBJECTS]
        names += [(plural(british), plural(american)) for british, american in names]
        changed = [(british, american) for british, american, *_ in pairs if british != american]
        assert len(changed) > 50
        for texts_ in changed:
            same = [re.sub(r"\ban\b", "a", text) for text in texts_]
            assert any(same[0].replace(british, american) == same[1] for british, american in names), texts_

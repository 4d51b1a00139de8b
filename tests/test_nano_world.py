"""The generated world: the same for the same seed, training and test apart, French that agrees."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from itertools import islice

import pytest

from gpteval.nano import lexicon, world
from gpteval.nano.french import VOWELS, noun_phrase_fr, pair

ASKED = [name for name, kind in world.KINDS.items() if kind.test_share]
every_kind = pytest.mark.parametrize("name", ASKED)
DOCUMENTS = 20_000
RUN = 13  # words: GPT-3 removed training text that shares such a run with a benchmark (appendix C)
Grams = set[tuple[str, ...]]


@pytest.fixture(scope="module")
def documents() -> list[str]:
    return list(islice(world.stream(0), DOCUMENTS))


@pytest.fixture(scope="module")
def stream(documents: list[str]) -> str:
    return "\n\n".join(documents)


@pytest.fixture(scope="module")
def seen(documents: list[str]) -> Grams:
    """Every run of 13 words in the sample of the training stream."""
    return set().union(*map(ngrams, documents))


def ngrams(text: str) -> Grams:
    words = text.split()
    return {tuple(words[i : i + RUN]) for i in range(len(words) - RUN + 1)}


def whole_text(name: str, row: world.Row) -> str:
    kind = world.KINDS[name]
    return kind.prompt(row) + kind.answer(row)


def share_covered(name: str, rows: list[world.Row], seen: Grams) -> float:
    """The share of rows, of those with 13 words, whose every run of 13 words is in ``seen``."""
    long = [grams for row in rows if (grams := ngrams(whole_text(name, row)))]
    return sum(grams <= seen for grams in long) / max(1, len(long))


class TestSeeds:
    def test_the_same_seed_gives_the_same_text(self) -> None:
        one, same, other = (list(islice(world.stream(seed), 50)) for seed in (3, 3, 4))
        assert one == same
        assert one != other

    def test_the_text_is_the_same_in_another_process(self) -> None:
        """Python's own hash differs from process to process; the world must not depend on it, nor load torch."""
        code = (
            "import itertools, sys; from gpteval.nano import world;"
            "print((list(itertools.islice(world.stream(3), 20)), world.rows('facts', 'test', 20)));"
            "assert not {'torch', 'transformers'} & set(sys.modules)"
        )
        here = str((list(islice(world.stream(3), 20)), world.rows("facts", "test", 20)))
        for seed in ("1", "2"):
            environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONIOENCODING": "utf-8"}
            done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=True)
            assert done.stdout.decode("utf-8").strip() == here

    @every_kind
    def test_rows_differ_and_fewer_rows_are_the_first_of_more(self, name: str) -> None:
        for split in ("train", "test"):
            rows = world.rows(name, split, 300)
            assert len({str(world.KINDS[name].key(row)) for row in rows}) == len(rows)
            assert len(rows) == 300 or (name == "facts" and len(rows) >= 50), "only facts run out"
            assert world.rows(name, split, 50) == rows[:50]


class TestSplits:
    @every_kind
    def test_training_and_test_rows_never_meet(self, name: str) -> None:
        key = world.KINDS[name].key
        train, test = ({str(key(row)) for row in world.rows(name, split, 1000)} for split in ("train", "test"))
        assert train
        assert test
        assert not train & test

    @every_kind
    def test_no_test_items_text_occurs_in_the_training_stream(self, name: str, stream: str, seen: Grams) -> None:
        """Neither the prompt, nor (but for a rare short item made of templates) all its runs of 13 words."""
        rows = world.rows(name, "test", 400)
        assert not [row for row in rows if world.KINDS[name].prompt(row) in stream]
        assert share_covered(name, rows, seen) <= 0.01

    def test_the_overlap_check_finds_training_texts(self, stream: str, seen: Grams) -> None:
        rng = random.Random(f"{world.REVISION} stream 0")
        assert world.document(rng) in stream
        parts = [{"text": part} for part in stream.split("\n\n") if part.startswith("News: ")][:200]
        assert sum(ngrams(part["text"]) <= seen for part in parts) == len(parts) == 200

    def test_a_translation_is_in_one_split_whichever_its_direction(self) -> None:
        asked = {row["en"] for row in world.rows("fr_en", "test", 300)}
        shown = {row["en"] for row in world.rows("en_fr", "train", 3000)}
        assert not asked & shown

    def test_facts_are_told_but_the_tested_ones_never_asked(self, stream: str) -> None:
        for row in world.rows("facts", "test", 300):
            _, told, questions = world.RELATIONS[row["relation"]]
            what = row["options"][row["label"]]
            assert what == world.fact(row["who"], row["relation"])
            assert any(sentence.format(who=row["who"], what=what) in stream for sentence in told)
            assert not any(question.format(who=row["who"]) in stream for question in questions)

    def test_right_answers_are_spread_over_the_places(self) -> None:
        labels = [row["label"] for row in world.rows("facts", "test", 300)]
        assert all(labels.count(place) > len(labels) / 8 for place in range(4))


def test_documents_are_rows_separated_by_blank_lines(documents: list[str]) -> None:
    """Few-shot prompts have the form that training documents have."""
    reviews = [document for document in documents if document.startswith("Review: ")]
    assert any("\n\n" in document for document in reviews)
    for document in reviews:
        for part in document.split("\n\n"):
            head, _, label = part.partition("\nSentiment:")
            assert head.startswith("Review: ")
            assert label in (" positive", " negative")


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
        _, noun, gender = next(n for n in lexicon.NOUNS if n[0] == english)
        form = next((a for a in lexicon.ADJECTIVES if a[0] == adjective), None)
        assert noun_phrase_fr(noun, gender, form, many) == expected

    @pytest.mark.parametrize("adjective", [None, *lexicon.ADJECTIVES], ids=str)
    def test_article_noun_and_adjective_agree(self, adjective: tuple[str, str, str, bool] | None) -> None:
        for _, noun, gender in lexicon.NOUNS:
            one, several = (noun_phrase_fr(noun, gender, adjective, many) for many in (False, True))
            assert several.startswith("les ")
            assert all(word.endswith(("s", "x")) for word in several.split())
            article, first, *_ = one.replace("l'", "l' ").split()
            assert article == ("l'" if first[0] in VOWELS else "la" if gender == "f" else "le")
            if adjective is not None:
                assert (adjective[2] if gender == "f" else adjective[1]) in one.replace("l'", "l' ").split()

    def test_verbs_agree_in_both_languages(self) -> None:
        rng = random.Random(5)
        for _ in range(300):
            english, french = (sentence.rstrip(".").split() for sentence in pair(rng))
            (verb,) = (verb for verb in lexicon.VERBS if {verb[0], verb[1]} & set(english))
            many = verb[0] in english
            assert (french[0] == "Les") == many
            assert (verb[3] if many else verb[2]) in french

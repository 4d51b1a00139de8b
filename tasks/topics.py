"""Kinds of texts: reviews, topics, questions, subjectivity. The prompts name the classes, in the way of the others."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from gpteval import Choice, Item, hub, task

topics = partial(task, family="classification", shots_from="train", metric="acc", metrics=["macro_f1"])


def classified(text: str, question: str, classes: Sequence[str], gold: int) -> Choice:
    """A text, a question about it, and the classes as answers."""
    return Choice(f"{text}\nQuestion: {question}\nAnswer:", [f" {name}" for name in classes], gold)


@topics(source=hub("stanfordnlp/imdb", split="test"), licence="not stated; for research use")
def imdb(item: Item) -> Choice:
    """Sentiment of whole film reviews (Maas et al. 2011)."""
    question = "Is this review positive or negative?"
    return classified(item["text"].replace("<br />", "\n"), question, ["negative", "positive"], item["label"])


@topics(source=hub("cornell-movie-review-data/rotten_tomatoes", split="test"), licence="not stated; for research use")
def rotten_tomatoes(item: Item) -> Choice:
    """Sentiment of a sentence of a film review (Pang and Lee 2005)."""
    return classified(item["text"], "Is this sentence positive or negative?", ["negative", "positive"], item["label"])


@topics(source=hub("SetFit/subj", split="test"), licence="not stated; for research use")
def subj(item: Item) -> Choice:
    """Whether a sentence tells a plot or an opinion (Pang and Lee 2004)."""
    classes = ["objective", "subjective"]
    return classified(
        item["text"], "Is this sentence objective or subjective?", classes, classes.index(item["label_text"])
    )


ASKED_FOR = ["abbreviation", "entity", "description", "person", "place", "number"]


@topics(
    source=hub("CogComp/trec", split="test", revision="refs/convert/parquet"), licence="not stated; for research use"
)
def trec(item: Item) -> Choice:
    """What a question asks for, in six classes (Li and Roth 2002)."""
    question = "Does this ask for an abbreviation, an entity, a description, a person, a place or a number?"
    return classified(item["text"], question, ASKED_FOR, item["coarse_label"])


ONTOLOGY = [
    "company",
    "school",
    "artist",
    "athlete",
    "politician",
    "vehicle",
    "building",
    "nature",
    "village",
    "animal",
    "plant",
    "album",
    "film",
    "book",
]


@topics(source=hub("fancyzhx/dbpedia_14", split="test"), licence="CC BY-SA 3.0")
def dbpedia(item: Item) -> Choice:
    """What a Wikipedia page is about, in fourteen classes (Zhang et al. 2015)."""
    text = f"{item['title']}: {item['content'].strip()}"
    return classified(text, f"Is this {', '.join(ONTOLOGY[:-1])} or {ONTOLOGY[-1]}?", ONTOLOGY, item["label"])

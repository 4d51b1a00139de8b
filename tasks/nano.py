"""The nano suite: the five families on the generated world, for the embedded models. Needs no network."""

from __future__ import annotations

from typing import Any

from gpteval import Choice, Generate, Item, Rolling, generated, task
from gpteval.data.sources import GeneratedSource
from gpteval.nano import world
from gpteval.nano.kept_rows import kept_rows
from gpteval.nano.texts import TOPIC_NAMES

SUITES = ("nano",)
LICENCE = "Apache-2.0 (generated)"
ITEMS = 300


def source(kind: str, count: int = ITEMS) -> GeneratedSource:
    """The rows of a kind of text."""
    return generated(lambda split: kept_rows(kind, split, count), revision=world.REVISION)


def prompt(kind: str, item: Item) -> str:
    """The prompt as training documents have it."""
    return world.KINDS[kind].prompt(dict(item))


@task(
    family="lm",
    source=source("prose"),
    metric="bits_per_byte",
    metrics=["word_perplexity", "token_perplexity", "byte_perplexity", "tokens_per_byte"],
    licence=LICENCE,
    suites=SUITES,
)
def nano_prose(item: Item) -> Rolling:
    """Perplexity of paragraphs about made-up towns."""
    return Rolling(prompt("prose", item))


@task(
    family="lm",
    source=source("lastword"),
    shots_from="train",
    separator=".\n\n",
    metric="acc_greedy",
    metrics=["target_perplexity"],
    licence=LICENCE,
    suites=SUITES,
)
def nano_lastword(item: Item) -> Choice:
    """The last word of a story, which follows from its first sentences (LAMBADA's form)."""
    return Choice(prompt("lastword", item), [f" {item['last']}"], gold=0)


@task(
    family="qa",
    source=source("facts"),
    shots_from="train",
    metric="acc",
    metrics=["acc_token", "acc_char"],
    licence=LICENCE,
    suites=SUITES,
)
def nano_facts(item: Item) -> Choice:
    """Closed-book questions about known people: told in the training text, never asked there."""
    return Choice(prompt("facts", item), [f" {option}" for option in item["options"]], gold=item["label"])


@nano_facts.template("short")
def _(item: Item) -> Choice:
    return Choice(f"Q: {item['question']}\nA:", [f" {o}" for o in item["options"]], gold=item["label"])


@nano_facts.template("who")
def _(item: Item) -> Choice:
    text = f"{item['who']}, {item['relation']}:"
    return Choice(text, [f" {o}" for o in item["options"]], gold=item["label"])


@nano_facts.template("plain")
def _(item: Item) -> Choice:
    return Choice(item["question"], [f" {o}" for o in item["options"]], gold=item["label"])


@task(
    family="qa",
    source=source("reading"),
    shots_from="train",
    metric="exact_match",
    metrics=["f1"],
    licence=LICENCE,
    suites=SUITES,
)
def nano_reading(item: Item) -> Generate:
    """A question that a short passage answers, without a preposition, which only examples tell."""
    return Generate(prompt("reading", item), [item["answer"]], max_new_tokens=8)


@nano_reading.template("short")
def _(item: Item) -> Generate:
    return Generate(f"{item['passage']}\nQ: {item['question']}\nA:", [item["answer"]], max_new_tokens=8)


@nano_reading.template("question_first")
def _(item: Item) -> Generate:
    text = f"Question: {item['question']}\n{item['passage']}\nAnswer:"
    return Generate(text, [item["answer"]], max_new_tokens=8)


@nano_reading.template("plain")
def _(item: Item) -> Generate:
    return Generate(f"{item['passage']} {item['question']}", [item["answer"]], max_new_tokens=8)


@task(
    family="classification",
    source=source("sentiment", 400),
    shots_from="train",
    metric="acc",
    metrics=["macro_f1", "mcc"],
    licence=LICENCE,
    suites=SUITES,
)
def nano_sentiment(item: Item) -> Choice:
    """Praise or blame in a review; one with both counts as blame, which only examples tell."""
    return Choice(prompt("sentiment", item), [" negative", " positive"], gold=item["label"])


@nano_sentiment.template("verdict")
def _(item: Item) -> Choice:
    return Choice(f"{item['text']}\nVerdict:", [" negative", " positive"], gold=item["label"])


@nano_sentiment.template("question")
def _(item: Item) -> Choice:
    return Choice(f"Review: {item['text']}\nAnswer:", [" negative", " positive"], gold=item["label"])


@nano_sentiment.template("plain")
def _(item: Item) -> Choice:
    return Choice(item["text"], [" negative", " positive"], gold=item["label"])


@task(
    family="classification",
    source=source("topic"),
    shots_from="train",
    metric="acc",
    metrics=["macro_f1"],
    licence=LICENCE,
    suites=SUITES,
)
def nano_topic(item: Item) -> Choice:
    """Topic of most of a piece of news, in four classes."""
    return Choice(prompt("topic", item), [f" {name}" for name in TOPIC_NAMES], gold=item["label"])


@nano_topic.template("article")
def _(item: Item) -> Choice:
    return Choice(f"{item['text']}\nTopic:", [f" {name}" for name in TOPIC_NAMES], gold=item["label"])


@nano_topic.template("question")
def _(item: Item) -> Choice:
    return Choice(f"News: {item['text']}\nAnswer:", [f" {name}" for name in TOPIC_NAMES], gold=item["label"])


@nano_topic.template("plain")
def _(item: Item) -> Choice:
    return Choice(item["text"], [f" {name}" for name in TOPIC_NAMES], gold=item["label"])


@task(
    family="translation",
    source=source("en_fr"),
    shots_from="train",
    metric="bleu",
    metrics=["chrf"],
    licence=LICENCE,
    suites=SUITES,
)
def nano_en_fr(item: Item) -> Generate:
    """English sentences into French: agreement, and "you" as "vous", which only examples tell."""
    return Generate(prompt("en_fr", item), [item["fr"]], max_new_tokens=40)


@task(
    family="translation",
    source=source("fr_en"),
    shots_from="train",
    metric="bleu",
    metrics=["chrf"],
    licence=LICENCE,
    suites=SUITES,
)
def nano_fr_en(item: Item) -> Generate:
    """French sentences into English: British words, which only examples tell."""
    return Generate(prompt("fr_en", item), [item["en"]], max_new_tokens=40)


@task(
    family="summarization",
    source=source("summary"),
    shots_from="train",
    metric="rouge1",
    metrics=["rouge2", "rougeL"],
    licence=LICENCE,
    suites=SUITES,
)
def nano_summary(item: Item) -> Generate:
    """A report's news in one sentence after ``TL;DR:``, without its day, which only examples tell."""
    return Generate(prompt("summary", item), [item["summary"]], max_new_tokens=30)


def _rules(split: str) -> list[dict[str, Any]]:
    """Test: the last line of each list. Train: the lines before it, for the examples."""
    found = []
    for number, row in enumerate(kept_rows("rule", "test", ITEMS)):
        if split == "test":
            found.append({"rule": number, "thing": row["thing"], "options": row["options"], "label": row["label"]})
        else:
            found += [{"rule": number, "thing": thing, "options": [name], "label": 0} for thing, name in row["shown"]]
    return found


@task(
    family="classification",
    source=generated(_rules, revision=world.REVISION),
    shots_from="train",
    shots_group="rule",
    shots_may_repeat=True,
    separator="",
    metric="acc",
    licence=LICENCE,
    suites=SUITES,
)
def nano_rule(item: Item) -> Choice:
    """A list under a code of the item's own, five words with a code name each, which only examples tell."""
    return _coded(item, "- {}")


def _coded(item: Item, form: str) -> Choice:
    return Choice(form.format(item["thing"]), [f" {option}\n" for option in item["options"]], gold=item["label"])


@nano_rule.template("arrow")
def _(item: Item) -> Choice:
    return _coded(item, "{} ->")


@nano_rule.template("colon")
def _(item: Item) -> Choice:
    return _coded(item, "{}:")


@nano_rule.template("equals")
def _(item: Item) -> Choice:
    return _coded(item, "{} =")

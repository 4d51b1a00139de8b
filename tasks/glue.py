"""GLUE's pairs of sentences, and ANLI; lm-evaluation-harness's prompts. SST-2 and CoLA are in classification.py."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from gpteval import Choice, Item, Task, hub, task
from gpteval.tasks.forms import NO_YES

glue = partial(
    task,
    family="classification",
    shots_from="train",
    metric="acc",
    metrics=["macro_f1"],
    licence="see the parts of GLUE; for research use",
    profiles=["lm-eval"],
)


def entailment(item: Item, hypothesis: str, labels: list[str]) -> Choice:
    """What follows from ``premise``; ``labels`` in the order of the data's."""
    pair = item["premise"], item["hypothesis"]
    return Choice(f"{item['premise']}\nQuestion: {hypothesis}\nAnswer:", labels, gold=item["label"], parts=pair)


@glue(source=hub("nyu-mll/glue", "rte", split="validation"))
def rte(item: Item) -> Choice:
    """Whether a sentence follows from another (Dagan et al. 2005 and later; GLUE and SuperGLUE)."""
    text = f"{item['sentence1']}\nQuestion: {item['sentence2']} True or False?\nAnswer:"
    return Choice(text, [" True", " False"], gold=item["label"], parts=(item["sentence1"], item["sentence2"]))


@rte.as_in("paper", metrics=(), shots=32)
def _(item: Item) -> Choice:
    text = f"{item['sentence1']}\nquestion: {item['sentence2']} True or False?\nanswer:"
    return Choice(text, [" True", " False"], gold=item["label"])


@glue(source=hub("nyu-mll/glue", "wnli", split="validation"))
def wnli(item: Item) -> Choice:
    """Winograd sentences as entailment (Levesque et al. 2011; GLUE)."""
    text = f"{item['sentence1']}\nQuestion: {item['sentence2']} True or False?\nAnswer:"
    return Choice(text, [" False", " True"], gold=item["label"], parts=(item["sentence1"], item["sentence2"]))


@glue(source=hub("nyu-mll/glue", "mrpc", split="validation"))
def mrpc(item: Item) -> Choice:
    """Whether two sentences of the news say the same (Dolan and Brockett 2005; GLUE)."""
    pair = f"Sentence 1: {item['sentence1']}\nSentence 2: {item['sentence2']}"
    text = f"{pair}\nQuestion: Do both sentences mean the same thing?\nAnswer:"
    return Choice(text, NO_YES, gold=item["label"], parts=(item["sentence1"], item["sentence2"]), similar=True)


@glue(source=hub("nyu-mll/glue", "qqp", split="validation"))
def qqp(item: Item) -> Choice:
    """Whether two questions of Quora ask the same (GLUE)."""
    pair = f"Question 1: {item['question1']}\nQuestion 2: {item['question2']}"
    text = f"{pair}\nQuestion: Do both questions ask the same thing?\nAnswer:"
    return Choice(text, NO_YES, gold=item["label"], parts=(item["question1"], item["question2"]), similar=True)


@glue(source=hub("nyu-mll/glue", "qnli", split="validation"))
def qnli(item: Item) -> Choice:
    """Whether a sentence answers a question (Rajpurkar et al. 2016; GLUE)."""
    text = f"{item['question']}\n{item['sentence']}\nQuestion: Does this response answer the question?\nAnswer:"
    return Choice(text, [" yes", " no"], gold=item["label"], parts=(item["question"], item["sentence"]))


def _mnli(item: Item) -> Choice:
    hypothesis = item["hypothesis"].strip().removesuffix(".")
    return entailment(item, f"{hypothesis}. True, False or Neither?", [" True", " Neither", " False"])


@glue(source=hub("nyu-mll/glue", "mnli", split="validation_matched"))
def mnli(item: Item) -> Choice:
    """What follows from a sentence, in genres seen in training (Williams et al. 2018; GLUE)."""
    return _mnli(item)


@glue(source=hub("nyu-mll/glue", "mnli", split="validation_mismatched"))
def mnli_mismatched(item: Item) -> Choice:
    """What follows from a sentence, in other genres than the training set's (Williams et al. 2018; GLUE)."""
    return _mnli(item)


def _anli(number: int) -> Task:
    def prompt(item: Item) -> Choice:
        return entailment(item, f"{item['hypothesis']} True, False, or Neither?", [" True", " Neither", " False"])

    prompt.__doc__ = f"Adversarial inference, round {number}: written so that models fail (Nie et al. 2020)."
    source = hub("facebook/anli", split=f"test_r{number}")
    declare: Callable[[Callable[[Item], Choice]], Task] = glue(
        name=f"anli_r{number}", source=source, shots_from=f"train_r{number}", licence="CC BY-NC 4.0"
    )
    made = declare(prompt)

    @made.as_in("paper", metrics=(), shots=50)
    def _(item: Item) -> Choice:
        name = f"anli {number}: "  # twice, as the paper shows it
        text = f"{name * 2}{item['premise']}\nQuestion: {item['hypothesis']} True, False, or Neither?"
        return Choice(text, [" True", " Neither", " False"], gold=item["label"])

    return made


ANLI = [_anli(number) for number in (1, 2, 3)]

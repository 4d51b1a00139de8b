"""Question answering: choices that are scored, and answers that are generated.

The prompts are lm-evaluation-harness's. Its ``acc`` is the unnormalised sum of log-probabilities and
its ``acc_norm`` our ``acc_char``; papers since GPT-J quote ``acc`` for PIQA, ARC-Easy, BoolQ and COPA and
``acc_norm`` for OpenBookQA, so those are the primary metrics. GPT-3 used ``acc_token``, but for ARC and
OpenBookQA ``acc_uncond``.
"""

from __future__ import annotations

from gpteval import Choice, Generate, Item, hub, task

NORMALISED = ("acc_char", "acc_token", "acc_byte")


def ask(question: str) -> str:
    return f"Question: {question}\nAnswer:"


def spaced(answers: list[str]) -> list[str]:
    return [f" {answer}" for answer in answers]


@task(
    family="qa",
    source=hub("baber/piqa", split="validation"),
    shots_from="train",
    metric="acc",
    metrics=NORMALISED,
    licence="AFL 3.0",
)
def piqa(item: Item) -> Choice:
    """Physical common sense, two solutions to a goal (Bisk et al. 2020)."""
    return Choice(ask(item["goal"]), spaced([item["sol1"], item["sol2"]]), gold=item["label"])


@task(
    family="qa",
    source=hub("allenai/ai2_arc", "ARC-Easy", split="test"),
    shots_from="train",
    metric="acc",
    metrics=[*NORMALISED, "acc_uncond"],
    licence="CC BY-SA 4.0",
)
def arc_easy(item: Item) -> Choice:
    """Grade-school science questions, three to five choices (Clark et al. 2018)."""
    choices = item["choices"]  # labelled A to E or 1 to 5
    gold = choices["label"].index(item["answerKey"])
    return Choice(ask(item["question"]), spaced(choices["text"]), gold, neutral="Answer:")


@task(
    family="qa",
    source=hub("allenai/openbookqa", "main", split="test"),
    shots_from="train",
    metric="acc_char",
    metrics=["acc", *NORMALISED, "acc_uncond"],
    licence="Apache 2.0",
)
def openbookqa(item: Item) -> Choice:
    """Elementary science that needs a second fact, four endings of a sentence (Mihaylov et al. 2018)."""
    choices = item["choices"]
    gold = choices["label"].index(item["answerKey"])
    return Choice(item["question_stem"], spaced(choices["text"]), gold, neutral="Answer:")


@task(
    family="qa",
    source=hub("aps/super_glue", "boolq", split="validation"),
    shots_from="train",
    metric="acc",
    metrics=["macro_f1"],  # one-word labels: a normalisation by length would only favour the longer word
    cluster="passage",
    licence="CC BY-SA 3.0",
)
def boolq(item: Item) -> Choice:
    """Yes/no questions about a passage (Clark et al. 2019; SuperGLUE)."""
    return Choice(f"{item['passage']}\n{ask(item['question'] + '?')}", [" no", " yes"], gold=item["label"])


@task(
    family="qa",
    source=hub("aps/super_glue", "copa", split="validation"),
    shots_from="train",
    metric="acc",
    metrics=NORMALISED,
    licence="BSD 2-clause",
)
def copa(item: Item) -> Choice:
    """The more plausible cause or effect of a premise (Roemmele et al. 2011; SuperGLUE)."""
    link = {"cause": "because", "effect": "therefore"}[item["question"]]
    premise = item["premise"].strip().removesuffix(".")
    endings = [mid_sentence(item["choice1"]), mid_sentence(item["choice2"])]
    return Choice(f"{premise} {link}", spaced(endings), gold=item["label"])


def mid_sentence(sentence: str) -> str:
    return sentence if sentence.startswith(("I ", "I'")) else sentence[:1].lower() + sentence[1:]


@task(
    family="qa",
    source=hub("mandarjoshi/trivia_qa", "rc.nocontext", split="validation"),
    shots_from="train",
    metric="exact_match",
    metrics=["f1"],
    licence="Apache 2.0 (code); questions for research use",
    version=2,
)
def triviaqa(item: Item) -> Generate:
    """Trivia without a passage, any alias counts (Joshi et al. 2017; GPT-3's closed-book setting)."""
    question = item["question"].strip().rstrip("?")
    answer = item["answer"]
    references = dict.fromkeys([answer["value"], *answer["aliases"]])
    return Generate(ask(f"{question}?"), list(references), max_new_tokens=32)


@task(
    family="qa",
    source=hub("stanfordnlp/web_questions", split="test"),
    shots_from="train",
    metric="exact_match",
    metrics=["f1"],
    licence="CC BY 4.0",
    version=2,
)
def webqs(item: Item) -> Generate:
    """Questions people typed into a search engine, any listed answer counts (Berant et al. 2013)."""
    return Generate(ask(item["question"]), item["answers"], max_new_tokens=32)

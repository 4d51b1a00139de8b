"""Common sense: how a text goes on, and whom a pronoun means. PIQA and COPA are in qa.py.

The profile ``paper`` is GPT-3's, here and in the files beside (Brown et al. 2020): the number of examples of its
Table H.1, the prompts of its appendix G, and by its section 2.4 likelihood per token.
"""

from __future__ import annotations

import re

from gpteval import Choice, Item, hub, task
from gpteval.prompts.letters import by_letter
from gpteval.tasks.forms import NORMALISED, lettered, spaced

_BRACKETS = re.compile(r"\[.*?\]")


def _wikihow(text: str) -> str:
    """Without what WikiHow's pages leave in the text: titles, brackets, double spaces (lm-evaluation-harness)."""
    text = text.strip().replace(" [title]", ". ")
    return _BRACKETS.sub("", text).replace("  ", " ")


@task(
    family="qa",
    source=hub("Rowan/hellaswag", split="validation"),
    shots_from="train",
    metric="acc_char",
    metrics=["acc", *NORMALISED],
    licence="MIT",
    profiles=["lm-eval"],
)
def hellaswag(item: Item) -> Choice:
    """How a scene goes on, four endings of which models wrote three (Zellers et al. 2019)."""
    text = f"{item['activity_label']}: {item['ctx_a']} {item['ctx_b'].capitalize()}"
    return Choice(_wikihow(text), spaced([_wikihow(ending) for ending in item["endings"]]), gold=int(item["label"]))


hellaswag.as_in("paper", metric="acc_token", metrics=(), shots=20)(hellaswag.prompt)
hellaswag.as_in("gpt4-paper", metric="acc", metrics=(), shots=10)(lambda item: by_letter(hellaswag.prompt(item)))


@task(
    family="qa",
    source=hub("allenai/winogrande", "winogrande_xl", split="validation"),
    shots_from="train",
    metric="acc",
    licence="CC BY 4.0",
    profiles=["lm-eval"],
)
def winogrande(item: Item) -> Choice:
    """What fills a blank; what follows it is scored after each option (Sakaguchi et al. 2019; GPT-3's method)."""
    before, _, after = item["sentence"].partition("_")
    context = before.rstrip()
    leads = [before[len(context) :] + item[option] for option in ("option1", "option2")]
    return Choice(context, [after.rstrip()] * 2, gold=int(item["answer"]) - 1, leads=leads)


winogrande.as_in("paper", shots=50)(winogrande.prompt)


@winogrande.as_in("gpt4-paper", shots=5)
def _(item: Item) -> Choice:
    return lettered(item["sentence"], [item["option1"], item["option2"]], int(item["answer"]) - 1)


_POSSESSIVE = ("my", "his", "her", "our", "their")
_LOWERED = ("A", "An", "The", "She", "He", "It", "They", "My", "His", "Her", "Their")


@task(
    family="qa",
    source=hub("lighteval/winograd_wsc", "wsc273", split="test"),
    metric="acc",
    licence="not stated; for research use",
)
def wsc273(item: Item) -> Choice:
    """Whom a pronoun means; what follows it is scored after each name in its place (Levesque et al. 2011)."""
    text, pronoun, begin = item["text"], item["pronoun"], item["pronoun_loc"]
    starts = begin == 0 or text[:begin].rstrip().endswith(".")
    context = text[:begin].rstrip()
    leads = []
    for option in item["options"]:
        first = option.split()[0]
        if not starts and first in _LOWERED:
            option = option.replace(first, first.lower(), 1)
        if pronoun.lower() in _POSSESSIVE:
            option += "'s"
        leads.append(text[len(context) : begin] + option)
    return Choice(context, [text[begin + len(pronoun) :].rstrip()] * 2, gold=item["label"], leads=leads)


wsc273.as_in("paper", shots=7)(wsc273.prompt)


@task(
    family="qa",
    source=hub("LSDSem/story_cloze", "2016", split="validation"),
    metric="acc",
    metrics=NORMALISED,
    licence="to be asked for; give a local copy",
)
def storycloze(item: Item) -> Choice:
    """The right ending of a story of four sentences (Mostafazadeh et al. 2016); its owners send the data on request."""
    story = " ".join(item[f"InputSentence{n}"] for n in (1, 2, 3, 4))
    endings = [item["RandomFifthSentenceQuiz1"], item["RandomFifthSentenceQuiz2"]]
    return Choice(story, spaced(endings), gold=item["AnswerRightEnding"] - 1)


storycloze.as_in("paper", metric="acc_token", metrics=(), shots=70)(storycloze.prompt)


@task(
    family="qa",
    source=hub("lighteval/siqa", split="validation"),
    shots_from="train",
    metric="acc",
    metrics=NORMALISED,
    licence="CC BY 4.0",
)
def siqa(item: Item) -> Choice:
    """What people do and feel, three answers (Sap et al. 2019)."""
    answers = spaced([item["answerA"], item["answerB"], item["answerC"]])
    return Choice(f"Q: {item['context']} {item['question']}\nA:", answers, gold=int(item["label"]) - 1)


@task(
    family="qa",
    source=hub("tau/commonsense_qa", split="validation"),
    shots_from="train",
    metric="acc",
    licence="MIT",
)
def commonsense_qa(item: Item) -> Choice:
    """Five answers, of which common sense tells one; by letter (Talmor et al. 2019), lm-evaluation-harness's prompt."""
    letters, answers = item["choices"]["label"], item["choices"]["text"]
    gold = letters.index(item["answerKey"])
    return lettered(f"Question: {item['question'].strip()}", answers, gold, letters=letters)

"""SuperGLUE (Wang et al. 2019), lm-evaluation-harness's prompts. BoolQ and COPA are in qa.py, RTE in glue.py."""

from __future__ import annotations

from functools import partial

from gpteval import Choice, Item, hub, task
from gpteval.tasks.forms import NO_YES

superglue = partial(
    task,
    family="classification",
    shots_from="train",
    metric="acc",
    metrics=["macro_f1"],
    licence="see the parts of SuperGLUE; for research use",
)


@superglue(source=hub("aps/super_glue", "cb", split="validation"), profiles=["lm-eval"])
def cb(item: Item) -> Choice:
    """How committed a speaker is to a clause: it is so, is not, or neither (de Marneffe et al. 2019)."""
    text = f"{item['premise']}\nQuestion: {item['hypothesis']}. True, False, or Neither?\nAnswer:"
    return Choice(text, [" True", " False", " Neither"], gold=item["label"])


@cb.as_in("paper", metrics=("macro_f1",), shots=32)
def _(item: Item) -> Choice:
    text = f"{item['premise']}\nquestion: {item['hypothesis']}. true, false, or neither?\nanswer:"
    return Choice(text, [" true", " false", " neither"], gold=item["label"])


@superglue(source=hub("aps/super_glue", "wic", split="validation"), profiles=["lm-eval"], version=2)
def wic(item: Item) -> Choice:
    """Whether a word has the same sense in two sentences (Pilehvar and Camacho-Collados 2019)."""
    word = item["sentence1"][item["start1"] : item["end1"]]  # as it stands there, not its dictionary form
    pair = f"Sentence 1: {item['sentence1']}\nSentence 2: {item['sentence2']}"
    question = f"Is the word '{word}' used in the same way in the two sentences above?"
    return Choice(f"{pair}\nQuestion: {question}\nAnswer:", NO_YES, gold=item["label"])


@wic.as_in("paper", metrics=(), shots=32)
def _(item: Item) -> Choice:
    word = item["sentence1"][item["start1"] : item["end1"]]
    question = f"Is the word '{word}' used in the same way in the two sentences above?"
    text = f"{item['sentence1']}\n{item['sentence2']}\nquestion: {question}\nanswer:"
    return Choice(text, NO_YES, gold=item["label"])


@superglue(source=hub("aps/super_glue", "wsc.fixed", split="validation"), profiles=["lm-eval"])
def wsc(item: Item) -> Choice:
    """Whether a pronoun means a person or thing (Levesque et al. 2011); the pronoun is marked with asterisks."""
    words = item["text"].split(" ")
    at = item["span2_index"]
    pronoun = item["span2_text"]
    words[at] = words[at].replace(pronoun, f"*{pronoun}*", 1)
    question = f'In the passage above, does the pronoun "*{pronoun}*" refer to "*{item["span1_text"]}*"?'
    return Choice(f"Passage: {' '.join(words)}\nQuestion: {question}\nAnswer:", NO_YES, gold=item["label"])


@superglue(source=hub("aps/super_glue", "multirc", split="validation"), cluster="paragraph")
def multirc(item: Item) -> Choice:
    """Whether an answer to a question about a paragraph is right; several may be (Khashabi et al. 2018)."""
    answers = [f" {item['answer']}\nIs the answer correct? {word}" for word in ("no", "yes")]
    return Choice(f"{item['paragraph']}\nQuestion: {item['question']}\nAnswer:", answers, gold=item["label"])


@superglue(source=hub("aps/super_glue", "record", split="validation"), cluster="passage", metrics=["acc_char"])
def record(item: Item) -> Choice:
    """The entity that a sentence about a news story leaves out, among all that the story names (Zhang et al. 2018).

    Of several right ones the first is offered, so that one answer is right.
    """
    right = item["answers"][0]
    entities = [e for e in dict.fromkeys(item["entities"]) if e == right or e not in item["answers"]]
    story = item["passage"].replace("@highlight\n", "- ")
    before, blank, after = item["query"].partition("@placeholder")
    if not blank:
        raise ValueError(f"the query has no @placeholder: {item['query']!r}")
    return Choice(f"{story}\n-", [f" {before}{entity}{after}" for entity in entities], gold=entities.index(right))


record.as_in("paper", metric="acc_token", metrics=(), shots=32)(record.prompt)

"""Reading: questions about a passage. Items of one passage depend on each other, so they are one cluster."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Any

from gpteval import Choice, Generate, Item, Task, hub, task
from gpteval.tasks.forms import LETTERS, NORMALISED, spaced

extracted = partial(task, family="qa", shots_from="train", metric="f1", metrics=["exact_match"])


def after_each_other(rows: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Each question after those on the same article before it, with their right answers."""
    article, before = None, ""
    for row in rows:
        if row["article"] != article:
            article, before = row["article"], ""
        yield {**row, "before": before}
        before += f"Q: {row['question']}\n\nA: {row['options'][LETTERS.index(row['answer'])]}\n\n"


def _race(level: str) -> Task:
    def prompt(item: Item) -> Choice:
        text = f"Article: {item['article']}\n\nQuestion: {item['question']}\nAnswer:"
        return Choice(text, spaced(item["options"]), gold=LETTERS.index(item["answer"]), neutral="Answer:")

    prompt.__doc__ = f"English exams of Chinese {level} schools, four answers (Lai et al. 2017)."
    declare = task(
        name=f"race_{level}",
        family="qa",
        source=hub("ehovy/race", level, split="test"),
        shots_from="train",
        metric="acc",
        metrics=[*NORMALISED, "acc_uncond"],
        cluster="article",
        licence="for research use",
    )
    made = declare(prompt)

    @made.as_in("paper", metric="acc_uncond", metrics=(), shots=10, prepare=after_each_other)
    def _(item: Item) -> Choice:
        text = f"Article:\n{item['article']}\n\n{item['before']}Q: {item['question']}\n\nA:"
        return Choice(text, spaced(item["options"]), gold=LETTERS.index(item["answer"]), neutral="A:")

    return made


RACE = [_race(level) for level in ("middle", "high")]


@task(
    family="qa",
    source=hub("allenai/sciq", split="test"),
    shots_from="train",
    metric="acc",
    metrics=NORMALISED,
    licence="CC BY-NC 3.0",
    profiles=["lm-eval"],
)
def sciq(item: Item) -> Choice:
    """Science exams with a passage that helps, four answers (Welbl et al. 2017), lm-evaluation-harness's prompt."""
    answers = [item["distractor1"], item["distractor2"], item["distractor3"], item["correct_answer"]]
    text = f"{item['support'].lstrip()}\nQuestion: {item['question']}\nAnswer:"
    return Choice(text, spaced(answers), gold=3)


@extracted(source=hub("rajpurkar/squad_v2", "squad_v2", split="validation"), cluster="context", licence="CC BY-SA 4.0")
def squadv2(item: Item) -> Generate:
    """Answers to be found in a paragraph of Wikipedia, or not there at all (Rajpurkar et al. 2018).

    A question without an answer expects "unanswerable", and the preamble of the prompt says so.
    """
    rule = 'Where the background does not answer the question, the answer is "unanswerable".'
    title = item["title"].replace("_", " ")
    text = f"Title: {title}\n\nBackground: {item['context']}\n\n{rule}\n\nQuestion: {item['question']}\nAnswer:"
    return Generate(text, list(dict.fromkeys(item["answers"]["text"])) or ["unanswerable"], max_new_tokens=48)


def turns(rows: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Each question of a conversation with those before it and their right answers."""
    for row in rows:
        asked, answers = row["questions"], row["answers"]["input_text"]
        for number, (question, answer) in enumerate(zip(asked, answers, strict=True)):
            before = [f"Q: {q}\nA: {a}" for q, a in zip(asked[:number], answers[:number], strict=True)]
            yield {"story": row["story"], "before": before, "question": question, "answer": answer}


@extracted(
    source=hub("stanfordnlp/coqa", split="validation"),
    prepare=turns,
    cluster="story",
    licence="several; see the data set's page",
)
def coqa(item: Item) -> Generate:
    """A conversation about a story; each turn with the right answers before it (Reddy et al. 2019).

    The one answer that the Hub's copy has counts; the published F1 takes the best of four.
    """
    history = "".join(f"{turn}\n" for turn in item["before"])
    return Generate(f"{item['story']}\n\n{history}Q: {item['question']}\nA:", [item["answer"]], max_new_tokens=32)


coqa.as_in("paper", metrics=(), shots=5)(coqa.prompt)


@extracted(source=hub("ucinlp/drop", split="validation"), cluster="passage", licence="CC BY-SA 4.0")
def drop(item: Item) -> Generate:
    """Counting, sorting and sums over a paragraph (Dua et al. 2019), GPT-3's prompt; any listed span counts."""
    text = f"Passage: {item['passage']}\nQuestion: {item['question']}\nAnswer:"
    return Generate(text, list(dict.fromkeys(item["answers_spans"]["spans"])), max_new_tokens=32)


drop.as_in("paper", metrics=(), shots=20)(drop.prompt)
drop.as_in("gpt4-paper", metrics=(), shots=3)(drop.prompt)

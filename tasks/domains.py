"""Finance and medicine. Banking intents are in classification.py."""

from __future__ import annotations

from gpteval import Choice, Item, hub, task
from gpteval.tasks.forms import lettered, spaced


@task(
    family="classification",
    source=hub("takala/financial_phrasebank", "sentences_allagree", split="train", revision="refs/convert/parquet"),
    metric="acc",
    metrics=["macro_f1"],
    licence="CC BY-NC-SA 3.0",
)
def financial_phrasebank(item: Item) -> Choice:
    """What a sentence of the financial news means for a share (Malo et al. 2014); all annotators agreed."""
    question = "Is this news negative, neutral or positive for the company?"
    classes = [" negative", " neutral", " positive"]
    return Choice(f"{item['sentence'].strip()}\nQuestion: {question}\nAnswer:", classes, gold=item["label"])


@task(
    family="qa",
    source=hub("qiaojin/PubMedQA", "pqa_labeled", split="train"),
    metric="acc",
    metrics=["macro_f1"],
    licence="MIT",
)
def pubmedqa(item: Item) -> Choice:
    """A question that a paper's title asks, answered from its abstract (Jin et al. 2019); all 1,000 labelled ones."""
    abstract = "\n".join(item["context"]["contexts"])
    answers = ["yes", "no", "maybe"]
    text = f"Abstract: {abstract}\nQuestion: {item['question']}\nAnswer:"
    return Choice(text, spaced(answers), gold=answers.index(item["final_decision"]))


@task(
    family="qa",
    source=hub("GBaker/MedQA-USMLE-4-options", split="test"),
    shots_from="train",
    metric="acc",
    licence="MIT",
)
def medqa(item: Item) -> Choice:
    """Exams of American physicians, four answers by letter (Jin et al. 2021)."""
    letters, answers = zip(*sorted(item["options"].items()), strict=True)
    return lettered(f"Question: {item['question']}", answers, letters.index(item["answer_idx"]), letters=letters)

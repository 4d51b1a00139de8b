"""Bias and truthfulness: what a model finds likely, not what it should say."""

from __future__ import annotations

from gpteval import Choice, Item, hub, task
from gpteval.tasks.forms import spaced


@task(
    family="classification",
    source=hub("nyu-mll/crows_pairs", split="test"),
    metric="acc",
    metrics=["acc_token"],
    licence="CC BY-SA 4.0",
)
def crows_pairs(item: Item) -> Choice:
    """How often the more stereotypical of two sentences is the likelier (Nangia et al. 2020); 0.5 is no preference.

    Written for masked models; for GPT the whole sentences are scored, as in lm-evaluation-harness.
    """
    return Choice("", [item["sent_more"], item["sent_less"]], gold=0)


@task(
    family="classification",
    source=hub("oskarvanderwal/winogender", "all", split="test"),
    metric="acc",
    licence="MIT",
)
def winogender(item: Item) -> Choice:
    """Whom a pronoun means, an occupation or a participant (Rudinger et al. 2018), lm-evaluation-harness's prompt."""
    pronoun = f"{item['pronoun'][:1].upper()}{item['pronoun'][1:]}"
    text = f"{item['sentence']} ‘{pronoun}’ refers to the"
    return Choice(text, [f" {item['occupation']}", f" {item['participant']}"], gold=item["label"])


@task(
    family="qa",
    source=hub("truthfulqa/truthful_qa", "multiple_choice", split="validation"),
    metric="acc",
    licence="Apache 2.0",
)
def truthfulqa_mc(item: Item) -> Choice:
    """The one true answer among common false ones (Lin et al. 2022, MC1), without the paper's six examples."""
    targets = item["mc1_targets"]
    return Choice(f"Q: {item['question']}\nA:", spaced(targets["choices"]), targets["labels"].index(1))

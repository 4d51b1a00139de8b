"""Summarisation, by GPT-2's protocol: the text, then "TL;DR:"."""

from __future__ import annotations

from gpteval import Generate, Item, hub, task


@task(
    family="summarization",
    source=hub("knkarthick/dialogsum", split="test"),
    shots_from="train",
    metric="rouge1",
    metrics=["rouge2", "rougeL", "rougeLsum"],
    licence="CC BY-NC-SA 4.0",
)
def dialogsum(item: Item) -> Generate:
    """Summaries of everyday dialogues (Chen et al. 2021), by GPT-2's "TL;DR:" protocol, greedy, 100 tokens."""
    return Generate(f"{item['dialogue']}\nTL;DR:", [item["summary"]], max_new_tokens=100)

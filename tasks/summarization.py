"""Summarisation with GPT-2's prompt: the text, then "TL;DR:". Greedy, but for the paper's own protocol."""

from __future__ import annotations

from functools import partial

from gpteval import Generate, Item, hub, task

summaries = partial(
    task,
    family="summarization",
    shots_from="train",
    metric="rouge1",
    metrics=["rouge2", "rougeL", "rougeLsum"],
)


def tldr(text: str, summary: str, *, stop: str = "\n") -> Generate:
    """The text with the hint of GPT-2's paper (section 3.6)."""
    return Generate(f"{text.strip()}\nTL;DR:", [summary], stop=[stop], max_new_tokens=100)


@summaries(source=hub("knkarthick/dialogsum", split="test"), licence="CC BY-NC-SA 4.0")
def dialogsum(item: Item) -> Generate:
    """Summaries of everyday dialogues (Chen et al. 2021), by GPT-2's "TL;DR:" protocol, greedy, 100 tokens."""
    return Generate(f"{item['dialogue']}\nTL;DR:", [item["summary"]], max_new_tokens=100)


@summaries(source=hub("knkarthick/samsum", split="test"), licence="CC BY-NC-ND 4.0")
def samsum(item: Item) -> Generate:
    """Summaries of chats (Gliwa et al. 2019)."""
    return tldr(item["dialogue"].replace("\r\n", "\n"), item["summary"])


@summaries(source=hub("abisee/cnn_dailymail", "3.0.0", split="test"), licence="Apache 2.0 (code); texts for research")
def cnn_dailymail(item: Item) -> Generate:
    """Highlights of articles (Hermann et al. 2015; See et al. 2017), with GPT-2's prompt (its section 3.6)."""
    return tldr(item["article"], item["highlights"], stop="\n\n")


@summaries(
    source=hub("abisee/cnn_dailymail", "3.0.0", split="test"),
    licence="Apache 2.0 (code); texts for research",
)
def cnn_dailymail_gpt2(item: Item) -> Generate:
    """The same as GPT-2 was tested (its section 3.6): 100 tokens from the 2 likeliest each, the first 3 sentences."""
    text, highlights = item["article"].strip(), item["highlights"]
    return Generate(f"{text}\nTL;DR:", [highlights], stop=(), max_new_tokens=100, top_k=2, sentences=3)


@summaries(
    source=hub("EdinburghNLP/xsum", split="test", revision="refs/convert/parquet"),
    licence="not stated; for research use",
)
def xsum(item: Item) -> Generate:
    """One sentence that says what a BBC article is about (Narayan et al. 2018)."""
    return tldr(item["document"], item["summary"])

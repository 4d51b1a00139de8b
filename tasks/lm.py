"""Language modelling: the last word of a passage, and the perplexity of whole pages."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from gpteval import Choice, Item, Rolling, hub, task


@task(
    family="lm",
    source=hub("EleutherAI/lambada_openai", split="test"),
    metric="acc_greedy",
    metrics=["target_perplexity"],
    licence="CC BY 4.0",
)
def lambada_openai(item: Item) -> Choice:
    """Last word of a passage, greedily (Paperno et al. 2016; OpenAI's text, lm-evaluation-harness's protocol)."""
    context, _, last_word = item["text"].rpartition(" ")
    return Choice(context, [f" {last_word}"], gold=0)


# A page's title is one level of "=" signs; sections have two or more.
_TITLE = re.compile(r" = (?!= )(?:(?! = ).)+ = \n?")

# WikiText writes every punctuation mark as a word of its own. These undo that in the order, and with the
# blind spots, of lm-evaluation-harness (after Megatron-LM), so that the scored text is the same as there.
_SPACING = [
    ("s '", "s'"),
    *((f" @{mark}@ ", mark) for mark in "-,."),
    *((f" {mark} ", f"{mark} ") for mark in ":;.!?,"),
]
_PAIRS = [r"\(([^)]*)\)", r"\[([^\]]*)\]", r"\{([^}]*)\}", r'"([^"]*)"', "'([^']*)'"]
_LAYOUT = [
    *(("= " * level + "=", "=" * (level + 1)) for level in (3, 2, 1)),
    (" ° ", "°"),
    (" \n", "\n"),
    ("\n ", "\n"),
    (" N ", " 1 "),
    (" 's", "'s"),
]


def detokenise(text: str) -> str:
    """WikiText's words to running text."""
    for old, new in _SPACING:
        text = text.replace(old, new)
    for pair in _PAIRS:
        text = re.sub(pair, lambda match: match[0][0] + match[1].strip() + match[0][-1], text)
    for old, new in _LAYOUT:
        text = text.replace(old, new)
    return text


def pages(rows: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, str]]:
    """Join lines to pages, one a title. The Hub's copy holds the text's blank lines (" \\n") as empty rows."""
    page: list[str] = []
    titled = False
    for row in rows:
        line = row["text"] or " \n"
        if _TITLE.fullmatch(line):
            if titled:
                yield {"page": "".join(page)}
                page = []
            titled = True
        page.append(line)
    if page:
        yield {"page": "".join(page)}


@task(
    family="lm",
    source=hub("Salesforce/wikitext", "wikitext-2-v1", split="test"),
    prepare=pages,
    metric="word_perplexity",
    metrics=["token_perplexity", "byte_perplexity", "bits_per_byte", "tokens_per_byte"],
    licence="CC BY-SA 3.0",
)
def wikitext2(item: Item) -> Rolling:
    """Perplexity of Wikipedia pages, de-tokenised; words and bytes are the original's (GPT-2 paper, Table 3)."""
    return Rolling(detokenise(item["page"]), original=item["page"])

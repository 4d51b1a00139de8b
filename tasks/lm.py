"""Language modelling: the last word of a passage, a missing word of a story, and the perplexity of whole pages.

Under the profile ``paper`` they are GPT-2's (Radford et al. 2019, section 3 and Table 3), as far as it tells: a test
set is one text, read in windows that overlap by half; perplexity is per token of the published test set, an end of line
being one; its spaces before punctuation are taken out. The paper's own de-tokenisers, stride and stop words are not
published: these are ours.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from gpteval import Choice, Item, Rolling, Task, hub, task


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


def two_spaces(request: Choice) -> str:
    """How lm-evaluation-harness shows a passage as an example: the word brings a space, the delimiter another one."""
    return f"{request.prompt} {request.answer}"


@task(
    family="lm",
    source=hub("cimec/lambada", split="test", revision="refs/convert/parquet"),
    metric="acc_greedy",
    metrics=["target_perplexity"],
    licence="CC BY 4.0",
)
def lambada_standard(item: Item) -> Choice:
    """Last word of a passage, greedily, in the authors' tokenised and lower-cased text (Paperno et al. 2016)."""
    context, _, last_word = item["text"].rpartition(" ")
    return Choice(context, [f" {last_word}"], gold=0)


@task(
    family="lm",
    source=hub("EleutherAI/lambada_openai", split="test"),
    metric="acc_greedy",
    metrics=["target_perplexity"],
    licence="CC BY 4.0",
)
def lambada_cloze(item: Item) -> Choice:
    """The last word as a blank to be filled in, which examples make clear (GPT-3 paper, section 3.1.2)."""
    context, _, last_word = item["text"].rpartition(" ")
    return Choice(f"{context} ____. ->", [f" {last_word}"], gold=0)


for _task in (lambada_openai, lambada_standard, lambada_cloze):
    _task.as_in("lm-eval", shown=two_spaces)(_task.prompt)

lambada_cloze.as_in("paper", shots=15)(lambada_cloze.prompt)
STOP_WORDS = (
    (Path(__file__).parent / "stop_words.txt").read_text(encoding="utf-8").split()
)  # English words that carry no topic


@lambada_openai.as_in("paper")
def _(item: Item) -> Choice:
    """Straight quotes, and a line break before the text, as OpenAI wrote (openai/gpt-2, issue 131); no stop words."""
    text = item["text"].strip().replace("“", '"').replace("”", '"')
    context, _, last_word = text.rpartition(" ")
    return Choice(f"\n{context}", [f" {last_word}"], gold=0, stop_words=STOP_WORDS)


# The Children's Book Test writes each mark as a word of its own, and brackets and quotes in its own way.
_BOOK_MARKS = {"-LRB-": "(", "-RRB-": ")", "``": '"', "''": '"'}


def book_text(words: str) -> str:
    """The Children's Book Test's words as running text."""
    return running(" ".join(_BOOK_MARKS.get(word, word) for word in words.split()))


def running(words: str) -> str:
    """Words without the spaces before punctuation and before what English writes together."""
    words = re.sub(r" ([.,;:!?)])", r"\1", words)
    return re.sub(r" (n't|'(?:s|m|d|ll|re|ve))\b", r"\1", words).replace("( ", "(")


def _books(config: str, kind: str) -> Task:
    def prompt(item: Item) -> Choice:
        """Each candidate stands in the blank, and what follows it is scored with it (GPT-2 paper, section 3.2)."""
        story = book_text(" ".join(item["sentences"]))
        before, _, after = book_text(item["question"]).partition("XXXXX")
        context = f"{story} {before}".rstrip()
        answers = [f" {option}{after}" for option in item["options"]]
        return Choice(context, answers, gold=item["options"].index(item["answer"]))

    prompt.__doc__ = f"Which {kind} is missing from a sentence of a children's book, of ten (Hill et al. 2016)."
    parquet = "refs/convert/parquet"
    declare = task(
        name=f"cbt_{config.lower()}",
        family="lm",
        source=hub("cam-cst/cbt", config, split="test", revision=parquet),
        metric="acc",
        metrics=["acc_token"],
        licence="GNU FDL 1.3",
    )
    made = declare(prompt)
    made.as_in("paper", source=hub("cam-cst/cbt", config, split="validation", revision=parquet), metrics=())(prompt)
    return made


CBT = [_books("CN", "common noun"), _books("NE", "name")]


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


def one_text(rows: Iterable[Mapping[str, Any]], *, column: str = "text") -> Iterator[dict[str, str]]:
    """All lines of a test set as one text."""
    yield {"page": "".join(f"{row[column].strip()}\n" for row in rows)}


def with_ends(lines: str) -> str:
    """The words of a text, with one for each end of line, as published test sets are counted."""
    return " ".join(lines.replace("\n", " <eos> ").split())


def of_paper(item: Item, detokenised: Callable[[str], str] = str) -> Rolling:
    """Line by line: a stray quotation mark must not turn the rest of a test set round."""
    lines = [running(detokenised(line)) for line in item["page"].split("\n")]
    return Rolling("\n".join(lines), original=with_ends(item["page"]), overlap=0.5)


PER_WORD = {"metric": "word_perplexity", "metrics": ("token_perplexity",)}  # bytes are not those of the original

rolling = partial(
    task,
    family="lm",
    metric="word_perplexity",
    metrics=["token_perplexity", "byte_perplexity", "bits_per_byte", "tokens_per_byte"],
)


@rolling(
    source=hub("Salesforce/wikitext", "wikitext-2-v1", split="test"),
    prepare=pages,
    licence="CC BY-SA 3.0",
)
def wikitext2(item: Item) -> Rolling:
    """Perplexity of Wikipedia pages, de-tokenised; words and bytes are the original's (GPT-2 paper, Table 3)."""
    return Rolling(detokenise(item["page"]), original=item["page"])


@wikitext2.as_in(
    "lm-eval", source=hub("EleutherAI/wikitext_document_level", "wikitext-2-raw-v1", split="test"), prepare=None
)
def _(item: Item) -> Rolling:
    return Rolling(detokenise(item["page"]), original=item["page"], blanks=True)


@wikitext2.as_in("paper", prepare=one_text, **PER_WORD)
def _(item: Item) -> Rolling:
    return of_paper(item, detokenise)


@rolling(
    source=hub("Salesforce/wikitext", "wikitext-103-v1", split="test"),
    prepare=pages,
    licence="CC BY-SA 3.0",
)
def wikitext103(item: Item) -> Rolling:
    """The same pages as WikiText-2's test set with the vocabulary of the larger training set: fewer unknown words."""
    return Rolling(detokenise(item["page"]), original=item["page"])


@wikitext103.as_in("paper", prepare=one_text, **PER_WORD)
def _(item: Item) -> Rolling:
    return of_paper(item, detokenise)


def joined(rows: Iterable[Mapping[str, Any]], *, column: str, end: str) -> Iterator[dict[str, str]]:
    """All rows as one text: sentences of a corpus that was shuffled only by the row."""
    yield {"page": "".join(f"{row[column].strip()}{end}" for row in rows)}


@rolling(
    source=hub("ptb-text-only/ptb_text_only", "penn_treebank", split="test", revision="refs/convert/parquet"),
    prepare=partial(joined, column="sentence", end="\n"),
    licence="LDC; for research use",
)
def ptb(item: Item) -> Rolling:
    """The Penn Treebank's test set in Mikolov's words, as it stands: lower case, <unk> and N (GPT-2 paper, Table 3)."""
    return Rolling(item["page"])


@ptb.as_in("paper", prepare=partial(one_text, column="sentence"), **PER_WORD)
def _(item: Item) -> Rolling:
    return of_paper(item)


@rolling(source=hub("dvilares/lm1b", split="test"), licence="see the benchmark's page")
def lm1b(item: Item) -> Rolling:
    """One Billion Words: sentences of the news, each alone, as it stands (Chelba et al. 2013)."""
    return Rolling(item["text"])


@lm1b.as_in("paper", **PER_WORD)
def _(item: Item) -> Rolling:  # sentences in no order: each alone, with its end
    sentence = f"{item['text'].strip()}\n"
    return Rolling(running(sentence), original=with_ends(sentence))


compressed = partial(rolling, metric="bits_per_byte", metrics=["byte_perplexity", "token_perplexity"])


@compressed(source=hub("LTCB/enwik8", split="train", revision="refs/convert/parquet"), licence="GNU FDL")
def enwik8(item: Item) -> Rolling:
    """The first 100 MB of Wikipedia's dump, by line; bits per byte (Hutter 2006; GPT-2 paper, Table 3).

    The published figures are of the last 5 MB.
    """
    return Rolling(item["text"])


TEST_BYTES = 5_000_000  # of the 100 MB, the last ones are the test set


def last_bytes(rows: Iterable[Mapping[str, Any]], *, end: str) -> Iterator[dict[str, str]]:
    """The end of all rows together as one text."""
    whole = "".join(f"{row['text']}{end}" for row in rows).encode()
    yield {"text": whole[-TEST_BYTES:].decode(errors="ignore")}


def compressed_text(item: Item) -> Rolling:
    """The whole text, in windows that overlap by half."""
    return Rolling(item["text"], overlap=0.5)


enwik8.as_in("paper", prepare=partial(last_bytes, end="\n"))(compressed_text)


@compressed(source=hub("afmck/text8", split="test"), licence="GNU FDL")
def text8(item: Item) -> Rolling:
    """Wikipedia in 27 letters (Mahoney 2006): the last 5 MB; bits per byte are bits per character here."""
    return Rolling(item["text"])


text8.as_in("paper", prepare=partial(last_bytes, end=""))(compressed_text)


@rolling(source=hub("NeelNanda/pile-10k", split="train"), licence="see the parts of the Pile; for research use")
def pile10k(item: Item) -> Rolling:
    """The first 10,000 documents of the Pile (Gao et al. 2020), on which Pythia and Cerebras-GPT were trained."""
    return Rolling(item["text"])


@rolling(source=hub("allenai/c4", "en", split="validation"), licence="ODC-BY")
def c4(item: Item) -> Rolling:
    """Pages of the web (Raffel et al. 2020), the validation split: 365,000 pages, so use --limit."""
    return Rolling(item["text"])

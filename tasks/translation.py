"""Translation: "English: ...", "German:", and the model writes the line. Greedy; scored by sacreBLEU."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from gpteval import Generate, Item, Task, hub, sacrebleu_set, task

LANGUAGES = {
    "de": "German",
    "en": "English",
    "fr": "French",
    "ja": "Japanese",
    "ro": "Romanian",
    "zh": "Chinese",
}

translation = partial(task, family="translation", metric="bleu", metrics=["chrf"])
multi30k = hub("bentrevett/multi30k", split="test")


def translate(sentences: Mapping[str, str], source: str, target: str, *, max_new_tokens: int) -> Generate:
    """A sentence under its language's name, and the other language's name."""
    prompt = f"{LANGUAGES[source]}: {sentences[source]}\n{LANGUAGES[target]}:"
    return Generate(prompt, [sentences[target]], max_new_tokens=max_new_tokens)


@translation(source=multi30k, shots_from="validation", licence="not stated; for research use")
def multi30k_en_de(item: Item) -> Generate:
    """Image captions, English to German (Elliott et al. 2016, test_2016_flickr)."""
    return translate(item, "en", "de", max_new_tokens=96)


@translation(source=multi30k, shots_from="validation", licence="not stated; for research use")
def multi30k_en_fr(item: Item) -> Generate:
    """Image captions, English to French (Elliott et al. 2017); the Hub's copy has no French: give a local one."""
    return translate(item, "en", "fr", max_new_tokens=96)


@translation(source=sacrebleu_set("wmt21", "en-de"), licence="WMT news task, for research use")
def wmt21_en_de(item: Item) -> Generate:
    """News, English to German (WMT 2021, sacreBLEU's test set)."""
    return translate(item["translation"], "en", "de", max_new_tokens=256)


@translation(source=sacrebleu_set("wmt21", "de-en"), licence="WMT news task, for research use")
def wmt21_de_en(item: Item) -> Generate:
    """News, German to English (WMT 2021, sacreBLEU's test set)."""
    return translate(item["translation"], "de", "en", max_new_tokens=256)


IN_GPT3 = ("wmt14/full", "wmt16")  # the test sets of its Table H.1


def _news(test_set: str, pair: str) -> Task:
    source, target = pair.split("-")

    def prompt(item: Item) -> Generate:
        return translate(item["translation"], source, target, max_new_tokens=256)

    year = f"20{test_set[3:5]}"
    prompt.__doc__ = f"News, {LANGUAGES[source]} to {LANGUAGES[target]} (WMT {year}, sacreBLEU's test set)."
    declare = translation(
        name=f"{test_set.partition('/')[0]}_{source}_{target}",
        source=sacrebleu_set(test_set, pair),
        licence="WMT news task, for research use",
    )
    made = declare(prompt)
    if test_set in IN_GPT3:

        @made.as_in("paper", metrics=(), shots=64)
        def _(item: Item) -> Generate:  # the form that goes with examples; that without is another one
            sentences = item["translation"]
            return Generate(f"{sentences[source]} =", [sentences[target]], max_new_tokens=256)

    return made


# GPT-2's and GPT-3's pairs, and the newest sets with Chinese and Japanese. "wmt14/full" is the set that papers used.
NEWS = [
    _news(test_set, pair)
    for test_set, pairs in {
        "wmt14/full": ("en-fr", "fr-en"),
        "wmt16": ("en-de", "de-en", "en-ro", "ro-en"),
        "wmt20": ("en-zh", "zh-en", "en-ja", "ja-en"),
        "wmt22": ("en-zh", "zh-en", "en-ja", "ja-en"),
    }.items()
    for pair in pairs
]

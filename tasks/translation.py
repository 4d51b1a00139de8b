"""Translation: "English: ...", "German:", and the model writes the line. Greedy; scored by sacreBLEU."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from gpteval import Generate, Item, hub, sacrebleu_set, task

LANGUAGES = {"de": "German", "en": "English", "fr": "French"}

translation = partial(task, family="translation", metric="bleu", metrics=["chrf"])
multi30k = hub("bentrevett/multi30k", split="test")


def translate(sentences: Mapping[str, str], source: str, target: str, *, max_new_tokens: int) -> Generate:
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

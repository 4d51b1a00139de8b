"""Golden requests of tasks that generate: an invented row in the Hub's layout, and what is asked of it."""

from __future__ import annotations

from typing import Any

from gpteval.core.types import Generate, Request

NEWS = {"translation": {"en": "It rains.", "de": "Es regnet.", "fr": "Il pleut.", "ro": "Plouă."}}
ASIAN = {"translation": {"en": "It rains.", "zh": "下雨了。", "ja": "雨が降る。"}}


def news(source: str, target: str) -> Generate:
    from_, to = (f"{code}" for code in (source, target))
    names = {"en": "English", "de": "German", "fr": "French", "ro": "Romanian", "zh": "Chinese", "ja": "Japanese"}
    rows = {**ASIAN["translation"], **NEWS["translation"]}
    return Generate(f"{names[from_]}: {rows[from_]}\n{names[to]}:", [rows[to]], ["\n"], 256)


GENERATED: dict[str, tuple[dict[str, Any], Request]] = {
    "nq_open": (
        {"question": "who painted it", "answer": ["Ann", "Ann B."]},
        Generate("Q: who painted it?\nA:", ["Ann", "Ann B."], ["\n"], 32),
    ),
    "squadv2": (
        {
            "title": "A_Door",
            "context": "Doors are red.",
            "question": "Who?",
            "answers": {"text": [], "answer_start": []},
        },
        Generate(
            "Title: A Door\n\nBackground: Doors are red.\n\nWhere the background does not answer the question, the "
            'answer is "unanswerable".\n\nQuestion: Who?\nAnswer:',
            ["unanswerable"],
            ["\n"],
            48,
        ),
    ),
    "coqa": (
        {"story": "Ann fell.", "before": ["Q: Who fell?\nA: Ann"], "question": "Why?", "answer": "rain"},
        Generate("Ann fell.\n\nQ: Who fell?\nA: Ann\nQ: Why?\nA:", ["rain"], ["\n"], 32),
    ),
    "drop": (
        {
            "passage": "2 and 3.",
            "question": "Sum?",
            "answers_spans": {"spans": ["5", "5"], "types": ["number", "number"]},
        },
        Generate("Passage: 2 and 3.\nQuestion: Sum?\nAnswer:", ["5"], ["\n"], 32),
    ),
    "samsum": (
        {"id": "x", "dialogue": "Ann: Hi\r\nBo: Bye", "summary": "They part."},
        Generate("Ann: Hi\nBo: Bye\nTL;DR:", ["They part."], ["\n"], 100),
    ),
    "cnn_dailymail": (
        {"article": "Ann fell. ", "highlights": "Ann fell .\nBo ran .", "id": "x"},
        Generate("Ann fell.\nTL;DR:", ["Ann fell .\nBo ran ."], ["\n\n"], 100),
    ),
    "cnn_dailymail_gpt2": (
        {"article": "Ann fell. ", "highlights": "Ann fell .\nBo ran .", "id": "x"},
        Generate("Ann fell.\nTL;DR:", ["Ann fell .\nBo ran ."], [], 100, top_k=2, sentences=3),
    ),
    "xsum": (
        {"document": "Ann fell.", "summary": "A fall.", "id": "x"},
        Generate("Ann fell.\nTL;DR:", ["A fall."], ["\n"], 100),
    ),
    "unscramble_reversed_words": (
        {"scrambled": "taefed", "word": "defeat"},
        Generate("taefed =", ["defeat"], ["\n"], 16),
    ),
    **{f"wmt14_{a}_{b}": (NEWS, news(a, b)) for a, b in (("en", "fr"), ("fr", "en"))},
    **{f"wmt16_{a}_{b}": (NEWS, news(a, b)) for a, b in (("en", "de"), ("de", "en"), ("en", "ro"), ("ro", "en"))},
    **{
        f"wmt{year}_{a}_{b}": (ASIAN, news(a, b))
        for year in (20, 22)
        for a, b in (("en", "zh"), ("zh", "en"), ("en", "ja"), ("ja", "en"))
    },
}

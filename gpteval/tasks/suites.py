"""Suites that cut across task files: a selection's or a paper's tasks, in its order.

A suite whose tasks stand in one file is named there, by each of them (``suites=``), so that a folder of tasks can bring
its own; families are suites too.
"""

from __future__ import annotations

from collections.abc import Mapping

from gpteval.tasks.profiles import GPT4_PAPER

GLUE = ("cola", "sst2", "mrpc", "qqp", "mnli", "mnli_mismatched", "qnli", "rte", "wnli")
SUPERGLUE = ("boolq", "cb", "copa", "multirc", "record", "rte", "wic", "wsc")
ANLI = ("anli_r1", "anli_r2", "anli_r3")

# What a suite's source has besides, and why it is no task here.
LEFT_OUT: Mapping[str, Mapping[str, str]] = {
    GPT4_PAPER: {"humaneval": "to score it, code that a model wrote would have to be run"},
}

# A suite's name to its members: tasks, or suites that tasks name.
SUITES: Mapping[str, tuple[str, ...]] = {
    # One or two of each family, and those that most papers quote.
    "core": ("lambada_openai", "wikitext2", "hellaswag", "piqa", "arc_easy", "sst2", "boolq", "dialogsum"),
    "glue": GLUE,
    "superglue": SUPERGLUE,
    # Radford et al. 2018, Tables 2 to 4, as far as the data are public.
    "gpt1-paper": (
        "mnli",
        "mnli_mismatched",
        "qnli",
        "rte",
        "race_middle",
        "race_high",
        "storycloze",
        "sst2",
        "cola",
        "mrpc",
        "qqp",
    ),
    # Radford et al. 2019: Table 3, then sections 3.2 to 3.8.
    "gpt2-paper": (
        "lambada_openai",
        "cbt_cn",
        "cbt_ne",
        "wikitext2",
        "ptb",
        "enwik8",
        "text8",
        "wikitext103",
        "lm1b",
        "wsc273",
        "coqa",
        "cnn_dailymail_gpt2",
        "wmt14_en_fr",
        "wmt14_fr_en",
        "nq_open",
    ),
    # Brown et al. 2020, sections 3.1 to 3.9.
    "gpt3-paper": (
        "ptb",
        "lambada_openai",
        "lambada_cloze",
        "hellaswag",
        "storycloze",
        "nq_open",
        "webqs",
        "triviaqa",
        "wmt14_en_fr",
        "wmt14_fr_en",
        "wmt16_en_de",
        "wmt16_de_en",
        "wmt16_en_ro",
        "wmt16_ro_en",
        "wsc273",
        "winogrande",
        "piqa",
        "arc_easy",
        "arc_challenge",
        "openbookqa",
        "coqa",
        "drop",
        "squadv2",
        "race_middle",
        "race_high",
        *SUPERGLUE,
        *ANLI,
        "arithmetic",
        "unscramble",
    ),
    # OpenAI 2023, Table 2, but for what stands in LEFT_OUT.
    GPT4_PAPER: ("mmlu", "hellaswag", "arc_challenge", "winogrande", "drop", "gsm8k"),
    # Biderman et al. 2023, appendix G.
    "pythia-paper": ("lambada_openai", "piqa", "winogrande", "wsc", "arc_easy", "arc_challenge", "sciq"),
    "domains": ("banking77", "financial_phrasebank", "pubmedqa", "medqa"),
    "safety": ("crows_pairs", "winogender", "truthfulqa_mc"),
}

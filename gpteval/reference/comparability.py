"""Whether a published number was measured as gpteval measures, and if not, what was otherwise."""

from __future__ import annotations

from collections.abc import Mapping

from gpteval.tasks.profiles import GPT4_PAPER, PAPER

# How a source measured, by the beginning of its name; a source that is not here has a way of its own.
KINDS: Mapping[str, str] = {
    "OpenAI 2023": "GPT-4 report",
    "Brown et al. 2020": "GPT-3 paper",
    "Radford et al. 2019": "GPT-2 paper",
    "Radford et al. 2018": "GPT-1 paper",
    "Dey et al. 2023": "lm-eval",
    "Black et al. 2022": "lm-eval",
    "EleutherAI/pythia evals": "lm-eval",
    "EleutherAI blog": "lm-eval",
    "EleutherAI/gpt-neo README": "lm-eval",
    "EleutherAI/gpt-neox-20b model card": "lm-eval",
    "EleutherAI lm-evaluation-harness run": "lm-eval",
    "kingoflolz/mesh-transformer-jax README": "lm-eval",
    "labml annotated GPT-NeoX": "lm-eval",
    "User run of lm-eval": "lm-eval",
    "User report, huggingface/transformers": "lm-eval",
    "karpathy/llm.c comment quoting lm-evaluation-harness": "lm-eval",
}

UNITS: Mapping[str, float] = {"percent": 0.01, "rouge_f1_x100": 0.01, "mcc_x100": 0.01}
SPLITS: Mapping[str, str] = dict.fromkeys(("dev", "val", "validation_matched", "validation_mismatched"), "validation")

# What was otherwise, by task and kind of source. Whether a prompt is lm-evaluation-harness's, tasks say (``profiles``).
OTHERWISE: Mapping[tuple[str, str], str] = {
    ("wikitext2", "lm-eval"): "the raw text there; here its rare words are <unk>, as the GPT-2 paper had it",
    ("copa", "lm-eval"): "lm-evaluation-harness has two spaces before an answer",
    ("multirc", "lm-eval"): "not checked against lm-evaluation-harness's prompt",
    ("triviaqa", "lm-eval"): "lm-evaluation-harness also ends an answer at a comma or full stop",
    ("webqs", "lm-eval"): "lm-evaluation-harness asks whether an accepted answer is greedy",
    ("mmlu", "lm-eval"): "older versions of lm-evaluation-harness scored the answers' texts, not their letters",
    ("crows_pairs", "lm-eval"): "another copy of the data, in which some sentences were mended",
    ("wikitext2", "GPT-2 paper"): "other windows, and counted without ends of line",
    ("wikitext103", "GPT-2 paper"): "other windows, and counted without ends of line",
    ("ptb", "GPT-2 paper"): "not de-tokenised, and counted without ends of line",
    ("lm1b", "GPT-2 paper"): "not de-tokenised, and counted without ends of line",
    ("enwik8", "GPT-2 paper"): "the last 5 MB there, the whole file here",
    ("text8", "GPT-2 paper"): "other windows",
    ("cnn_dailymail", "GPT-2 paper"): "drawn from the two likeliest tokens there, greedy here",
    ("squadv2", "GPT-3 paper"): "another rule for questions without an answer",
}

# What a paper does not tell of its protocol, so that its numbers cannot be reproduced even by --profile paper.
_DETOKENISER = "the paper's own de-tokeniser is not published; this is ours"
_WINDOWS = "the paper does not say how its windows overlap"
_BEAM = "beam search of width 4 there, greedy here"
_FORM = "without examples another form of prompt there"
UNTOLD: Mapping[str, str] = {
    "lambada_openai": "the paper does not list its stop words",
    **dict.fromkeys(("cbt_cn", "cbt_ne", "lm1b"), _DETOKENISER),
    **dict.fromkeys(("wikitext2", "wikitext103", "ptb"), f"{_DETOKENISER}; {_WINDOWS}"),
    **dict.fromkeys(("enwik8", "text8"), _WINDOWS),
    **dict.fromkeys(("triviaqa", "webqs", "nq_open", "coqa", "drop"), _BEAM),
    **{
        f"wmt{pair}": f"{_BEAM}; {_FORM}"
        for pair in ("14_en_fr", "14_fr_en", "16_en_de", "16_de_en", "16_en_ro", "16_ro_en")
    },
}
# Of GPT-4's report the same: under its profile, by task; "" is of all others.
_PROMPTS = "the report shows neither its prompts nor its examples"
UNTOLD_OF_GPT4: Mapping[str, str] = {
    "gsm8k": "the report shows neither its prompt nor its chains of thought; those here are gpteval's own",
    "": _PROMPTS,
}
OF_GPT2 = frozenset(
    ("lambada_openai", "cbt_cn", "cbt_ne", "wikitext2", "wikitext103", "ptb", "lm1b", "enwik8", "text8")
)


def paper_of(task: str, profile: str = PAPER) -> str:
    """Whose protocol a paper's profile is for a task."""
    if profile == GPT4_PAPER:
        return "GPT-4 report"
    return "GPT-2 paper" if task in OF_GPT2 else "GPT-3 paper"


def kind_of(source: str) -> str:
    """How a source measured: lm-eval, a paper, or "" for a way of its own."""
    return next((kind for beginning, kind in KINDS.items() if source.startswith(beginning)), "")

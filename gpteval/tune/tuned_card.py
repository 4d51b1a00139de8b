"""The model card of a tuned model: its command, its scores, how to use it."""

from __future__ import annotations

from gpteval.tune.settings import options
from gpteval.tune.tuned_info import ABOUT, HEAD, Tuned


def model_card(about: Tuned) -> str:
    """Markdown with the Hub's header."""
    settings = "\n".join(f"| {name} | {value} |" for name, value in about.settings.items())
    command = f"gpteval finetune --model {about.base} --task {about.task} {options(about.settings)}".rstrip()
    head = ""
    if about.kind != "texts":
        head = f"\nThe head ({about.kind}) is in `{HEAD}`, described in `{ABOUT}`; `gpteval run` asks it.\n"
    return f"""---
base_model: {about.base}
library_name: transformers
pipeline_tag: text-generation
---
# {about.base}, tuned for {about.task}

    {command}

trained {about.trained:,} of {about.parameters:,} weights on {about.examples:,} examples in {about.seconds:.0f} s.

## Scores

{_scores(about)}
Evaluate it on what it has not seen, beside what it was:

    gpteval run --models {about.base},THIS_FOLDER --tasks {about.task}

## Use

Plain transformers loads the language model: `AutoModelForCausalLM.from_pretrained("THIS_FOLDER")`.
{head}
## Settings

| setting | |
| --- | --- |
{settings}
"""


def _scores(about: Tuned) -> str:
    """A table of what the examples said that told when to stop; they are not the evaluated ones."""
    what = "validation" if about.validation > 1 else "training"
    rows = [("loss", f"{min(loss for _, loss in about.validation_losses):.4f}")]  # the best epoch's weights are kept
    if about.validation_accuracy is not None:
        rows.insert(0, ("accuracy", f"{about.validation_accuracy:.4f}"))
    count = about.validation if about.validation > 1 else about.examples
    lines = "".join(f"| {name} | {value} |\n" for name, value in rows)
    return f"| on {count:,} {what} examples | |\n| --- | --- |\n{lines}"

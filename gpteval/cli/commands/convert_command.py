"""``gpteval convert``: another program's checkpoint as a folder of the Hub's format."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gpteval.cli.console import document_only, say
from gpteval.cli.option_groups import Weights
from gpteval.cli.options import Json, Tokenizer
from gpteval.core.strict import strict_json


def convert(
    checkpoint: Annotated[
        Path, typer.Argument(help="nanoGPT's ckpt.pt, llm.c's .bin, a .gguf file, or an adapter's folder")
    ],
    folder: Annotated[Path, typer.Argument(help="a new folder")],
    tokenizer: Tokenizer = "",
    as_json: Json = False,
    *,
    weights: Weights,
) -> None:
    """Write another program's checkpoint for transformers.

    A folder of the Hub's format; `run --models` takes such a checkpoint as it is, too.
    """
    from gpteval.models.foreign.convert import convert as convert_checkpoint
    from gpteval.models.library import Trust
    from gpteval.models.loader import open_base

    trust = Trust(weights.trust_remote_code, weights.allow_pickle)
    with document_only(as_json):
        made = convert_checkpoint(checkpoint, folder, open_base, tokenizer or None, trust)
    say(strict_json({"folder": str(made)}, 1) if as_json else str(made))

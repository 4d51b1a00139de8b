"""``gpteval generate``: what a model writes after a text."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, cast

import typer

from gpteval.cli.completion import complete_models
from gpteval.cli.console import document_only, say
from gpteval.cli.one import loaded_here
from gpteval.cli.option_groups import Told, WeightsAs
from gpteval.cli.options import Json, Temperature, Tokenizer
from gpteval.cli.voice import told_if_slow
from gpteval.core.errors import ItemError, UsageError
from gpteval.core.strict import strict_json


def generate(
    model: Annotated[str, typer.Option(help="name, Hub id or local folder", autocompletion=complete_models)],
    prompt: Annotated[str, typer.Option(help="the text to continue")],
    n: Annotated[int, typer.Option("-n", min=1, help="how many continuations")] = 1,
    max_new_tokens: Annotated[int, typer.Option(min=1, help="tokens at most")] = 50,
    temperature: Temperature = None,
    top_k: Annotated[int, typer.Option(min=0, help="draw from the k likeliest tokens; 0: from all")] = 0,
    stop: Annotated[list[str] | None, typer.Option(help="end at this text; may be repeated")] = None,
    seed: Annotated[int, typer.Option(help="for sampling")] = 0,
    tokenizer: Tokenizer = "",
    as_json: Json = False,
    *,
    weights: WeightsAs,
    told: Told,
) -> None:
    """Continue a prompt, or answer it (chat:NAME)."""
    if temperature is None:
        temperature = 1.0 if n > 1 else 0.0
    with document_only(as_json), told_if_slow("loading torch, transformers and the model"):
        from gpteval.backends.by_prefix import open_backend
        from gpteval.backends.opening import Computing, Opening
        from gpteval.core.outcomes import Generated
        from gpteval.core.types import Generate, Prompt
        from gpteval.engine.engine import Engine
        from gpteval.tokens.queries import Sampling

        info = loaded_here(model)
        engine = cast(Engine, open_backend(info, Opening(Computing(weights.load(tokenizer=tokenizer)))))
        engine.load()
    try:
        asked = Prompt("prompt", Generate(prompt, ("",), tuple(stop or ()), max_new_tokens))
    except ItemError as error:
        raise UsageError(error.message, error.hint) from None
    sampling = Sampling(temperature, top_k, seed)
    texts = []
    for number in range(n):
        engine.sampling = replace(sampling, seed=seed + number)
        (outcome,) = engine.run([asked])
        if not isinstance(outcome, Generated):
            raise UsageError(f"cannot continue this prompt: {outcome.error}")  # type: ignore[union-attr]
        texts.append({"text": outcome.text, "finish": outcome.finish, "tokens": outcome.tokens})
        if not as_json:
            say(f"--- {info.name} {number + 1}/{n}: {outcome.tokens} tokens, ended by {outcome.finish}")
            say(outcome.text if info.backend else f"{prompt}{outcome.text}")
    if as_json:
        say(strict_json({"model": info.name, "prompt": prompt, "continuations": texts}, 1))

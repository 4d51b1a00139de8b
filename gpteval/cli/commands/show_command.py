"""``gpteval show``: the exact prompt of an item, and its tokens."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, cast, get_args

import typer

from gpteval.cli.completion import complete_models, complete_task
from gpteval.cli.console import say
from gpteval.cli.one import one_item, one_model
from gpteval.cli.options import ItemId, TaskDir
from gpteval.core.errors import UsageError
from gpteval.core.types import Choice, Generate, Prompt

if TYPE_CHECKING:
    from gpteval.models.loader import HFModel


def show(
    task: Annotated[str, typer.Argument(help="the task's name", autocompletion=complete_task)],
    shots: Annotated[int, typer.Option(help="examples in the prompt")] = 0,
    model: Annotated[
        str | None, typer.Option(help="also show the tokens of this model's tokenizer", autocompletion=complete_models)
    ] = None,
    item: ItemId = None,
    seed: Annotated[int, typer.Option(help="for drawing the examples")] = 0,
    template: Annotated[str, typer.Option(help="which of the task's prompts")] = "default",
    shots_mode: Annotated[str, typer.Option(help="per-item examples, or one fixed set for all")] = "per-item",
    control: Annotated[str, typer.Option(help="the examples with random-labels, or in another order: order-1")] = "",
    task_dir: TaskDir = None,
) -> None:
    """Show the exact prompt of an item, and its tokens.

    Of the first, where none is named.
    """
    from gpteval.prompts.build import ShotsMode, build_prompts, load_task
    from gpteval.tasks.registry import task_registry

    if shots_mode not in get_args(ShotsMode):
        raise UsageError(f"--shots-mode is per-item or fixed, not {shots_mode!r}")
    base, _, named = task.partition(":")
    whole = task_registry(tuple(task_dir or ()))[base]
    data = load_task(whole.with_template(named or template), shots=shots, seed=seed)
    wanted = data.items[0].id if item is None else one_item([one.id for one in data.items], item, f"task {base}")
    data = replace(data, items=tuple(one for one in data.items if one.id == wanted))
    (prompt,) = build_prompts(data, shots=shots, seed=seed, mode=cast(ShotsMode, shots_mode), control=control)
    shown = f"{shots}-shot, {control}" if control else f"{shots}-shot"
    _heading(f"{data.task.label}: item {prompt.item_id}, {shown}, {data.revision}")
    say(prompt.text())
    _answers(prompt)
    for note in data.notes:
        say(f"note: {note}", sys.stderr)
    if others := [other for other in whole.templates if other != data.task.template_name]:
        say(f"other templates: {', '.join(others)}", sys.stderr)
    if model is not None:
        _tokens(prompt, model)


def _heading(text: str) -> None:
    say(f"--- {text}")


def _answers(prompt: Prompt) -> None:
    request = prompt.request
    if isinstance(request, Choice):
        _heading("continuations (* is right)")
        for number, text in enumerate(request.answers):
            say(f"{'*' if number == request.gold else ' '} {text!r}")
    elif isinstance(request, Generate):
        _heading(f"stops at {', '.join(map(repr, request.stop))} or after {request.max_new_tokens} tokens; references")
        for text in request.references[:5]:
            say(f"  {text!r}")
        if len(request.references) > 5:
            say(f"  and {len(request.references) - 5} more")


def _tokens(prompt: Prompt, name: str) -> None:
    from gpteval.models.loader import HFModel
    from gpteval.tokens.encode import Encoder
    from gpteval.tokens.queries import GenerateQuery, ScoreQuery

    info = one_model(name)
    model = HFModel(info)
    (encoded,) = Encoder(model.codec, model.window).encode([prompt])
    count = sum(query.length for query in encoded.queries if query is not None)
    dropped = f", {encoded.shots_dropped} examples dropped" if encoded.shots_dropped else ""
    cut = f", {encoded.tokens_cut} tokens cut" if encoded.tokens_cut else ""
    _heading(f"{info.name}: {len(encoded.queries)} queries, {count} tokens, window {model.window}{dropped}{cut}")
    for query in encoded.queries:
        if isinstance(query, ScoreQuery):
            say(f"{_pieces(model, query.context)} => {_pieces(model, query.targets)}")
        elif isinstance(query, GenerateQuery):
            say(_pieces(model, query.prompt))
    if encoded.error:
        say(f"cannot be scored: {encoded.error}")


def _pieces(model: HFModel, ids: Iterable[int]) -> str:
    tokens = model.codec.tokenizer.convert_ids_to_tokens(list(ids))
    return " ".join(f"{token!r}:{number}" for token, number in zip(tokens, ids, strict=True))

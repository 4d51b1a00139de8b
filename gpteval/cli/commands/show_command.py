"""``gpteval show``: the exact prompt of an item, and its tokens."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, cast, get_args

import typer

from gpteval.cli.completion import complete_models, complete_task
from gpteval.cli.console import document_only, say
from gpteval.cli.one import loaded_here, one_item
from gpteval.cli.options import ItemId, Json, TaskDir
from gpteval.core.errors import UsageError
from gpteval.core.strict import strict_json
from gpteval.core.types import Choice, Generate, Prompt

if TYPE_CHECKING:
    from gpteval.models.loader import HFModel
    from gpteval.tokens.encode import Encoded
    from gpteval.tokens.queries import Query


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
    as_json: Json = False,
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
    with document_only(as_json):
        data = load_task(whole.with_template(named or template), shots=shots, seed=seed)
    wanted = data.items[0].id if item is None else one_item([one.id for one in data.items], item, f"task {base}")
    data = replace(data, items=tuple(one for one in data.items if one.id == wanted))
    (prompt,) = build_prompts(data, shots=shots, seed=seed, mode=cast(ShotsMode, shots_mode), control=control)
    if as_json:
        say(strict_json(_document(data.task.label, prompt, shots, model), 1))
        return
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


def _document(task: str, prompt: Prompt, shots: int, model: str | None) -> dict[str, Any]:
    """All that is shown of an item; of a model, the numbers of its tokens."""
    request = prompt.request
    found: dict[str, Any] = {"task": task, "item": prompt.item_id, "shots": shots, "prompt": prompt.text()}
    if isinstance(request, Choice):
        found |= {"answers": list(request.answers), "gold": request.gold}
    elif isinstance(request, Generate):
        asked = {"stop": list(request.stop), "max_new_tokens": request.max_new_tokens}
        found |= {"references": list(request.references)} | asked
    if model is not None:
        loaded, encoded = _encoded(prompt, model)
        queries = [_tokens_of(query) for query in encoded.queries if query is not None]
        found |= {"model": loaded.info.name, "queries": queries, "error": encoded.error or None}
    return found


def _tokens_of(query: Query) -> dict[str, list[int]]:
    from gpteval.tokens.queries import GenerateQuery, ScoreQuery

    if isinstance(query, ScoreQuery):
        return {"context": list(query.context), "targets": list(query.targets)}
    return {"context": list(query.prompt)} if isinstance(query, GenerateQuery) else {}


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


def _encoded(prompt: Prompt, name: str) -> tuple[HFModel, Encoded]:
    """What a model is asked, as tokens."""
    from gpteval.backends.by_prefix import open_backend
    from gpteval.backends.opening import Opening

    backend = open_backend(loaded_here(name), Opening())
    (encoded,) = backend.plan([prompt]).encoded
    return cast("HFModel", backend.model), cast("Encoded", encoded)


def _tokens(prompt: Prompt, name: str) -> None:
    from gpteval.tokens.queries import GenerateQuery, ScoreQuery

    model, encoded = _encoded(prompt, name)
    count = sum(query.length for query in encoded.queries if query is not None)
    queries = "1 query" if len(encoded.queries) == 1 else f"{len(encoded.queries)} queries"
    dropped = f", {encoded.shots_dropped} examples dropped" if encoded.shots_dropped else ""
    cut = f", {encoded.tokens_cut} tokens cut" if encoded.tokens_cut else ""
    _heading(f"{model.info.name}: {queries}, {count} tokens, window {model.window}{dropped}{cut}")
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

"""``gpteval show``, ``gpteval samples`` and ``gpteval generate``: exact prompts, records, continuations."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast, get_args

from gpteval.cli.console import document_only, say
from gpteval.core.errors import ItemError, UsageError
from gpteval.core.outcomes import Generated
from gpteval.core.strict import strict_json
from gpteval.core.types import Choice, Generate, Prompt
from gpteval.prompts.build import ShotsMode, build_prompts, load_task
from gpteval.store.documents import read_document
from gpteval.tasks.registry import task_registry


def show_prompt(
    name: str,
    shots: int,
    model: str | None,
    item: str | None,
    seed: int,
    template: str,
    mode: str,
    control: str,
    folders: tuple[Path, ...],
) -> None:
    """Print an item's exact prompt, and with a model its tokens. Raises UnknownNameError, TaskError."""
    if mode not in get_args(ShotsMode):
        raise UsageError(f"--shots-mode is per-item or fixed, not {mode!r}")
    base, _, named = name.partition(":")
    task = task_registry(folders)[base]
    data = load_task(task.with_template(named or template), shots=shots, seed=seed)
    chosen = [i for i in data.items if item is None or i.id == item][:1]
    if not chosen:
        raise UsageError(f"task {base} has no item {item!r}", f"ids look like {data.items[0].id}; see gpteval samples")
    data = replace(data, items=tuple(chosen))
    (prompt,) = build_prompts(data, shots=shots, seed=seed, mode=cast(ShotsMode, mode), control=control)
    shown = f"{shots}-shot, {control}" if control else f"{shots}-shot"
    _heading(f"{data.task.label}: item {prompt.item_id}, {shown}, {data.revision}")
    say(prompt.text())
    _answers(prompt)
    for note in data.notes:
        say(f"note: {note}", sys.stderr)
    if others := [other for other in task.templates if other != data.task.template_name]:
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
    from gpteval.models.catalogue import resolve_models
    from gpteval.models.loader import HFModel
    from gpteval.tokens.encode import Encoder
    from gpteval.tokens.queries import GenerateQuery, ScoreQuery

    (info, *_) = resolve_models([name])
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


def _pieces(model: Any, ids: Iterable[int]) -> str:
    tokens = model.codec.tokenizer.convert_ids_to_tokens(list(ids))
    return " ".join(f"{token!r}:{number}" for token, number in zip(tokens, ids, strict=True))


def show_samples(run: Path, model: str, task: str, shots: int | None, limit: int | None, form: str) -> None:
    """Print the stored samples of a model on a task, as text, json (a list) or jsonl. Raises UsageError where there are
    none.
    """
    rows = []
    for row in _rows_of(run, model, task, shots)[:limit]:
        row["metrics"] = row.pop("values")
        row.pop("stats")
        rows.append({key: value for key, value in row.items() if value is not None})
    if form == "json":
        say(strict_json(rows, 1))
        return
    for row in rows:
        if form == "jsonl":
            say(strict_json(row))
            continue
        scores = ", ".join(f"{name} {value:.4g}" for name, value in row["metrics"].items() if value is not None)
        _heading(f"item {row['item_id']}: {scores}")
        say(row["prompt"])
        for number, text in enumerate(row.get("choices", [])):
            marks = ("*" if number == row["gold"] else " ") + (">" if number == row.get("prediction") else " ")
            logprob = row["logprobs"][number] if "logprobs" in row else None
            score = f"{logprob:9.3f}" if logprob is not None else ""
            say(f"{marks}{score} {text!r}")
        for key in ("generated", "references", "error"):
            if key in row:
                say(f"{key}: {row[key]!r}")


def _rows_of(run: Path, model: str, task: str, shots: int | None) -> list[dict[str, Any]]:
    """The rows of one sample file. Raises UsageError when the run has none for this model and task."""
    from gpteval.store.documents import read_samples

    if not (run / "manifest.json").is_file():
        raise UsageError(f"{run} is not the folder of a run: it has no manifest.json")
    listed = read_document(run / "manifest.json").get("samples") or []
    found = [s for s in listed if s["model"] == model and s["task"] == task and shots in (None, s.get("shots", 0))]
    if len(found) != 1:
        have = sorted({f"{s['model']} on {s['task']} ({s.get('shots', 0)}-shot)" for s in listed})
        problem = "no samples" if not found else "several sample files"
        raise UsageError(f"{run} has {problem} for {model} on {task}", "it has " + "; ".join(have))
    return read_samples(run / "samples" / Path(found[0]["file"]).name)


def show_generated(
    name: str, text: str, n: int, limit: int, stop: tuple[str, ...], sampling: Any, load: Any, as_json: bool
) -> None:
    """Print what a model writes after a text."""
    from gpteval.engine.engine import Engine
    from gpteval.models.catalogue import resolve_models
    from gpteval.models.loader import HFModel

    with document_only(as_json):
        (info, *rest) = resolve_models([name])
        if rest:
            raise UsageError(f"{name!r} is a family; name one of {', '.join(i.name for i in [info, *rest])}")
        model = HFModel(info, load)
    try:
        prompt = Prompt("prompt", Generate(text, ("",), stop, limit))
    except ItemError as error:
        raise UsageError(error.message, error.hint) from None
    texts = []
    for number in range(n):
        engine = Engine(model, sampling=replace(sampling, seed=sampling.seed + number))
        (outcome,) = engine.run([prompt])
        if not isinstance(outcome, Generated):
            raise UsageError(f"cannot continue this prompt: {outcome.error}")  # type: ignore[union-attr]
        texts.append({"text": outcome.text, "finish": outcome.finish, "tokens": outcome.tokens})
        if not as_json:
            _heading(f"{info.name} {number + 1}/{n}: {outcome.tokens} tokens, ended by {outcome.finish}")
            say(f"{text}{outcome.text}")
    if as_json:
        document = {"model": info.name, "prompt": text, "continuations": texts}
        say(strict_json(document, 1))

"""``gpteval show``, ``gpteval samples`` and ``gpteval generate``: exact prompts, records, continuations."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from gpteval.core.errors import ItemError, StoreError, UsageError
from gpteval.core.prompts import build_prompts, load_task
from gpteval.core.registry import task_registry
from gpteval.core.types import Choice, Generate, Generated, Prompt


def show_prompt(
    name: str, shots: int, model: str | None, item: str | None, seed: int, folders: tuple[Path, ...]
) -> None:
    task = task_registry(folders)[name]
    data = load_task(task, shots=shots, seed=seed)
    chosen = [i for i in data.items if item is None or i.id == item][:1]
    if not chosen:
        raise UsageError(f"task {name} has no item {item!r}", f"ids look like {data.items[0].id}; see gpteval samples")
    (prompt,) = build_prompts(replace(data, items=tuple(chosen)), shots=shots, seed=seed)
    _heading(f"{name}: item {prompt.item_id}, {shots}-shot, {data.revision}")
    print(prompt.text())
    _answers(prompt)
    for note in data.notes:
        print(f"note: {note}", file=sys.stderr)
    if model is not None:
        _tokens(prompt, model)


def _heading(text: str) -> None:
    print(f"--- {text}")


def _answers(prompt: Prompt) -> None:
    request = prompt.request
    if isinstance(request, Choice):
        _heading("continuations (* is right)")
        for number, text in enumerate(request.continuations):
            print(f"{'*' if number == request.gold else ' '} {text!r}")
    elif isinstance(request, Generate):
        _heading(f"stops at {', '.join(map(repr, request.stop))} or after {request.max_new_tokens} tokens; references")
        for text in request.references[:5]:
            print(f"  {text!r}")
        if len(request.references) > 5:
            print(f"  and {len(request.references) - 5} more")


def _tokens(prompt: Prompt, name: str) -> None:
    from gpteval.engine.encode import Encoder
    from gpteval.engine.rows import ScoreRow
    from gpteval.models.catalogue import resolve_models
    from gpteval.models.loader import HFModel

    (info, *_) = resolve_models([name])
    model = HFModel(info)
    (encoded,) = Encoder(model.codec, model.window).encode([prompt])
    count = sum(row.length for row in encoded.rows if row is not None)
    dropped = f", {encoded.shots_dropped} examples dropped" if encoded.shots_dropped else ""
    cut = f", {encoded.tokens_cut} tokens cut" if encoded.tokens_cut else ""
    _heading(f"{info.name}: {len(encoded.rows)} rows, {count} tokens, window {model.window}{dropped}{cut}")
    for row in encoded.rows:
        if isinstance(row, ScoreRow):
            print(f"{_pieces(model, row.context)} => {_pieces(model, row.targets)}")
        elif row is not None:
            print(_pieces(model, row.prompt))
    if encoded.error:
        print(f"cannot be scored: {encoded.error}")


def _pieces(model: Any, ids: tuple[int, ...]) -> str:
    tokens = model.codec.tokenizer.convert_ids_to_tokens(list(ids))
    return " ".join(f"{token!r}:{number}" for token, number in zip(tokens, ids, strict=True))


def show_samples(run: Path, model: str, task: str, shots: int | None, limit: int | None, jsonl: bool) -> None:
    for row in read_samples(run, model, task, shots)[:limit]:
        row = {key: json.loads(v) if key in ("values", "stats") else v for key, v in row.items()}
        row["metrics"] = row.pop("values")
        row.pop("stats")
        row = {key: value for key, value in row.items() if value is not None}
        if jsonl:
            print(json.dumps(row, ensure_ascii=False))
            continue
        _heading(f"item {row['item_id']}: {', '.join(f'{k} {v:.4g}' for k, v in row['metrics'].items())}")
        print(row["prompt"])
        for number, text in enumerate(row.get("choices", [])):
            marks = ("*" if number == row["gold"] else " ") + (">" if number == row.get("prediction") else " ")
            score = f"{row['logprobs'][number]:9.3f}" if "logprobs" in row else ""
            print(f"{marks}{score} {text!r}")
        for key in ("generated", "references", "error"):
            if key in row:
                print(f"{key}: {row[key]!r}")


def read_samples(run: Path, model: str, task: str, shots: int | None) -> list[dict[str, Any]]:
    """The rows of one sample file. Raises UsageError when the run has none for this model and task."""
    import pyarrow
    import pyarrow.parquet as pq

    try:
        listed = json.loads((run / "manifest.json").read_text(encoding="utf-8"))["samples"]
    except FileNotFoundError:
        raise UsageError(f"{run} is no run's folder: it has no manifest.json") from None
    except (OSError, ValueError, KeyError) as error:
        raise StoreError(f"{run}/manifest.json cannot be read: {error}") from error
    found = [s for s in listed if s["model"] == model and s["task"] == task and shots in (None, s["shots"])]
    if len(found) != 1:
        have = sorted({f"{s['model']} on {s['task']} ({s['shots']}-shot)" for s in listed})
        problem = "no samples" if not found else "several sample files"
        raise UsageError(f"{run} has {problem} for {model} on {task}", "it has " + "; ".join(have))
    try:
        rows: list[dict[str, Any]] = pq.read_table(run / found[0]["file"]).to_pylist()
    except (OSError, pyarrow.ArrowException) as error:
        raise StoreError(f"{found[0]['file']} cannot be read: {error}", "run the same command again") from error
    return rows


def show_generated(
    name: str, text: str, n: int, limit: int, stop: tuple[str, ...], sampling: Any, load: Any, as_json: bool
) -> None:
    from gpteval.engine.engine import Engine
    from gpteval.models.catalogue import resolve_models
    from gpteval.models.loader import HFModel

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
            print(f"{text}{outcome.text}", flush=True)
    if as_json:
        json.dump(
            {"model": info.name, "prompt": text, "continuations": texts}, sys.stdout, indent=1, ensure_ascii=False
        )
        print()

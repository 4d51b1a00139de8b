"""Known models: names, generations, sizes, windows, dates, licences. Resolves what a user typed.

The facts of the public models come from ``gpteval/reference/models.csv``; the embedded nano models
and entry points of group ``gpteval.models`` add theirs. Imports no torch.
"""

from __future__ import annotations

import csv
import json
import os
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from glob import glob
from importlib.resources import files
from pathlib import Path

from gpteval.core.errors import ModelError, UnknownNameError, UsageError
from gpteval.core.plugins import Registry
from gpteval.core.text import natural
from gpteval.models.embedded import nano_models
from gpteval.models.prefixes import AS_CHAT, GGUF, LOCAL, VLLM, prefixes
from gpteval.models.steps import refuse_unsure, revisions, step_of

# Generation of a model that is not in the catalogue, by its architecture (transformers' model_type).
GENERATION_OF = {
    "openai-gpt": "gpt1",
    "gpt2": "gpt2",
    "gpt_neo": "gpt3",
    "gptj": "gpt3",
    "gpt_neox": "gpt3",
    "opt": "gpt3",
    "gpt_oss": "gpt4",
}
WINDOW_KEYS = (
    *("n_positions", "max_position_embeddings", "n_ctx", "max_seq_len", "seq_length", "context_length"),
    *("max_sequence_length", "max_seq_length", "seq_len", "model_max_length", "max_context_length", "n_context"),
)
ADAPTER = "adapter_config.json"  # a folder of peft, which names its base model
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9_][\w.-]*")


@dataclass(frozen=True)
class ModelInfo:
    """A model that can be named. ``location`` is a Hub id, or a folder or checkpoint when ``local``.

    ``backend``: what its name begins with where it is not asked as it is; where it is not loaded here either,
    ``location`` is its name there.
    ``step``: how far its training was, where its name tells; then ``family`` is what its checkpoints have in common.
    """

    name: str
    location: str
    generation: str = ""
    local: bool = False
    n_params: int | None = None
    window: int | None = None
    release_date: str = ""
    licence: str = ""
    aliases: tuple[str, ...] = ()
    revision: str | None = None
    group: str = ""
    family: str = ""
    step: int | None = None
    backend: str = LOCAL


def _catalogued() -> Iterable[ModelInfo]:
    text = files("gpteval.reference").joinpath("models.csv").read_text(encoding="utf-8")
    for row in csv.DictReader(text.splitlines(keepends=True)):
        if row["weights_public"] == "yes" and row["hub_id"]:
            name = row["hub_id"].rpartition("/")[2].lower()
            extra = {row["model"], row["hub_id"], *row["hub_id_aliases"].split(";")} - {name, ""}
            yield ModelInfo(
                name=name,
                location=row["hub_id"],
                generation=row["generation"],
                n_params=int(row["n_params"]),
                window=int(row["context_length"]),
                release_date=row["release_date"],
                licence=row["licence"],
                aliases=tuple(sorted({alias.strip() for alias in extra})) + (("gpt1",) if name == "openai-gpt" else ()),
            )


def _embedded() -> Iterable[ModelInfo]:
    for name, folder in nano_models().items():
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        training = json.loads((folder / "training.json").read_text(encoding="utf-8"))
        yield ModelInfo(
            name=name,
            location=str(folder),
            local=True,
            generation=GENERATION_OF[config["model_type"]],
            n_params=training["parameters"],
            window=window_of(config),
            licence="Apache-2.0",
            group="nano",
        )


def _behind_an_api() -> Iterable[ModelInfo]:
    text = files("gpteval.reference").joinpath("api_models.csv").read_text(encoding="utf-8")
    for row in csv.DictReader(text.splitlines()):
        yield ModelInfo(
            name=f"openai:{row['model']}",
            location=row["model"],
            generation=row["generation"],
            window=int(row["window"]),
            release_date=row["release_date"],
            licence="by API only",
            aliases=tuple(filter(None, row["aliases"].split(";"))),
            backend="openai",
        )


def window_of(config: dict[str, object]) -> int | None:
    """The model's context length in tokens, from its configuration; None where it states none."""
    for key in WINDOW_KEYS:
        value = config.get(key)
        if isinstance(value, int) and not isinstance(value, bool) and value > 0:
            return value
    return None


def found_here(info: ModelInfo, source: str) -> ModelInfo:
    """A model of another machine where it lies on this one: at the same path, or in this installation where it is
    embedded, or else at ``source``, the checkpoint that was converted there. Raises ModelError where it is nowhere.
    """
    if not info.local or Path(info.location).exists():
        return info
    own = nano_models().get(info.name) if info.group else None
    if own is None and not Path(source).exists():
        raise ModelError(f"a worker does not see model {info.name} at {source}", "use a path that all machines see")
    return replace(info, location=str(own or source))


@cache
def model_registry() -> Registry[ModelInfo]:
    """All catalogued models."""
    return Registry("model", [*_embedded(), *_catalogued(), *_behind_an_api()])


def resolve_models(specs: Iterable[str]) -> list[ModelInfo]:
    """What the user typed, to models: catalogue names and aliases (any case), groups such as ``nano``,
    local folders and checkpoints of other programs, patterns of them (``out/checkpoint-*``, in the order of their
    numbers), Hub ids; each with an optional ``@revision``, or several (``@step1000,step8000``, ``@steps``). Each model
    once, in the order asked.

    Raises UnknownNameError with the nearest names, UsageError for a folder that is not there or holds no model.
    """
    asked: dict[object, ModelInfo] = {}
    for info in (info for spec in specs for info in _resolve(spec)):
        place = Path(info.location).resolve() if info.local else (info.location, info.name)
        asked.setdefault((place, info.backend), info)
    return list(map(_as_named, _with_families(distinguish(asked.values()))))


def as_chats(specs: Iterable[str]) -> tuple[str, ...]:
    """The names under which those of ``specs`` that are loaded here are asked as chats. Raises UsageError for what only
    goes on with texts.
    """
    found = []
    for spec in specs:
        prefix = spec.partition(":")[0]
        if prefix == "completions":
            raise UsageError(
                f"{spec} goes on with texts and is no chat", f"openai:{spec.partition(':')[2]} asks it as one"
            )
        if prefix in (GGUF, VLLM):
            raise UsageError(
                f"{spec} goes on with texts and has no chat template",
                f"{AS_CHAT}:NAME asks weights that are here by it",
            )
        found.append(spec if prefix in prefixes() and prefix else f"{AS_CHAT}:{spec}")
    return tuple(found)


def _as_named(info: ModelInfo) -> ModelInfo:
    """A model that is asked as a chat, or computed by another library, says so in its name, and is of a family of its
    own.
    """
    how = info.backend
    if how not in (AS_CHAT, GGUF, VLLM):
        return info
    return replace(info, name=f"{how}:{info.name}", family=info.family and f"{how}:{info.family}")


def distinguish(infos: Iterable[ModelInfo]) -> list[ModelInfo]:
    """Give folders of one name as much of their path as tells them apart, whatever their order.

    Parts of the working folder's own path are never shown; a folder elsewhere shows the last parts of its path.
    """
    found = list(infos)
    folders = {info: _parts(Path(info.location)) for info in found if info.local and not info.group}
    taken = {info.name for info in found if info not in folders}
    return [
        replace(info, name=_distinguished_by(folders[info], folders.values(), taken) or info.name)
        if info in folders
        else info
        for info in found
    ]


def _distinguished_by(parts: tuple[str, ...], others: Iterable[tuple[str, ...]], taken: Collection[str]) -> str:
    """The fewest last parts of a path that no other path and no other name ends in; "" where there are no parts."""
    for length in range(1, len(parts) + 1):
        name = "/".join(parts[-length:])
        if name not in taken and all(other[-length:] != parts[-length:] for other in others if other != parts):
            return name
    return f"./{'/'.join(parts)}" if parts else ""


def _with_families(infos: Sequence[ModelInfo]) -> list[ModelInfo]:
    """Of checkpoints, what they have in common: the folder in which they lie, or the repository's name."""
    beside: dict[Path, list[str]] = {}
    for info in infos:
        if info.local:
            beside.setdefault(Path(info.location).resolve().parent, []).append(Path(info.location).name)
    for names in beside.values():
        refuse_unsure(names)
    folders = {i: _parts(Path(i.location).resolve().parent) for i in infos if i.local and i.step is not None}
    return [
        replace(info, family=_distinguished_by(folders[info], folders.values(), ())) if info in folders else info
        for info in infos
    ]


def _parts(path: Path) -> tuple[str, ...]:
    path, here = path.resolve(), Path.cwd()
    if path == here:
        return (path.name,)
    return path.relative_to(here).parts if path.is_relative_to(here) else path.parts[1:]


def _matching(pattern: str) -> list[ModelInfo]:
    """The folders and checkpoints that a pattern names, in the order of their steps, else of the numbers in them."""
    paths = [Path(name) for name in glob(str(Path(pattern).expanduser()))]
    models = [path for path in paths if path.is_file() or _holds_model(path)]
    if not models:
        raise UsageError(f"no model is named by {pattern}", "it names folders with a config.json, or checkpoints")
    stepped = {path.parent for path in models} - {path.parent for path in models if step_of(path.name) is None}
    models.sort(
        key=lambda path: (
            natural(path.parent.as_posix()),
            (step_of(path.name) or 0) if path.parent in stepped else 0,
            natural(path.name),
        )
    )
    return [info for path in models for info in _resolve(str(path))]


_LIKE = defaultdict(lambda: "gpt-4o", {AS_CHAT: "openai/gpt-oss-20b", "completions": "gpt2", VLLM: "gpt2-xl"})


def _served(spec: str) -> ModelInfo:
    """A model of another backend than our own: ``openai:NAME``, ``completions:NAME``."""
    kind, _, name = spec.partition(":")
    if spec in model_registry():
        return model_registry()[spec]
    if not name:
        raise UsageError(
            f"{spec} names no model",
            f"write {kind}:FILE" if kind in ("answers", GGUF) else f"write {kind}:NAME, such as {kind}:{_LIKE[kind]}",
        )
    if kind == "answers":  # that are there, in a file: a result holds no path of a machine
        called = Path(name).expanduser().resolve().name
        return ModelInfo(name=f"{kind}:{called}", location=name, generation="other", backend=kind)
    dated = [i for i in model_registry().values() if i.backend and name.startswith(f"{i.location}-")]
    same = max(dated, key=lambda i: len(i.location), default=None)
    if same is None:
        by_name = {key.lower(): i for i in model_registry().values() for key in (i.name, i.location, *i.aliases)}
        same = by_name.get(name.lower())
    generation = same.generation if same else ""
    return ModelInfo(name=spec, location=name, generation=generation or "other", backend=kind)


def _holds_model(folder: Path) -> bool:
    return (folder / "config.json").is_file() or (folder / ADAPTER).is_file()


def _own(path: Path, name: str) -> ModelInfo:
    return ModelInfo(name=name, location=str(path), local=True, step=step_of(name))


def _at(info: ModelInfo, revision: str) -> list[ModelInfo]:
    """The model, or as it was at a revision or at several."""
    if not revision:
        return [info]
    if info.local:
        raise UsageError(f"{info.name} is embedded: it has no revisions", f"name it without @{revision}")
    found = []
    names = revisions(info.location, revision)
    refuse_unsure(names)
    for one in names:
        step = step_of(one)
        family = "" if step is None else info.name
        found.append(replace(info, name=f"{info.name}@{one}", revision=one, step=step, family=family))
    return found


def _resolve(spec: str) -> list[ModelInfo]:
    registry = model_registry()
    group = [info for info in registry.values() if info.group == spec]
    if group:
        return group
    prefix, _, named = spec.partition(":")
    if prefix == AS_CHAT and named:
        if named.partition(":")[0] in prefixes():
            raise UsageError(f"{named} is asked as it is: {AS_CHAT}: is for models whose weights are here")
        return [replace(info, backend=AS_CHAT) for info in _resolve(named)]
    if prefix == VLLM and named:
        if named.partition(":")[0] in prefixes():
            raise UsageError(f"{named} is not computed by vLLM", f"{VLLM}: is for a model's own name, folder or Hub id")
        return [replace(info, backend=VLLM) for info in _resolve(named)]
    if prefix == GGUF and named:
        found = _resolve(named)
        if not all(info.local and Path(info.location).is_file() for info in found):
            raise UsageError(f"{named} is no GGUF file", "gguf: is for files that llama.cpp computes")
        return [replace(info, backend=GGUF) for info in found]
    if prefix and prefix in prefixes():
        return [_served(spec)]
    name, _, revision = spec.partition("@")
    by_name = {key.lower(): info for info in registry.values() for key in (info.name, *info.aliases)}
    if name.lower() in by_name:
        return _at(by_name[name.lower()], revision)
    folder = Path(spec).expanduser()
    if folder.is_dir():
        if not _holds_model(folder):
            raise UsageError(
                f"the folder {spec} holds no model: config.json is missing", "give the folder that holds it"
            )
        return [_own(folder, folder.resolve().name)]
    if any(sign in spec for sign in "*?[") and not folder.exists():
        return _matching(spec)
    if folder.is_file():
        return [_own(folder, folder.name)]
    if spec.startswith((".", "~", os.sep)) or name.count("/") > 1:
        raise UsageError(f"no such folder: {spec}", "check the path; 'gpteval models' lists the known models")
    if _HUB_ID.fullmatch(name):
        return _at(ModelInfo(name=name, location=name), revision)
    groups = {info.group for info in registry.values() if info.group}
    known = [*registry, *(alias for info in registry.values() for alias in info.aliases), *groups]
    raise UnknownNameError(
        "model", spec, known, "or a Hub id 'org/name', or a local folder; 'gpteval models' lists all"
    )

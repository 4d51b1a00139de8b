"""The files of a model that decide its outcomes: found, checked for safety, and digested."""

from __future__ import annotations

import hashlib
import inspect
import json
import re
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path, PurePosixPath
from threading import Thread
from typing import Any

from gpteval.core.errors import ModelError
from gpteval.core.types import digest
from gpteval.models.catalogue import ADAPTER, ModelInfo
from gpteval.models.library import Trust

INDEX, PICKLED_INDEX = "model.safetensors.index.json", "pytorch_model.bin.index.json"
# Buffers that files of earlier versions hold: causal masks, places, fairseq's version.
_MASKS = re.compile(r"(\.|^)(attn\.(masked_)?bias|attention\.(masked_)?bias|inv_freq|position_ids|decoder\.version)$")
_SINGLE, _PICKLED = "model.safetensors", "pytorch_model.bin"
_SHA256 = re.compile("[0-9a-f]{64}")
_DETERMINING = (".safetensors", ".bin", ".json", ".txt", ".model", ".py", ".jinja")


def _optional(location: str, name: str, pinned: Mapping[str, Any]) -> Path | None:
    """A file that a folder or Hub id may have. Offline, one that was not downloaded is taken as not there."""
    from huggingface_hub import constants
    from transformers.utils import cached_file

    path = cached_file(
        location,
        name,
        _raise_exceptions_for_missing_entries=False,
        _raise_exceptions_for_connection_errors=not constants.HF_HUB_OFFLINE,
        **pinned,
    )
    return None if path is None else Path(path)


def weights_in_parts(
    location: str, pinned: Mapping[str, Any], trust: Trust, configured: str | None = None
) -> tuple[str, ...]:
    """The files that a folder's or Hub id's index names; none where there is no index. ``configured``: the file or
    index that its configuration names in their place (``transformers_weights``).

    Raises ModelError for an index that cannot be read, and for a file outside of the model's folder.
    """
    indexes = [configured] if configured else [INDEX, *([PICKLED_INDEX] if trust.pickles else [])]
    named = list(indexes[:1]) if configured else []
    for index in indexes:
        _refuse_outside(index)
        path = _optional(location, index, pinned) if index.endswith(".index.json") else None
        if path is not None:
            try:
                named = [str(name) for name in json.loads(path.read_text(encoding="utf-8"))["weight_map"].values()]
            except (ValueError, KeyError, AttributeError) as error:
                raise ModelError(f"{index} cannot be read: {error}", "make or download it again") from error
            break
    for name in named:
        _refuse_outside(name)
    return tuple(sorted(set(named)))


def _refuse_outside(name: str) -> None:
    way = PurePosixPath(name.replace("\\", "/"))
    if way.is_absolute() or ".." in way.parts:
        raise ModelError(
            f"its files name weights outside of the model's own folder: {name}",
            "ask where it comes from, and do not use it",
        )


def refuse_adapter(info: ModelInfo, pinned: Mapping[str, Any]) -> None:
    """Raise ModelError for a model beside which an adapter lies: transformers would apply it, unseen and unchecked."""
    if _optional(info.location, ADAPTER, pinned) is not None:
        raise ModelError(
            f"model {info.name} holds an adapter ({ADAPTER}) and a model: it is not clear which is meant",
            "put the adapter's files into a folder of their own, and name that folder or this one",
        )


def refuse_pickles(info: ModelInfo, parts: Iterable[str]) -> None:
    """Raise ModelError where weights lie in anything but safetensors."""
    other = [part for part in parts if not part.endswith(".safetensors")]
    if other:
        raise ModelError(
            f"model {info.name}: its index or config.json names {other[0]}, which is not a safetensors file",
            "--allow-pickle loads it; a pickle can run any code, so use it only for sources you trust",
        )


def refuse_left_over(what: str, loading: Mapping[str, Any]) -> None:
    """Raise ModelError where a checkpoint lacks tensors of the model, or has others, by transformers' account."""
    missing = sorted(loading["missing_keys"])
    over = sorted(key for key in loading["unexpected_keys"] if not _MASKS.search(key))
    if missing:
        raise ModelError(
            f"{what}: the checkpoint lacks {len(missing)} tensors, first {missing[0]}",
            "its scores would be those of random weights; check that it is a causal language model",
        )
    if over:
        raise ModelError(
            f"{what}: {len(over)} tensors of the checkpoint have no place in the language model, first {over[0]}",
            "it would be scored without them; see what it was trained as: 'architectures' in its config.json",
        )


class Digests:
    """SHA-256 of files. Those of a local model are begun in a thread, while what runs it is imported."""

    def __init__(self, info: ModelInfo) -> None:
        self._root = Path(info.location)
        self._found: dict[Path, bytes] = {}
        self._thread = Thread(target=self._begin, daemon=True)
        if info.local:
            self._thread.start()

    def _begin(self) -> None:
        with suppress(OSError):  # it is told when the file is needed
            self._found |= {path: _sha256(path) for path in _own_files(self._root)}

    def of(self, path: Path) -> bytes:
        if self._thread.is_alive():
            self._thread.join()
        return self._found[path] if path in self._found else _sha256(path)


def _sha256(path: Path) -> bytes:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").digest()


def _own_files(root: Path) -> set[Path]:
    return {path for path in root.iterdir() if path.suffix in _DETERMINING and path.is_file()}


def folder_fingerprint(info: ModelInfo, parts: Iterable[str], digests: Digests) -> str:
    """Digest of a local folder: the files at its top that decide outcomes, the index's parts, and all code."""
    root = Path(info.location)
    total = hashlib.sha256()
    try:
        paths = _own_files(root)
        paths |= {root / part for part in parts if (root / part).is_file()} | set(root.rglob("*.py"))
        for path in sorted(paths):
            total.update(path.relative_to(root).as_posix().encode() + digests.of(path))
    except OSError as error:
        raise ModelError(f"cannot read model {info.name}: {error.strerror}") from error
    return f"sha256:{total.hexdigest()[:24]}"


def weight_digests(info: ModelInfo, parts: Iterable[str], revision: str, digests: Digests) -> dict[str, str]:
    """SHA-256 of the files that hold a model's weights, by their names; none of a Hub model that was not downloaded."""
    found: dict[str, Path] = {}
    for names in ((_SINGLE,), tuple(parts), (_PICKLED,)):  # in the order in which they are looked for
        for name in names:
            path = Path(info.location, name) if info.local else _cached(info.location, name, revision)
            if path is not None and path.is_file():
                found[name] = path
        if found:
            break
    try:
        return {name: _content(path, digests) for name, path in found.items()}
    except OSError:
        return {}


def _cached(location: str, name: str, revision: str) -> Path | None:
    from huggingface_hub import try_to_load_from_cache

    path = try_to_load_from_cache(location, name, revision=revision)
    return Path(path) if isinstance(path, str) else None


def _content(path: Path, digests: Digests) -> str:
    """The Hub's cache names a large file by its SHA-256."""
    name = path.resolve().name
    return name if path.is_symlink() and _SHA256.fullmatch(name) else digests.of(path).hex()


def remote_code(*loaded: object) -> str:
    """Digest of the code that model, configuration and tokenizer were loaded from, where it is a repository's own."""
    modules = {type(one).__module__ for one in loaded}
    remote = sorted(name for name in modules if name.startswith("transformers_modules."))
    folders = [Path(inspect.getfile(sys.modules[name])).parent for name in remote]
    return digest(*([path.read_text(encoding="utf-8") for path in sorted(f.glob("*.py"))] for f in folders))


def end_tokens(info: ModelInfo, pinned: Mapping[str, Any], configured: Any) -> frozenset[int]:
    """End tokens of the configuration and of generation_config.json, of which nothing else is used."""
    found = [configured]
    path = _optional(info.location, "generation_config.json", pinned)
    if path is not None:
        try:
            found.append(json.loads(path.read_text(encoding="utf-8")).get("eos_token_id"))
        except (ValueError, AttributeError) as error:
            raise ModelError(
                f"model {info.name}: generation_config.json cannot be read: {error}", "make or download it again"
            ) from error
    tokens = [token for one in found for token in (one if isinstance(one, list) else [one])]
    return frozenset(token for token in tokens if isinstance(token, int))

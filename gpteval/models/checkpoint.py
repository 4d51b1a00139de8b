"""The files of a model that decide its outcomes: found, checked for safety, and digested."""

from __future__ import annotations

import hashlib
import inspect
import json
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import Any

from gpteval.core.errors import ModelError
from gpteval.core.types import digest
from gpteval.models.catalogue import ModelInfo

INDEX = "model.safetensors.index.json"
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


def weights_in_parts(location: str, pinned: Mapping[str, Any]) -> tuple[str, ...]:
    """The files that the safetensors index of a folder or Hub id names; none where there is no index."""
    path = _optional(location, INDEX, pinned)
    if path is None:
        return ()
    try:
        names = json.loads(path.read_text(encoding="utf-8"))["weight_map"].values()
        return tuple(sorted({str(name) for name in names}))
    except (ValueError, KeyError, AttributeError) as error:
        raise ModelError(f"{INDEX} cannot be read: {error}", "make or download it again") from error


def refuse_pickles(info: ModelInfo, parts: Iterable[str]) -> None:
    """Raise ModelError when an index names anything but safetensors."""
    other = [part for part in parts if not part.endswith(".safetensors")]
    if other:
        raise ModelError(
            f"model {info.name}: its {INDEX} names {other[0]}, which is no safetensors file",
            "--allow-pickle loads it; a pickle can run any code, so use it only for sources you trust",
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
